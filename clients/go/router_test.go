package codevector

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// streams answers the n-th watch with the n-th script, and the ones after them with the last. A script that ends
// leaves its stream open.
func streams(requests chan<- *pb.WatchRoutingRequest, scripts ...[]any) *registry {
	var count atomic.Int64
	return &registry{watch: func(q *pb.WatchRoutingRequest, s grpc.ServerStreamingServer[pb.WatchRoutingResponse]) error {
		select {
		case requests <- q:
		default:
		}
		for _, step := range scripts[min(int(count.Add(1)), len(scripts))-1] {
			switch step := step.(type) {
			case *pb.WatchRoutingResponse:
				if err := s.Send(step); err != nil {
					return err
				}
			case error:
				return step
			}
		}
		<-s.Context().Done()
		return nil
	}}
}

func TestARouterResumesWhereItsTableIs(t *testing.T) {
	requests := make(chan *pb.WatchRoutingRequest, 8)
	r := streams(requests,
		[]any{chunk("s", 5, true, true, named("a", 1)), changes("s", 6, put(named("b", 1))), failure(codes.Unavailable, "")},
		[]any{changes("s", 6, removed("providers/a")), bookmark("s", 8, true)}, // not above 6; draining
		[]any{changes("s", 9, removed("providers/a")), bookmark("s", 9, false)},
	)
	client := connect(t, Config{Registry: serveRegistry(t, r)})
	router := client.NewRouter(RouterConfig{WatcherID: "me", BookmarkInterval: 20 * time.Second})
	stop := running(t, router)
	table, err := router.WaitFor(inTime(t), 9)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(versions(table), map[string]int64{"providers/b": 1}) || !reflect.DeepEqual(router.Resets(), []string{"INITIAL"}) {
		t.Error(versions(table), router.Resets())
	}
	var sessions [][]byte
	for _, revision := range []int64{0, 6, 8} {
		q := <-requests
		sessions = append(sessions, q.GetSession())
		if q.GetResumeToken() != token("s", revision) || q.GetStrictResume() ||
			q.GetWatcherId() != "me" || q.GetBookmarkInterval().AsDuration() != 20*time.Second {
			t.Errorf("resumed by %v, want %d", q, revision)
		}
	}
	until(t, "connected", router.Connected)
	until(t, "reported", func() bool { told := r.told(); return len(told) > 0 && told[len(told)-1].GetToken() == "s@9" })
	stop()
	if router.Connected() || router.Table() != table {
		t.Error("stopping took the table along")
	}
	if told := r.told(); !told[len(told)-1].GetStopping() {
		t.Error("it went without a word")
	}
	for _, told := range r.told() {
		if session := told.GetSession(); len(session) != 16 || !bytes.Equal(session, sessions[0]) {
			t.Errorf("reported for session %x, watched as %x", session, sessions)
		}
	}
	if len(sessions) != 3 || !bytes.Equal(sessions[0], sessions[2]) {
		t.Errorf("watched as %x", sessions)
	}
}

func TestReportsComeAtMostOnceASecond(t *testing.T) {
	script := []any{chunk("s", 1, true, true)}
	for revision := int64(2); revision <= 300; revision++ {
		script = append(script, changes("s", revision, put(named("a", revision))))
	}
	r := streams(nil, script)
	router := connect(t, Config{Registry: serveRegistry(t, r)}).NewRouter(RouterConfig{WatcherID: "me"})
	began := time.Now()
	running(t, router)
	until(t, "reported", func() bool { told := r.told(); return len(told) > 0 && told[len(told)-1].GetToken() == "s@300" })
	if told, seconds := len(r.told()), time.Since(began).Seconds(); float64(told) > 1+seconds {
		t.Errorf("%d reports in %.1f s", told, seconds)
	}
}

