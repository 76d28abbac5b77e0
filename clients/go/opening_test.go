package codevector

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	pb "codevector.internal/providers/go/gen/providers/v1"
	"codevector.internal/providers/go/internal/vectors"

	"google.golang.org/protobuf/proto"
)

const vectorFolder = "../../tests/vectors/envelope"

func readVector(t *testing.T, name string) *vectors.Vector {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(vectorFolder, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	vector := &vectors.Vector{}
	if err := json.Unmarshal(content, vector); err != nil {
		t.Fatal(err)
	}
	return vector
}

func vectorNames(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(vectorFolder, "*.json"))
	if err != nil || len(paths) < 21 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), ".json")
	}
	return paths
}

func providerOf(t *testing.T, vector *vectors.Vector) *pb.RoutingProvider {
	t.Helper()
	provider, err := vector.Provider()
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// garbled are ways to spoil a sealed credential, each of which has to be noticed.
var garbled = map[string]func(*pb.SealedCredential){
	"magic":                  func(s *pb.SealedCredential) { s.Envelope[0] ^= 1 },
	"format":                 func(s *pb.SealedCredential) { s.Envelope[4] ^= 1 },
	"suite":                  func(s *pb.SealedCredential) { s.Envelope[5] ^= 1 },
	"flags":                  func(s *pb.SealedCredential) { s.Envelope[7] ^= 1 },
	"data key's id":          func(s *pb.SealedCredential) { s.Envelope[8] ^= 1 },
	"commitment":             func(s *pb.SealedCredential) { s.Envelope[24] ^= 1 },
	"nonce":                  func(s *pb.SealedCredential) { s.Envelope[56] ^= 1 },
	"ciphertext":             func(s *pb.SealedCredential) { s.Envelope[68] ^= 1 },
	"tag":                    func(s *pb.SealedCredential) { s.Envelope[len(s.Envelope)-1] ^= 1 },
	"cut":                    func(s *pb.SealedCredential) { s.Envelope = s.Envelope[:len(s.Envelope)-1] },
	"header alone":           func(s *pb.SealedCredential) { s.Envelope = s.Envelope[:headBytes] },
	"no envelope":            func(s *pb.SealedCredential) { s.Envelope = nil },
	"a block more":           func(s *pb.SealedCredential) { s.Envelope = append(s.Envelope, make([]byte, blockBytes)...) },
	"too long":               func(s *pb.SealedCredential) { s.Envelope = append(s.Envelope, make([]byte, maxPlainBytes)...) },
	"commitment column":      func(s *pb.SealedCredential) { s.Commitment[0] ^= 1 },
	"no commitment":          func(s *pb.SealedCredential) { s.Commitment = nil },
	"context":                func(s *pb.SealedCredential) { s.Context[len(s.Context)-1] ^= 1 },
	"no context":             func(s *pb.SealedCredential) { s.Context = nil },
	"uid":                    func(s *pb.SealedCredential) { s.ProviderUid = "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" },
	"kind":                   func(s *pb.SealedCredential) { s.Kind = s.Kind%12 + 1 },
	"type":                   func(s *pb.SealedCredential) { s.Type = s.Type%5 + 1 },
	"version":                func(s *pb.SealedCredential) { s.CredentialVersion-- },
	"no destinations":        func(s *pb.SealedCredential) { s.Destinations = nil },
	"other destinations":     func(s *pb.SealedCredential) { s.Destinations = []string{"api https://evil.example"} },
	"one destination more":   func(s *pb.SealedCredential) { s.Destinations = append(s.Destinations, "token https://z.example") },
	"destinations not ASCII": func(s *pb.SealedCredential) { s.Destinations = append(s.Destinations, "token https://ä.example") },
	"destinations repeated":  func(s *pb.SealedCredential) { s.Destinations = append(s.Destinations, s.Destinations[0]) },
	"destinations unsorted":  func(s *pb.SealedCredential) { s.Destinations = append(s.Destinations, "a") },
	"too many destinations":  func(s *pb.SealedCredential) { s.Destinations = append(s.Destinations, manyDestinations...) },
}

var manyDestinations = strings.Split("u v w x y z za zb zc", " ")

func TestVectors(t *testing.T) {
	for _, name := range vectorNames(t) {
		t.Run(name, func(t *testing.T) {
			vector := readVector(t, name)
			provider := providerOf(t, vector)
			credential, err := OpenSealed(vector.DeploymentID, provider, vector.Sealed(), vector.DEK)
			if !vector.Opens {
				if !errors.Is(err, ErrCredentialCorrupt) || credential != nil {
					t.Fatalf("opened: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(credential.fields(), vector.Fields) {
				t.Error("other fields than the vector's")
			}
			var items []string
			for _, destination := range credential.Destinations {
				items = append(items, destination.String())
			}
			if slices.Sort(items); !slices.Equal(items, vector.Destinations) {
				t.Errorf("destinations %v, want %v", items, vector.Destinations)
			}
			for what, spoil := range garbled {
				sealed := proto.Clone(vector.Sealed()).(*pb.SealedCredential)
				spoil(sealed)
				if got, err := OpenSealed(vector.DeploymentID, provider, sealed, vector.DEK); err != errCorrupt || got != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestEveryBitOfAnEnvelopeCounts(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	provider, sealed := providerOf(t, vector), vector.Sealed()
	for bit := range len(sealed.Envelope) * 8 {
		sealed.Envelope[bit/8] ^= 1 << (bit % 8)
		if _, err := OpenSealed(vector.DeploymentID, provider, sealed, vector.DEK); err != errCorrupt {
			t.Fatalf("bit %d: %v", bit, err)
		}
		sealed.Envelope[bit/8] ^= 1 << (bit % 8)
	}
}

func TestWhatTheOpenerKnowsDecides(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	for what, change := range map[string]func(p *pb.RoutingProvider){
		"uid":      func(p *pb.RoutingProvider) { p.Uid = "02020202-0202-0202-0202-020202020203" },
		"no uid":   func(p *pb.RoutingProvider) { p.Uid = "" },
		"kind":     func(p *pb.RoutingProvider) { p.Kind, p.Config = pb.ProviderKind_PROVIDER_KIND_GROQ, nil },
		"type":     func(p *pb.RoutingProvider) { p.CredentialType = pb.CredentialType_CREDENTIAL_TYPE_AMBIENT },
		"version":  func(p *pb.RoutingProvider) { p.CredentialVersion++ },
		"no one":   func(p *pb.RoutingProvider) { p.CredentialVersion = 0 },
		"base URL": func(p *pb.RoutingProvider) { p.Config = openAIAt("https://evil.example") },
	} {
		provider := providerOf(t, vector)
		change(provider)
		if _, err := OpenSealed(vector.DeploymentID, provider, vector.Sealed(), vector.DEK); err != errCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	provider := providerOf(t, vector)
	for what, dek := range map[string][]byte{"none": nil, "short": vector.DEK[:31], "another": make([]byte, 32)} {
		if _, err := OpenSealed(vector.DeploymentID, provider, vector.Sealed(), dek); err != errCorrupt {
			t.Errorf("data key %s: %v", what, err)
		}
	}
	if _, err := OpenSealed(make([]byte, 16), provider, vector.Sealed(), vector.DEK); err != errCorrupt {
		t.Errorf("another deployment: %v", err)
	}
}

// TestFields covers what no attacker without the data key gets to: the decoder is as strict as the encoder all the same.
func TestFields(t *testing.T) {
	const apiKey = pb.CredentialType_CREDENTIAL_TYPE_API_KEY
	padded := func(parts ...string) []byte {
		plain := append(lengthPrefixed(octets(parts)...), 0x80)
		return append(plain, make([]byte, (blockBytes-len(plain)%blockBytes)%blockBytes)...)
	}
	fields, err := decodeFields(padded("codevector/fields/1", "api_key", "k"), apiKey)
	if err != nil || !reflect.DeepEqual(fields, map[string]string{"api_key": "k"}) {
		t.Fatal(err)
	}
	const aws = pb.CredentialType_CREDENTIAL_TYPE_AWS_ACCESS_KEY
	for what, bad := range map[string]struct {
		plain []byte
		of    pb.CredentialType
	}{
		"no padding":        {make([]byte, blockBytes), apiKey},
		"other padding":     {append(padded("codevector/fields/1", "api_key", "k")[:255], 1), apiKey},
		"longer padding":    {append(padded("codevector/fields/1", "api_key", "k"), make([]byte, blockBytes)...), apiKey},
		"no label":          {padded(), apiKey},
		"another label":     {padded("codevector/fields/2", "api_key", "k"), apiKey},
		"no value":          {padded("codevector/fields/1", "api_key"), apiKey},
		"no fields":         {padded("codevector/fields/1"), apiKey},
		"one too many":      {padded("codevector/fields/1", "api_key", "k", "zone", "z"), apiKey},
		"twice":             {padded("codevector/fields/1", "api_key", "k", "api_key", "k"), apiKey},
		"not UTF-8":         {padded("codevector/fields/1", "api_key", "\xff"), apiKey},
		"unsorted":          {padded("codevector/fields/1", "secret_access_key", "s", "access_key_id", "a"), aws},
		"one missing":       {padded("codevector/fields/1", "access_key_id", "a", "session_token", "t"), aws},
		"fields of ambient": {padded("codevector/fields/1", "api_key", "k"), pb.CredentialType_CREDENTIAL_TYPE_AMBIENT},
		"a length too long": {append([]byte{0xff, 0xff, 0xff, 0xff, 0x80}, make([]byte, 251)...), apiKey},
		"half a length":     {append([]byte{0, 0, 0x80}, make([]byte, 253)...), apiKey},
	} {
		if fields, err := decodeFields(bad.plain, bad.of); err != errCorrupt || fields != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
