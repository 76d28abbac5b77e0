package codevector

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/protobuf/proto"
)

// How long an opened credential is used, counted from when its opening began; using it does not extend that. With a
// live watch, which reports changes, that is liveUse. Without one it is reopened after freshUse, and used up to
// staleUse if the registry or the sidecar is unavailable.
const (
	liveUse  = 300 * time.Second
	freshUse = 60 * time.Second
	staleUse = 600 * time.Second
	retry    = time.Second // the least time between two failed openings
)

// cache holds opened credentials by provider name.
type cache struct {
	open func(ctx context.Context, provider string) (*Credential, error)

	mu      sync.Mutex
	entries map[string]*opened
	closed  bool
}

type opened struct {
	provider   *pb.RoutingProvider // as it was when the credential was asked for
	credential *Credential
	since      time.Time
	failure    error
	failed     time.Time
	flight     *flight // the opening under way
}

type flight struct {
	landed     chan struct{}
	credential *Credential
	err        error
}

// get returns the credential of a provider as the table has it, opening it at most once at a time.
func (c *cache) get(ctx context.Context, provider *pb.RoutingProvider, live bool) (*Credential, error) {
	fresh, limit := freshUse, staleUse
	if live {
		fresh, limit = liveUse, liveUse
	}
	entry, under, err := c.board(ctx, provider, fresh)
	if err == nil && under == nil {
		return entry.credential, nil
	}
	if err == nil {
		select {
		case <-under.landed:
			err = under.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if err == nil {
		return under.credential, nil
	}
	if entry.credential != nil && isAway(err) && time.Since(entry.since) < limit {
		return entry.credential, nil
	}
	return nil, err
}

// board returns a copy of the provider's entry, and the opening to wait for, unless the credential is fresh or has just
// failed to open.
func (c *cache) board(ctx context.Context, provider *pb.RoutingProvider, fresh time.Duration) (opened, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[provider.GetName()]
	if entry == nil || !sameCredential(entry.provider, provider) {
		entry = &opened{provider: provider}
		if !c.closed {
			c.entries[provider.GetName()] = entry
		}
	}
	if entry.credential != nil && time.Since(entry.since) < fresh {
		return *entry, nil, nil
	}
	if entry.flight == nil && entry.failure != nil && time.Since(entry.failed) < retry {
		return *entry, nil, entry.failure
	}
	if entry.flight == nil {
		entry.flight = &flight{landed: make(chan struct{})}
		go c.fly(context.WithoutCancel(ctx), entry, entry.flight)
	}
	return *entry, entry.flight, nil
}

// fly opens one credential. Each call that it makes has a deadline, and no caller's context ends it: others wait too.
func (c *cache) fly(ctx context.Context, entry *opened, flight *flight) {
	began := time.Now()
	flight.credential, flight.err = c.open(ctx, entry.provider.GetName())
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry.flight, entry.failure = nil, flight.err; flight.err != nil {
		entry.failed = time.Now()
	} else {
		entry.credential, entry.since = flight.credential, began
	}
	close(flight.landed)
}

// keep drops credentials that the table no longer has, that were replaced, or that are too old.
func (c *cache) keep(table *Table, live bool) {
	limit := staleUse
	if live {
		limit = liveUse
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, entry := range c.entries {
		current := table.Provider(name)
		gone := current == nil || !sameCredential(entry.provider, current)
		if gone || entry.credential != nil && entry.flight == nil && time.Since(entry.since) >= limit {
			delete(c.entries, name)
		}
	}
}

// clear drops all. What is being opened meanwhile is not kept.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// close drops all credentials and keeps none afterwards.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	clear(c.entries)
}

func sameCredential(one, other *pb.RoutingProvider) bool {
	return one.GetUid() == other.GetUid() && one.GetKind() == other.GetKind() &&
		one.GetCredentialType() == other.GetCredentialType() &&
		one.GetCredentialVersion() == other.GetCredentialVersion() && proto.Equal(one.GetConfig(), other.GetConfig())
}

func isAway(err error) bool {
	return errors.Is(err, ErrStoreUnavailable) || errors.Is(err, ErrKMSUnavailable)
}
