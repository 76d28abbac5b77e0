package codevector

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	kmsv1 "codevector.internal/providers/go/gen/kms/v1"
	pb "codevector.internal/providers/go/gen/providers/v1"
	"codevector.internal/providers/go/internal/vectors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// registry is a server that says what a test wants it to. The real one is driven by the conformance scenario.
type registry struct {
	pb.UnimplementedRoutingServiceServer
	watch func(*pb.WatchRoutingRequest, grpc.ServerStreamingServer[pb.WatchRoutingResponse]) error

	mu      sync.Mutex
	sealed  map[string]*pb.SealedCredential
	reports []*pb.ReportAppliedRevisionRequest
}

func (r *registry) WatchRouting(q *pb.WatchRoutingRequest, s grpc.ServerStreamingServer[pb.WatchRoutingResponse]) error {
	return r.watch(q, s)
}

func (r *registry) ListActiveProviderModels(_ context.Context, q *pb.ListActiveProviderModelsRequest) (*pb.ListActiveProviderModelsResponse, error) {
	if q.GetFilter() == "bad" {
		return nil, failure(codes.InvalidArgument, "INVALID_FILTER")
	}
	answer := &pb.ListActiveProviderModelsResponse{Revision: 7, StoreId: "s", Token: "s@7", NextPageToken: "more",
		ActiveProviderModels: []*pb.ActiveProviderModel{{Name: "providers/a/models/1"}}}
	if q.GetPageToken() == "more" {
		answer.NextPageToken, answer.ActiveProviderModels[0].Name = "", "providers/a/models/2"
	}
	return answer, nil
}

func (r *registry) ReportAppliedRevision(_ context.Context, q *pb.ReportAppliedRevisionRequest) (*pb.ReportAppliedRevisionResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, q)
	return &pb.ReportAppliedRevisionResponse{}, nil
}

func (r *registry) told() []*pb.ReportAppliedRevisionRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*pb.ReportAppliedRevisionRequest(nil), r.reports...)
}

func (r *registry) BatchGetSealedCredentials(_ context.Context, q *pb.BatchGetSealedCredentialsRequest) (*pb.BatchGetSealedCredentialsResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := &pb.BatchGetSealedCredentialsResponse{}
	for _, name := range q.GetProviders() {
		if sealed := r.sealed[name]; sealed != nil {
			answer.Results = append(answer.Results, &pb.SealedCredentialResult{
				Outcome: &pb.SealedCredentialResult_SealedCredential{SealedCredential: sealed}})
			continue
		}
		refused, _ := status.FromError(failure(codes.FailedPrecondition, "PROVIDER_DISABLED"))
		answer.Results = append(answer.Results, &pb.SealedCredentialResult{
			Outcome: &pb.SealedCredentialResult_Error{Error: refused.Proto()}})
	}
	return answer, nil
}

// sidecar unwraps with a vector's data key, after it has refused some times.
type sidecar struct {
	kmsv1.UnimplementedKeyManagementServiceServer
	vector   *vectors.Vector
	refusals []error
}

func (s *sidecar) GetStatus(context.Context, *kmsv1.GetStatusRequest) (*kmsv1.GetStatusResponse, error) {
	return &kmsv1.GetStatusResponse{DeploymentId: "01010101010101010101010101010101"}, nil
}

func (s *sidecar) BatchUnwrapDataKeys(context.Context, *kmsv1.BatchUnwrapDataKeysRequest) (*kmsv1.BatchUnwrapDataKeysResponse, error) {
	result := &kmsv1.UnwrapResult{Outcome: &kmsv1.UnwrapResult_Plaintext{Plaintext: append([]byte(nil), s.vector.DEK...)}}
	if len(s.refusals) > 0 {
		refused, _ := status.FromError(s.refusals[0])
		s.refusals = s.refusals[1:]
		result.Outcome = &kmsv1.UnwrapResult_Error{Error: refused.Proto()}
	}
	return &kmsv1.BatchUnwrapDataKeysResponse{Results: []*kmsv1.UnwrapResult{result}}, nil
}

func failure(code codes.Code, reason string) error {
	st, err := status.New(code, "so it is").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "codevector",
		Metadata: map[string]string{"provider": "providers/a"}})
	if err != nil {
		panic(err)
	}
	return st.Err()
}

// serve starts a server, until the test ends or the returned function is called.
func serve(t *testing.T, network, address string, register func(*grpc.Server), options ...grpc.ServerOption) (string, func()) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	stop := sync.OnceFunc(func() {
		server.Stop()
		serving.Wait()
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func serveRegistry(t *testing.T, r *registry, options ...grpc.ServerOption) string {
	address, _ := serve(t, "tcp", "127.0.0.1:0", func(s *grpc.Server) { pb.RegisterRoutingServiceServer(s, r) }, options...)
	return address
}

func serveSidecar(t *testing.T, s *sidecar) string {
	folder, err := os.MkdirTemp("", "c v%2f") // short, as a socket's path holds 107 bytes, and awkward
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := filepath.Join(folder, "router.sock")
	serve(t, "unix", socket, func(server *grpc.Server) { kmsv1.RegisterKeyManagementServiceServer(server, s) })
	return socket
}

func connect(t *testing.T, config Config) *Client {
	t.Helper()
	if config.MaxBackoff == 0 {
		config.MaxBackoff = 20 * time.Millisecond
	}
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// inTime bounds what should not take long, and fails the test instead of hanging.
func inTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// running runs a router until the test ends or the returned function is called.
func running(t *testing.T, router *Router) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = router.Run(ctx) })
	stop = func() {
		cancel()
		ended.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for ctx := inTime(t); !holds(); time.Sleep(2 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("not in time: %s", what)
		}
	}
}
