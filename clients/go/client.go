// Package codevector has what a router needs of the CodeVector provider service: the active models, kept current by a
// watch, and the credentials of their providers, fetched sealed and opened with the router's own key sidecar.
//
//	client.go       connect, list, watch, report
//	table.go        the routing table, and how messages of a watch change it
//	router.go       the table kept current in the background
//	credential.go   fetch, unwrap, open
//	opening.go      the bytes of a sealed credential
//	destinations.go where a credential may go
//	cache.go        how long an opened credential is used
package codevector

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	kmsv1 "codevector.internal/providers/go/gen/kms/v1"
	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const maxAnswerBytes = 64 << 20

// Config says what to talk to. The zero value of every field but KMSSocket is a sensible default.
type Config struct {
	// Registry is host:port of the registry; 127.0.0.1:50051 if empty.
	Registry string
	// KMSSocket is the path of this router's socket of its key sidecar.
	KMSSocket string
	// TransportCredentials secure the connection to the registry, e.g. credentials.NewTLS with a client certificate. nil
	// is plaintext, allowed only to a registry on this machine; insecure.NewCredentials() forces it.
	TransportCredentials credentials.TransportCredentials
	// Token returns the bearer token of each call to the registry. It needs TransportCredentials that hide it.
	Token func(context.Context) (string, error)
	// Timeout bounds each call; 10 s if 0.
	Timeout time.Duration
	// MaxBackoff bounds the random wait before a connection or a watch is tried again; 5 s if 0.
	MaxBackoff time.Duration
	// AllowedDestinations, if any, is this router's own list of URLs: a provider with any other destination is refused,
	// whatever the registry says.
	AllowedDestinations []string
	// AllowLoopbackHTTP allows providers on this machine without TLS.
	AllowLoopbackHTTP bool
}

// Client is a connection to one registry and one key sidecar. It is safe for concurrent use.
type Client struct {
	config   Config
	allowed  []Destination
	registry *grpc.ClientConn
	sidecar  *grpc.ClientConn
	routing  pb.RoutingServiceClient
	kms      kmsv1.KeyManagementServiceClient

	mu           sync.Mutex
	deploymentID []byte           // the sidecar's, once it was asked
	newest       map[string]int64 // by provider uid: the newest credential version that was opened
}

// New makes a client, which connects at the first call.
func New(config Config) (*Client, error) {
	config.Registry = cmp.Or(config.Registry, "127.0.0.1:50051")
	config.Timeout = cmp.Or(config.Timeout, 10*time.Second)
	config.MaxBackoff = cmp.Or(config.MaxBackoff, 5*time.Second)
	allowed, err := parseAllowed(config.AllowedDestinations)
	if err != nil {
		return nil, err
	}
	socket, err := filepath.Abs(config.KMSSocket)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		reconnecting(100*time.Millisecond, config.MaxBackoff),
		// Otherwise a connection that died silently would be kept, and each new watch opened on it.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if config.TransportCredentials == nil {
		if !isLoopback(config.Registry) {
			return nil, errors.New("codevector: plaintext is for a registry on this machine: set TransportCredentials")
		}
		config.TransportCredentials = insecure.NewCredentials()
	}
	options = append(options, grpc.WithTransportCredentials(config.TransportCredentials))
	if config.Token != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearer(config.Token)))
	}
	registry, err := grpc.NewClient(config.Registry, options...)
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "unix", Path: socket}
	sidecar, err := grpc.NewClient(target.String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		reconnecting(50*time.Millisecond, 500*time.Millisecond))
	if err != nil {
		return nil, errors.Join(err, registry.Close())
	}
	return &Client{
		config: config, allowed: allowed, registry: registry, sidecar: sidecar, newest: map[string]int64{},
		routing: pb.NewRoutingServiceClient(registry), kms: kmsv1.NewKeyManagementServiceClient(sidecar),
	}, nil
}

// Close ends all calls and watches.
func (c *Client) Close() error { return errors.Join(c.registry.Close(), c.sidecar.Close()) }

// Listing is all pages of ListActiveProviderModels. A watch that resumes from its token misses nothing.
type Listing struct {
	Revision int64
	StoreID  string
	Token    string
	Models   []*pb.ActiveProviderModel
}

// List returns the active provider models that a filter selects (all, if it is empty), ordered by name.
func (c *Client) List(ctx context.Context, filter string) (*Listing, error) {
	return c.ListPaged(ctx, filter, 1000)
}

// ListPaged is List with pages of another size.
func (c *Client) ListPaged(ctx context.Context, filter string, pageSize int32) (*Listing, error) {
	var all *Listing
	request := &pb.ListActiveProviderModelsRequest{Filter: filter, PageSize: pageSize}
	for {
		page, err := call(ctx, c.config.Timeout, ErrStoreUnavailable, c.routing.ListActiveProviderModels, request)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = &Listing{Revision: page.GetRevision(), StoreID: page.GetStoreId(), Token: page.GetToken()}
		}
		all.Models = append(all.Models, page.GetActiveProviderModels()...)
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return all, nil
		}
	}
}

// Watch yields the messages of one WatchRouting stream until it ends, which is always by an error; leaving the loop
// cancels it. Router resumes, and keeps a table.
func (c *Client) Watch(ctx context.Context, request *pb.WatchRoutingRequest) iter.Seq2[*pb.WatchRoutingResponse, error] {
	return func(yield func(*pb.WatchRoutingResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.routing.WatchRouting(ctx, request)
		for err == nil {
			var message *pb.WatchRoutingResponse
			if message, err = stream.Recv(); err == nil && !yield(message, nil) {
				return
			}
		}
		yield(nil, fromCall(ctx, err, ErrStoreUnavailable))
	}
}

// ReportAppliedRevision reports which revision a router routes by, or that it stops.
func (c *Client) ReportAppliedRevision(ctx context.Context, report *pb.ReportAppliedRevisionRequest) error {
	_, err := call(ctx, c.config.Timeout, ErrStoreUnavailable, c.routing.ReportAppliedRevision, report)
	return err
}

// call makes one unary call with a deadline, and types its error.
func call[Q, A any](ctx context.Context, timeout time.Duration, away *Error,
	method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	inTime, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := method(inTime, request)
	if err != nil {
		return answer, fromCall(ctx, err, away)
	}
	return answer, nil
}

func reconnecting(first, longest time.Duration) grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: min(first, longest), Multiplier: 1.6, Jitter: 0.2, MaxDelay: longest},
		MinConnectTimeout: 5 * time.Second,
	})
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

type bearer func(context.Context) (string, error)

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity keeps the token off plaintext connections.
func (b bearer) RequireTransportSecurity() bool { return true }
