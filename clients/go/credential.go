package codevector

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	kmsv1 "codevector.internal/providers/go/gen/kms/v1"
	pb "codevector.internal/providers/go/gen/providers/v1"
)

const openAttempts = 3

// Credential is an opened credential. It shows nothing of its secrets: not when formatted, logged or marshalled.
type Credential struct {
	Provider     string            // the provider's resource name
	Type         pb.CredentialType // how it authenticates
	Version      int64             // the credential's version, from 1
	Destinations []Destination     // where it may be sent

	// A function, because fmt prints unexported fields of structs that hold a Credential without asking its methods.
	fields func() map[string]string
}

// Reveal returns one field in plain text: api_key; access_key_id, secret_access_key and perhaps session_token,
// assume_role_arn; client_email, private_key, private_key_id, project_id; tenant_id, client_id, client_secret.
func (c *Credential) Reveal(name string) (value string, there bool) {
	value, there = c.fields()[name]
	return value, there
}

// FieldNames are the names of its fields, sorted; none for the router's own identity (ambient).
func (c *Credential) FieldNames() []string { return slices.Sorted(maps.Keys(c.fields())) }

// CheckURL returns nil if a request to the URL may carry this API key, else ErrDestinationRefused. Call it for every
// request, including redirects.
func (c *Credential) CheckURL(address string) error { return checkURL(c.Destinations, address) }

func newCredential(of *pb.RoutingProvider, destinations []Destination, fields map[string]string) *Credential {
	return &Credential{of.GetName(), of.GetCredentialType(), of.GetCredentialVersion(), destinations,
		func() map[string]string { return fields }}
}

// String names the provider.
func (c Credential) String() string {
	return fmt.Sprintf("credential of %s, %s, version %d", c.Provider, c.Type, c.Version)
}

// Format prints String for every verb.
func (c Credential) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, c.String()) }

// LogValue is what slog writes.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps encoders from looking inside.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Open fetches the provider's sealed credential and opens it with the sidecar, with every check of
// docs/formats/envelope.md against the provider as the caller's table has it. Nothing is kept.
func (c *Client) Open(ctx context.Context, provider *pb.RoutingProvider) (*Credential, error) {
	return c.openNewest(ctx, func(int) (*pb.RoutingProvider, error) { return provider, nil })
}

// openNewest gets the provider before each attempt. It tries several times, because a credential may be replaced, or
// rewrapped under another key version, between two of our reads.
func (c *Client) openNewest(ctx context.Context, newest func(attempt int) (*pb.RoutingProvider, error)) (*Credential, error) {
	for attempt := 1; ; attempt++ {
		provider, err := newest(attempt)
		if err != nil {
			return nil, err
		}
		sealed, err := c.fetch(ctx, provider.GetName())
		if err != nil {
			return nil, err
		}
		credential, err := c.open(ctx, provider, sealed)
		moved := sealed.GetCredentialVersion() != provider.GetCredentialVersion() || errors.Is(err, ErrKeyVersionUnavailable)
		if err == nil || !moved || attempt == openAttempts {
			return credential, err
		}
	}
}

func (c *Client) open(ctx context.Context, provider *pb.RoutingProvider, sealed *pb.SealedCredential) (*Credential, error) {
	permitted, err := c.permitted(provider)
	if err != nil {
		return nil, err
	}
	deploymentID, err := c.deployment(ctx)
	if err != nil {
		return nil, err
	}
	known := expectedOf(deploymentID, provider, permitted)
	if err := check(sealed, known); err != nil {
		return nil, err
	}
	if err := c.refuseOlder(known); err != nil {
		return nil, err
	}
	dek, err := c.unwrap(ctx, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(dek)
	fields, err := openSealed(sealed, known, dek)
	if err != nil {
		return nil, err
	}
	c.remember(known)
	return newCredential(provider, permitted, fields), nil
}

func (c *Client) fetch(ctx context.Context, provider string) (*pb.SealedCredential, error) {
	request := &pb.BatchGetSealedCredentialsRequest{Providers: []string{provider}}
	answer, err := call(ctx, c.config.Timeout, ErrStoreUnavailable, c.routing.BatchGetSealedCredentials, request)
	if err != nil {
		return nil, err
	}
	results := answer.GetResults()
	if len(results) != 1 {
		return nil, errCorrupt
	}
	if item := results[0].GetError(); item != nil {
		return nil, fromItem(item, ErrStoreUnavailable)
	}
	return results[0].GetSealedCredential(), nil
}

// unwrap has the sidecar return the data key, for the caller to wipe.
func (c *Client) unwrap(ctx context.Context, sealed *pb.SealedCredential) ([]byte, error) {
	request := &kmsv1.BatchUnwrapDataKeysRequest{Items: []*kmsv1.UnwrapItem{{Wrapped: &kmsv1.WrappedDataKey{
		WrappedDataKey: sealed.GetWrappedDataKey(),
		KeyVersion:     sealed.GetKeyVersion(),
		Commitment:     sealed.GetCommitment(),
		Context:        sealed.GetContext(),
	}}}}
	answer, err := call(ctx, c.config.Timeout, ErrKMSUnavailable, c.kms.BatchUnwrapDataKeys, request)
	if err != nil {
		return nil, err
	}
	results := answer.GetResults()
	if len(results) != 1 {
		return nil, errCorrupt
	}
	if item := results[0].GetError(); item != nil {
		return nil, fromItem(item, ErrKMSUnavailable)
	}
	return results[0].GetPlaintext(), nil
}

// deployment returns the id of the deployment whose credentials this router's sidecar opens, 16 bytes.
func (c *Client) deployment(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	known := c.deploymentID
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	status, err := call(ctx, c.config.Timeout, ErrKMSUnavailable, c.kms.GetStatus, &kmsv1.GetStatusRequest{})
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(status.GetDeploymentId())
	if err != nil || len(id) != 16 {
		return nil, fail(ErrKMSUnavailable, "the key sidecar reports no valid deployment id: check its version")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deploymentID = id
	return id, nil
}

// refuseOlder refuses a replaced credential: it is intact, so only memory shows that it is old.
func (c *Client) refuseOlder(known expected) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if newest := c.newest[known.providerUID]; known.version < newest {
		return fail(ErrRegistryRolledBack, "the registry shows credential version %d of a provider whose version %d was opened",
			known.version, newest)
	}
	return nil
}

func (c *Client) remember(known expected) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest[known.providerUID] = max(c.newest[known.providerUID], known.version)
}