func TestMalformedAndFailedStreamsLeaveTheTableInUse(t *testing.T) {
	requests := make(chan *pb.WatchRoutingRequest, 8)
	r := streams(requests,
		[]any{chunk("s", 5, true, true, named("a", 1)), chunk("t", 9, false, true, named("b", 1))},
		[]any{chunk("t", 0, true, false, named("b", 1)), failure(codes.Internal, "INTERNAL")}, // half a snapshot
		[]any{failure(codes.ResourceExhausted, "TOO_MANY_WATCHERS")},
	)
	router := connect(t, Config{Registry: serveRegistry(t, r)}).NewRouter(RouterConfig{})
	running(t, router)
	until(t, "refused", func() bool { var e *Error; return errors.As(router.Err(), &e) && e.Reason == "TOO_MANY_WATCHERS" })
	if table := router.Table(); table.Revision() != 5 || table.Provider("providers/a") == nil || len(table.Providers()) != 1 {
		t.Error(versions(table))
	}
	if router.Connected() {
		t.Error("connected to nothing")
	}
}

func TestAnotherStoreReplacesTheTable(t *testing.T) {
	other := chunk("t", 2, true, true, named("b", 1))
	other.GetSnapshotChunk().Reason = pb.SnapshotChunk_REASON_STORE_CHANGED
	r := streams(nil, []any{chunk("s", 5, true, true, named("a", 1)), other, changes("t", 3, put(named("c", 1)))})
	router := connect(t, Config{Registry: serveRegistry(t, r)}).NewRouter(RouterConfig{})
	running(t, router)
	until(t, "replaced", func() bool { return router.Table().StoreID() == "t" && router.Table().Revision() == 3 })
	if !reflect.DeepEqual(router.Resets(), []string{"INITIAL", "STORE_CHANGED"}) || router.Table().Provider("providers/a") != nil {
		t.Error(router.Resets(), versions(router.Table()))
	}
}

// Version numbers repeat in another history: the same one may be of another secret.
func TestNoCredentialOfAnotherHistoryIsUsed(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	provider := providerOf(t, vector)
	for reason, kept := range map[pb.SnapshotChunk_Reason]bool{
		pb.SnapshotChunk_REASON_STORE_CHANGED:  false,
		pb.SnapshotChunk_REASON_REVISION_AHEAD: false,
		pb.SnapshotChunk_REASON_COMPACTED:      true,
	} {
		opened := make(chan struct{})
		r := &registry{sealed: map[string]*pb.SealedCredential{provider.Name: vector.Sealed()}}
		r.watch = func(_ *pb.WatchRoutingRequest, s grpc.ServerStreamingServer[pb.WatchRoutingResponse]) error {
			if err := s.Send(chunk("s", 5, true, true, provider)); err != nil {
				return err
			}
			<-opened
			again := chunk("s", 4, true, true, provider)
			again.GetSnapshotChunk().Reason = reason
			if err := s.Send(again); err != nil {
				return err
			}
			<-s.Context().Done()
			return nil
		}
		client := connect(t, Config{Registry: serveRegistry(t, r), KMSSocket: serveSidecar(t, &sidecar{vector: vector})})
		router := client.NewRouter(RouterConfig{})
		running(t, router)
		before, err := router.WaitFor(inTime(t), 5)
		if err != nil {
			t.Fatal(err)
		}
		first, err := router.Credential(inTime(t), provider.Name)
		if err != nil {
			t.Fatal(err)
		}
		close(opened)
		if _, err := router.Next(inTime(t), before); err != nil {
			t.Fatal(err)
		}
		if second, err := router.Credential(inTime(t), provider.Name); err != nil || (second == first) != kept {
			t.Errorf("%s: kept %v, want %v (%v)", reason, second == first, kept, err)
		}
	}
}

func TestASilentWatchIsDeadAndOpenedAgain(t *testing.T) {
	requests := make(chan *pb.WatchRoutingRequest, 8)
	r := streams(requests, []any{chunk("s", 5, true, true)}, []any{bookmark("s", 6, false)})
	router := connect(t, Config{Registry: serveRegistry(t, r)}).NewRouter(RouterConfig{BookmarkInterval: 20 * time.Millisecond})
	running(t, router)
	if _, err := router.WaitFor(inTime(t), 6); err != nil {
		t.Fatal(err)
	}
	never := streams(nil, nil)
	mute := connect(t, Config{Registry: serveRegistry(t, never), Timeout: 20 * time.Millisecond}).NewRouter(RouterConfig{})
	running(t, mute)
	until(t, "given up", func() bool { return errors.Is(mute.Err(), errSilent) })
}

