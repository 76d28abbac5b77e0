package codevector

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	pb "codevector.internal/providers/go/gen/providers/v1"
)

// Sealed credentials of format 1, byte for byte as docs/formats/envelope.md defines them.
//
// May see: one data key and the fields it opens, during one call. Must never: keep or print either, trust a column that
// the envelope does not bind, or say why an envelope does not open: every cause is errCorrupt.
//
//	bytes      envelope
//	0..3       "CVC1"
//	4, 5, 6..7 format 1, suite 1, flags 0
//	8..23      the data key's id
//	24..55     commitment
//	56..67     nonce
//	68..       AES-256-GCM ciphertext, a multiple of 256 bytes, and its tag of 16

const (
	headBytes     = 56
	nonceEnd      = headBytes + 12
	tagBytes      = 16
	blockBytes    = 256
	maxPlainBytes = 64 << 10
	dekBytes      = 32
)

var head = []byte{'C', 'V', 'C', '1', 1, 1, 0, 0}

// expected is what the opener itself knows: its deployment, its routing table, the destinations it derived.
type expected struct {
	deploymentID []byte
	providerUID  string
	kind         pb.ProviderKind
	kindOfSecret pb.CredentialType
	version      int64
	destinations []Destination
}

func expectedOf(deploymentID []byte, provider *pb.RoutingProvider, destinations []Destination) expected {
	return expected{deploymentID, provider.GetUid(), provider.GetKind(), provider.GetCredentialType(),
		provider.GetCredentialVersion(), destinations}
}

// OpenSealed opens a sealed credential of this provider with a given data key. Client.Open has the sidecar unwrap the
// key, and applies the rules of its Config.
func OpenSealed(deploymentID []byte, provider *pb.RoutingProvider, sealed *pb.SealedCredential, dek []byte) (*Credential, error) {
	derived, err := derive(provider)
	if err != nil {
		return nil, err
	}
	fields, err := openSealed(sealed, expectedOf(deploymentID, provider, derived), dek)
	if err != nil {
		return nil, err
	}
	return newCredential(provider, derived, fields), nil
}

func typesOf(kind pb.ProviderKind) []pb.CredentialType {
	const (
		apiKey  = pb.CredentialType_CREDENTIAL_TYPE_API_KEY
		ambient = pb.CredentialType_CREDENTIAL_TYPE_AMBIENT
	)
	switch kind {
	case pb.ProviderKind_PROVIDER_KIND_AZURE:
		return []pb.CredentialType{apiKey, pb.CredentialType_CREDENTIAL_TYPE_AZURE_CLIENT_SECRET, ambient}
	case pb.ProviderKind_PROVIDER_KIND_BEDROCK:
		return []pb.CredentialType{apiKey, pb.CredentialType_CREDENTIAL_TYPE_AWS_ACCESS_KEY, ambient}
	case pb.ProviderKind_PROVIDER_KIND_VERTEX, pb.ProviderKind_PROVIDER_KIND_VERTEX_ANTHROPIC:
		return []pb.CredentialType{pb.CredentialType_CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY, ambient}
	default:
		return []pb.CredentialType{apiKey}
	}
}

// fieldsOf returns the required and the optional fields of a type.
func fieldsOf(kindOfSecret pb.CredentialType) (required, optional []string) {
	switch kindOfSecret {
	case pb.CredentialType_CREDENTIAL_TYPE_API_KEY:
		return []string{"api_key"}, nil
	case pb.CredentialType_CREDENTIAL_TYPE_AWS_ACCESS_KEY:
		return []string{"access_key_id", "secret_access_key"}, []string{"assume_role_arn", "session_token"}
	case pb.CredentialType_CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY:
		return []string{"client_email", "private_key", "private_key_id", "project_id"}, nil
	case pb.CredentialType_CREDENTIAL_TYPE_AZURE_CLIENT_SECRET:
		return []string{"client_id", "client_secret", "tenant_id"}, nil
	default:
		return nil, nil
	}
}

// check checks everything that needs no data key, so that a wrong wrapped key is never unwrapped.
func check(sealed *pb.SealedCredential, known expected) error {
	envelope := sealed.GetEnvelope()
	plainBytes := len(envelope) - nonceEnd - tagBytes
	if plainBytes < blockBytes || plainBytes > maxPlainBytes || plainBytes%blockBytes != 0 {
		return errCorrupt
	}
	context, err := contextOf(known, envelope[8:24])
	switch {
	case err != nil,
		!bytes.Equal(envelope[:8], head),
		sealed.GetProviderUid() != known.providerUID,
		sealed.GetKind() != known.kind,
		sealed.GetType() != known.kindOfSecret,
		sealed.GetCredentialVersion() != known.version,
		!slices.Contains(typesOf(known.kind), known.kindOfSecret),
		!bytes.Equal(sealed.GetContext(), context),
		!bytes.Equal(sealed.GetCommitment(), envelope[24:headBytes]),
		!destinationsFit(sealed.GetDestinations(), known.destinations):
		return errCorrupt
	}
	return nil
}

