package codevector

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestListGathersAllPages(t *testing.T) {
	client := connect(t, Config{Registry: serveRegistry(t, &registry{})})
	listing, err := client.List(inTime(t), "")
	if err != nil || listing.Revision != 7 || listing.StoreID != "s" || listing.Token != "s@7" || len(listing.Models) != 2 {
		t.Fatal(listing, err)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	client := connect(t, Config{Registry: serveRegistry(t, &registry{})})
	_, err := client.List(inTime(t), "bad")
	var typed *Error
	if !errors.As(err, &typed) || typed.Reason != "INVALID_FILTER" || typed.Metadata["provider"] != "providers/a" {
		t.Error(err)
	}
	if status.Code(errors.Unwrap(err)) != codes.InvalidArgument {
		t.Error("the status is lost")
	}
	for code, reason := range map[codes.Code]string{
		codes.Unavailable: "STORE_UNAVAILABLE", codes.DeadlineExceeded: "STORE_UNAVAILABLE", codes.NotFound: "RESOURCE_NOT_FOUND",
		codes.PermissionDenied: "ROLE_REQUIRED", codes.DataLoss: "CREDENTIAL_CORRUPT", codes.Unknown: "INTERNAL",
	} {
		if err := fromStatus(status.New(code, ""), ErrStoreUnavailable); err.(*Error).Reason != reason {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestARegistryThatIsAwayOrSilent(t *testing.T) {
	away := connect(t, Config{Registry: "127.0.0.1:1"})
	if _, err := away.List(inTime(t), ""); !errors.Is(err, ErrStoreUnavailable) {
		t.Error(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	silent := connect(t, Config{Registry: listener.Addr().String(), Timeout: 50 * time.Millisecond})
	if _, err := silent.List(inTime(t), ""); !errors.Is(err, ErrStoreUnavailable) {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := silent.List(cancelled, ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestPlaintextIsForThisMachine(t *testing.T) {
	for _, address := range []string{"registry.example:50051", "10.0.0.1:50051", "0.0.0.0:50051", "localhost.example:1", "localhost"} {
		if _, err := New(Config{Registry: address}); err == nil {
			t.Errorf("%s in plaintext", address)
		}
	}
	for _, address := range []string{"", "127.0.0.1:1", "[::1]:1", "localhost:1"} {
		connect(t, Config{Registry: address})
	}
	connect(t, Config{Registry: "registry.example:50051", TransportCredentials: insecure.NewCredentials()})
}

// selfSigned is a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestMutualTLSAndAToken(t *testing.T) {
	serverCertificate, serverAuthority := selfSigned(t)
	clientCertificate, clientAuthority := selfSigned(t)
	var authorization []string
	address := serveRegistry(t, &registry{},
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{serverCertificate},
			ClientCAs: clientAuthority, ClientAuth: tls.RequireAndVerifyClientCert})),
		grpc.UnaryInterceptor(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			authorization = metadata.ValueFromIncomingContext(ctx, "authorization")
			return next(ctx, q)
		}))
	token := func(context.Context) (string, error) { return "t0ken", nil }
	mutual := credentials.NewTLS(&tls.Config{RootCAs: serverAuthority, Certificates: []tls.Certificate{clientCertificate}})
	if _, err := connect(t, Config{Registry: address, TransportCredentials: mutual, Token: token}).List(inTime(t), ""); err != nil {
		t.Fatal(err)
	}
	if len(authorization) != 1 || authorization[0] != "Bearer t0ken" {
		t.Error("the token did not arrive")
	}
	for what, config := range map[string]*tls.Config{
		"no certificate of the client": {RootCAs: serverAuthority},
		"another authority":            {RootCAs: clientAuthority, Certificates: []tls.Certificate{clientCertificate}},
	} {
		client := connect(t, Config{Registry: address, TransportCredentials: credentials.NewTLS(config)})
		if _, err := client.List(inTime(t), ""); !errors.Is(err, ErrStoreUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := New(Config{Registry: address, Token: token}); err == nil {
		t.Error("a token goes over plaintext")
	}
}

func TestOpen(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	provider, sealed := providerOf(t, vector), vector.Sealed()
	r, s := &registry{sealed: map[string]*pb.SealedCredential{provider.Name: sealed}}, &sidecar{vector: vector}
	client := connect(t, Config{Registry: serveRegistry(t, r), KMSSocket: serveSidecar(t, s)})

	credential, err := client.Open(inTime(t), provider)
	if err != nil {
		t.Fatal(err)
	}
	if value, there := credential.Reveal("api_key"); !there || value != vector.Fields["api_key"] {
		t.Error("another key")
	}
	if err := credential.CheckURL("https://api.openai.com/v1"); err != nil {
		t.Error(err)
	}
	if err := credential.CheckURL("https://evil.example/v1"); !errors.Is(err, ErrDestinationRefused) {
		t.Error(err)
	}

	gone := failure(codes.FailedPrecondition, "KEY_VERSION_UNAVAILABLE")
	s.refusals = []error{gone, gone} // rewrapped while we looked
	if _, err := client.Open(inTime(t), provider); err != nil {
		t.Error(err)
	}
	s.refusals = []error{gone, gone, gone}
	if _, err := client.Open(inTime(t), provider); !errors.Is(err, ErrKeyVersionUnavailable) {
		t.Error(err)
	}
	s.refusals = []error{failure(codes.Unavailable, "KMS_UNAVAILABLE")}
	if _, err := client.Open(inTime(t), provider); !errors.Is(err, ErrKMSUnavailable) {
		t.Error(err)
	}
	if _, err := client.Open(inTime(t), named("other", 1)); !errors.Is(err, ErrProviderDisabled) {
		t.Error(err)
	}
	client.config.AllowLoopbackHTTP = false
	if _, err := client.Open(inTime(t), func() *pb.RoutingProvider {
		plain := compatible("http://127.0.0.1:1")
		plain.Name = provider.Name
		return plain
	}()); !errors.Is(err, ErrDestinationRefused) {
		t.Error(err)
	}

	client.newest[provider.Uid] = 2 // what it would be once version 2 was opened
	if _, err := client.Open(inTime(t), provider); !errors.Is(err, ErrRegistryRolledBack) {
		t.Error(err)
	}
}

func TestASidecarThatIsAway(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	provider := providerOf(t, vector)
	r := &registry{sealed: map[string]*pb.SealedCredential{provider.Name: vector.Sealed()}}
	client := connect(t, Config{Registry: serveRegistry(t, r), KMSSocket: t.TempDir() + "/none.sock"})
	if _, err := client.Open(inTime(t), provider); !errors.Is(err, ErrKMSUnavailable) {
		t.Error(err)
	}
}

func TestACredentialShowsNothingOfItself(t *testing.T) {
	const canary = "sk-canary-0123456789"
	credential := newCredential(named("a", 3), nil, map[string]string{"api_key": canary})
	holder := struct{ credential, Credential Credential }{*credential, *credential}
	encoded, err := json.Marshal(map[string]any{"pointer": credential, "value": *credential, "holder": holder})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", credential, "v", *credential, "h", holder)
	shown := string(encoded) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown += fmt.Sprintf(verb+verb+verb, credential, *credential, holder)
	}
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(shown, form) {
			t.Errorf("it shows itself: %s", shown)
		}
	}
	if !strings.Contains(shown, "credential of providers/a") {
		t.Error("it does not tell whose it is")
	}
}