func TestNextTellsOfEachTable(t *testing.T) {
	r := streams(nil, []any{chunk("s", 5, true, true), bookmark("s", 5, false), bookmark("s", 6, false)})
	router := connect(t, Config{Registry: serveRegistry(t, r)}).NewRouter(RouterConfig{})
	seen := router.Table()
	running(t, router)
	for seen.Revision() < 6 {
		next, err := router.Next(inTime(t), seen)
		if err != nil || next == seen {
			t.Fatal(err)
		}
		seen = next
	}
	hurried, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := router.Next(hurried, seen); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestOneBadCredentialDisturbsNoOther(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	good, bad := providerOf(t, vector), providerOf(t, vector)
	good.Name, bad.Name = "providers/good", "providers/bad"
	spoiled := vector.Sealed()
	spoiled.Envelope = append([]byte(nil), spoiled.Envelope...)
	spoiled.Envelope[100] ^= 1
	r := streams(nil, []any{chunk("s", 5, true, true, good, bad)})
	r.sealed = map[string]*pb.SealedCredential{good.Name: vector.Sealed(), bad.Name: spoiled}
	client := connect(t, Config{Registry: serveRegistry(t, r), KMSSocket: serveSidecar(t, &sidecar{vector: vector})})
	router := client.NewRouter(RouterConfig{})
	if _, err := router.Credential(inTime(t), good.Name); !errors.Is(err, ErrNotFound) {
		t.Error("opened without a table", err)
	}
	running(t, router)
	if _, err := router.WaitFor(inTime(t), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := router.Credential(inTime(t), bad.Name); !errors.Is(err, ErrCredentialCorrupt) {
		t.Error(err)
	}
	first, err := router.Credential(inTime(t), good.Name)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := router.Credential(inTime(t), good.Name); err != nil || second != first {
		t.Error("opened anew", err)
	}
	if fresh, err := router.Open(inTime(t), good.Name); err != nil || fresh == first {
		t.Error("not opened anew", err)
	}
}

func TestACredentialThatIsNewerThanTheTableWaitsForIt(t *testing.T) {
	vector := readVector(t, "openai-api-key")
	after := providerOf(t, vector)
	before := providerOf(t, vector)
	before.CredentialVersion = 0 // the table's, while the registry has version 1
	fetched := make(chan struct{})
	r := &registry{sealed: map[string]*pb.SealedCredential{after.Name: vector.Sealed()}}
	r.watch = func(_ *pb.WatchRoutingRequest, s grpc.ServerStreamingServer[pb.WatchRoutingResponse]) error {
		if err := s.Send(chunk("s", 5, true, true, before)); err != nil {
			return err
		}
		<-fetched
		if err := s.Send(changes("s", 6, put(after))); err != nil {
			return err
		}
		<-s.Context().Done()
		return nil
	}
	address := serveRegistry(t, r, grpc.UnaryInterceptor(
		func(ctx context.Context, q any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if info.FullMethod == pb.RoutingService_BatchGetSealedCredentials_FullMethodName {
				select {
				case fetched <- struct{}{}:
				default:
				}
			}
			return next(ctx, q)
		}))
	client := connect(t, Config{Registry: address, KMSSocket: serveSidecar(t, &sidecar{vector: vector})})
	router := client.NewRouter(RouterConfig{})
	running(t, router)
	if _, err := router.WaitFor(inTime(t), 5); err != nil {
		t.Fatal(err)
	}
	if credential, err := router.Credential(inTime(t), after.Name); err != nil || credential.Version != 1 {
		t.Error(err)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("a life", func(t *testing.T) {
		r := streams(nil, []any{chunk("s", 5, true, true), bookmark("s", 6, true)}, []any{bookmark("s", 7, false)})
		client := connect(t, Config{Registry: serveRegistry(t, r)})
		router := client.NewRouter(RouterConfig{WatcherID: "me"})
		running(t, router)
		if _, err := router.WaitFor(inTime(t), 7); err != nil {
			t.Fatal(err)
		}
		for range client.Watch(inTime(t), &pb.WatchRoutingRequest{}) {
			break
		}
	})
	until(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
}