// openSealed returns the fields of the credential in plain text, and nothing of a damaged one.
func openSealed(sealed *pb.SealedCredential, known expected, dek []byte) (map[string]string, error) {
	if check(sealed, known) != nil || len(dek) != dekBytes {
		return nil, errCorrupt
	}
	envelope := sealed.GetEnvelope()
	digest := sha256.Sum256(sealed.GetContext())
	if !hmac.Equal(sealed.GetCommitment(), expand(dek, "codevector/commit/1", digest[:])) {
		return nil, errCorrupt
	}
	aad := lengthPrefixed(
		[]byte("codevector/cred/1"), sealed.GetContext(),
		binary.BigEndian.AppendUint32(nil, uint32(known.kind)), binary.BigEndian.AppendUint32(nil, uint32(known.kindOfSecret)),
		lengthPrefixed(append([][]byte{[]byte("codevector/dest/1")}, octets(sealed.GetDestinations())...)...),
	)
	block, err := aes.NewCipher(expand(dek, "codevector/enc/1", digest[:]))
	if err != nil {
		return nil, errCorrupt
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, errCorrupt
	}
	plain, err := gcm.Open(nil, envelope[headBytes:nonceEnd], envelope[nonceEnd:], slices.Concat(envelope[:headBytes], aad))
	if err != nil {
		return nil, errCorrupt
	}
	defer clear(plain)
	return decodeFields(plain, known.kindOfSecret)
}

// contextOf computes the context of the data key; only the data key's id comes from the envelope.
func contextOf(known expected, dekID []byte) ([]byte, error) {
	uid, err := hex.DecodeString(strings.ReplaceAll(known.providerUID, "-", ""))
	if err != nil || len(uid) != 16 || len(known.deploymentID) != 16 || known.version < 1 {
		return nil, errCorrupt
	}
	version := binary.BigEndian.AppendUint64(nil, uint64(known.version))
	return lengthPrefixed([]byte("codevector/dek/1"), known.deploymentID, []byte("default"), uid, dekID, version), nil
}

// destinationsFit reports whether the stored list, in the one form ever sealed, contains the derived set.
func destinationsFit(stored []string, derived []Destination) bool {
	if len(stored) < 1 || len(stored) > 8 || len(derived) == 0 {
		return false
	}
	for i, item := range stored {
		if !isASCII(item) || i > 0 && stored[i-1] >= item {
			return false
		}
	}
	return !slices.ContainsFunc(derived, func(d Destination) bool { return !slices.Contains(stored, d.String()) })
}

// decodeFields removes the padding, the shortest that fills a block, and reads the fields: sorted, each once, exactly
// those of the type.
func decodeFields(plain []byte, kindOfSecret pb.CredentialType) (map[string]string, error) {
	end := bytes.LastIndexByte(plain, 0x80)
	if end < 0 || len(plain)-end > blockBytes || len(bytes.Trim(plain[end+1:], "\x00")) > 0 {
		return nil, errCorrupt
	}
	parts, ok := split(plain[:end])
	if !ok || len(parts)%2 != 1 || string(parts[0]) != "codevector/fields/1" {
		return nil, errCorrupt
	}
	fields, last := map[string]string{}, ""
	required, optional := fieldsOf(kindOfSecret)
	for i := 1; i < len(parts); i += 2 {
		name, value := string(parts[i]), parts[i+1]
		known := slices.Contains(required, name) || slices.Contains(optional, name)
		if !known || name <= last || !utf8.Valid(value) {
			return nil, errCorrupt
		}
		fields[name], last = string(value), name
	}
	for _, name := range required {
		if _, there := fields[name]; !there {
			return nil, errCorrupt
		}
	}
	return fields, nil
}

// split reads u32be lengths and the parts they count, with nothing after the last.
func split(input []byte) ([][]byte, bool) {
	var parts [][]byte
	for len(input) > 0 {
		if len(input) < 4 {
			return nil, false
		}
		size := uint64(binary.BigEndian.Uint32(input))
		if input = input[4:]; size > uint64(len(input)) {
			return nil, false
		}
		parts, input = append(parts, input[:size]), input[size:]
	}
	return parts, true
}

func lengthPrefixed(parts ...[]byte) []byte {
	var joined []byte
	for _, part := range parts {
		joined = append(binary.BigEndian.AppendUint32(joined, uint32(len(part))), part...)
	}
	return joined
}

// expand is HKDF-Expand with SHA-256, one block of 32 bytes. Source: RFC 5869 section 2.3.
func expand(key []byte, label string, info []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(append(append([]byte(label), info...), 1))
	return mac.Sum(nil)
}

func octets(texts []string) [][]byte {
	all := make([][]byte, len(texts))
	for i, text := range texts {
		all[i] = []byte(text)
	}
	return all
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}
