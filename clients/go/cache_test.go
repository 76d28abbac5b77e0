package codevector

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "codevector.internal/providers/go/gen/providers/v1"
)

// openings is a cache whose openings succeed after a second, unless err is set, and are counted.
type openings struct {
	cache
	count int
	err   error
}

func newOpenings() *openings {
	o := &openings{}
	o.cache = cache{entries: map[string]*opened{}, open: func(context.Context, string) (*Credential, error) {
		o.count++
		time.Sleep(time.Second)
		if o.err != nil {
			return nil, o.err
		}
		return &Credential{Version: int64(o.count)}, nil
	}}
	return o
}

// expect asks for the credential: the opening it stems from, or 0 for an error.
func (o *openings) expect(t *testing.T, provider *pb.RoutingProvider, live bool, want int64) {
	t.Helper()
	credential, err := o.get(context.Background(), provider, live)
	if want == 0 && err == nil || want != 0 && (err != nil || credential.Version != want) {
		t.Fatalf("got %v, %v; want that of opening %d", credential, err, want)
	}
}

func TestUseDoesNotExtendTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, provider := newOpenings(), named("a", 1)
		for range 29 {
			o.expect(t, provider, true, 1)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Second)
		o.expect(t, provider, true, 2)
	})
}

func TestWithoutALiveWatchACredentialIsOpenedAnewAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, provider := newOpenings(), named("a", 1)
		o.expect(t, provider, true, 1)
		time.Sleep(58 * time.Second)
		o.expect(t, provider, false, 1)
		time.Sleep(time.Second)
		o.expect(t, provider, false, 2)
	})
}

func TestAStaleCredentialServesWhileRegistryOrSidecarIsAway(t *testing.T) {
	for _, away := range []error{ErrStoreUnavailable, ErrKMSUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			o, provider := newOpenings(), named("a", 1)
			o.expect(t, provider, true, 1)
			o.err = away
			time.Sleep(590 * time.Second)
			o.expect(t, provider, false, 1)
			o.expect(t, provider, true, 0) // a live watch has its own, shorter deadline
			time.Sleep(10 * time.Second)
			o.expect(t, provider, false, 0)
			o.err = nil
			time.Sleep(retry)
			o.expect(t, provider, false, int64(o.count)+1)
		})
	}
}

func TestAStaleCredentialDoesNotHideARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, provider := newOpenings(), named("a", 1)
		o.expect(t, provider, true, 1)
		o.err = ErrProviderDisabled
		time.Sleep(61 * time.Second)
		o.expect(t, provider, false, 0)
	})
}

func TestOneOpeningAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, provider := newOpenings(), named("a", 1)
		hurried, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if _, err := o.get(hurried, provider, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		var others sync.WaitGroup
		for range 100 {
			others.Go(func() { // the hurried one left its opening to them
				if credential, err := o.get(context.Background(), provider, true); err != nil || credential.Version != 1 {
					t.Errorf("got %v, %v", credential, err)
				}
			})
		}
		others.Wait()
		if o.count != 1 {
			t.Errorf("%d openings", o.count)
		}
	})
}

func TestFailuresAreNotRepeatedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, provider := newOpenings(), named("a", 1)
		o.err = ErrCredentialCorrupt
		for range 10 {
			o.expect(t, provider, true, 0)
		}
		if o.count != 1 {
			t.Errorf("%d openings", o.count)
		}
		o.err = nil
		time.Sleep(retry)
		o.expect(t, provider, true, 2)
	})
}

func TestWhatTheTableDropsOrReplacesIsDroppedAtOnce(t *testing.T) {
	for what, table := range map[string]*Table{
		"gone":            {storeID: "s"},
		"replaced":        (&Table{storeID: "s"}).with([]*pb.RoutingChange{put(named("a", 2))}, 2, "s@2"),
		"another of that": (&Table{storeID: "s"}).with([]*pb.RoutingChange{put(&pb.RoutingProvider{Name: "providers/a", Uid: "u", CredentialVersion: 1})}, 2, "s@2"),
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOpenings()
			o.expect(t, named("a", 1), true, 1)
			o.keep((&Table{storeID: "s"}).with([]*pb.RoutingChange{put(named("a", 1))}, 1, "s@1"), true)
			if len(o.entries) != 1 {
				t.Fatal("dropped without a reason")
			}
			if o.keep(table, true); len(o.entries) != 0 {
				t.Errorf("%s, and kept", what)
			}
		})
	}
}

func TestAReplacedCredentialIsNeverServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpenings()
		o.expect(t, named("a", 1), true, 1)
		o.expect(t, named("a", 2), true, 2)
	})
}

func TestOldCredentialsAreDroppedUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, table := newOpenings(), (&Table{storeID: "s"}).with([]*pb.RoutingChange{put(named("a", 1))}, 1, "s@1")
		o.expect(t, named("a", 1), true, 1)
		time.Sleep(liveUse)
		if o.keep(table, false); len(o.entries) != 1 {
			t.Fatal("dropped before its time")
		}
		if o.keep(table, true); len(o.entries) != 0 {
			t.Error("kept")
		}
	})
}

func TestAClearedCacheOpensAnewWhatWasBeingOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpenings()
		o.expect(t, named("a", 1), true, 1)
		o.clear()
		go o.get(context.Background(), named("a", 1), true)
		synctest.Wait()
		o.clear()
		o.expect(t, named("a", 1), true, 3)
		o.expect(t, named("a", 1), true, 3)
	})
}

func TestAClosedCacheKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpenings()
		o.expect(t, named("a", 1), true, 1)
		o.close()
		o.expect(t, named("a", 1), true, 2)
		if len(o.entries) != 0 {
			t.Error("kept")
		}
	})
}
