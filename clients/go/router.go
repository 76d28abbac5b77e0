package codevector

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	missedBookmarks = 3 // after so many silent intervals the watch is dead
	reportInterval  = time.Second
	firstBackoff    = 100 * time.Millisecond
)

// RouterConfig says how a Router watches. The zero value is sensible.
type RouterConfig struct {
	// WatcherID names this router to operators, e.g. its pod. Empty: the registry does not count it, and it reports
	// nothing.
	WatcherID string
	// BookmarkInterval is the longest silence of a healthy watch, 1 s to 60 s; 15 s if 0.
	BookmarkInterval time.Duration
}

// Router holds the routing table and keeps it current while Run runs. While the registry is unavailable it keeps the
// last good table. It is safe for concurrent use.
type Router struct {
	client *Client
	config RouterConfig
	cache  cache
	// session tells this router from another process of the same WatcherID.
	session []byte

	mu      sync.Mutex
	table   *Table
	resets  []string
	watches int       // how many streams have been opened
	last    time.Time // time of the last message of the open one; zero: none is open
	err     error
	changed chan struct{} // closed and replaced when something above has changed
}

// NewRouter makes a Router with an empty table. Run fills it.
func (c *Client) NewRouter(config RouterConfig) *Router {
	config.BookmarkInterval = cmp.Or(config.BookmarkInterval, 15*time.Second)
	session := make([]byte, 16)
	_, _ = crand.Read(session) // never fails
	router := &Router{client: c, config: config, session: session, table: &Table{}, changed: make(chan struct{})}
	router.cache = cache{open: router.Open, entries: map[string]*opened{}}
	return router
}

// Run watches until the context ends, and returns why it ended. It then drops every credential and reports that this
// router stops. Call it once.
func (r *Router) Run(ctx context.Context) error {
	var reporting sync.WaitGroup
	reporting.Go(func() { r.report(ctx) })
	for failures := 0; ctx.Err() == nil; failures++ {
		opened, longest := time.Now(), r.client.config.MaxBackoff
		err := r.follow(ctx)
		r.update(func() { r.last, r.err = time.Time{}, err })
		if time.Since(opened) > longest {
			failures = 0
		}
		if !errors.Is(err, errDraining) {
			longest = min(longest, firstBackoff<<min(failures, 10))
		}
		r.client.registry.ResetConnectBackoff()
		sleep(ctx, rand.N(longest)) // all of it random, so that thousands of routers do not reconnect at once
	}
	reporting.Wait()
	r.cache.close()
	r.sayStopping(ctx)
	return context.Cause(ctx)
}

// Table is the table in use: never nil, and empty before the first snapshot.
func (r *Router) Table() *Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table
}

// WaitFor waits until the table in use is at the revision or above.
func (r *Router) WaitFor(ctx context.Context, revision int64) (*Table, error) {
	return r.await(ctx, func(table *Table) bool { return table.Revision() >= revision })
}

// Next waits until a table other than this one is in use: at another revision, or of another store.
func (r *Router) Next(ctx context.Context, seen *Table) (*Table, error) {
	return r.await(ctx, func(table *Table) bool { return table != seen })
}

func (r *Router) await(ctx context.Context, suits func(*Table) bool) (*Table, error) {
	for {
		r.mu.Lock()
		table, changed := r.table, r.changed
		r.mu.Unlock()
		if suits(table) {
			return table, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Connected reports whether a watch is open and had a message within three bookmark intervals.
func (r *Router) Connected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.last.IsZero() && time.Since(r.last) < missedBookmarks*r.config.BookmarkInterval
}

// Err is why the last watch ended; nil while one is open.
func (r *Router) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Resets are the reasons of the snapshots taken, e.g. INITIAL, COMPACTED. STORE_CHANGED and REVISION_AHEAD ask for an
// alarm: the registry has another history, e.g. its database was restored.
func (r *Router) Resets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.resets...)
}

// Credential gives the opened credential of a provider of the table. It is kept as long as docs say that it may be
// used: dropped at once when the provider is disabled or its credential replaced, and opened anew after minutes.
func (r *Router) Credential(ctx context.Context, provider string) (*Credential, error) {
	for {
		asked, err := r.provider(provider)
		if err != nil {
			return nil, err
		}
		credential, err := r.cache.get(ctx, asked, r.Connected())
		if err != nil {
			return nil, err
		}
		if now := r.Table().Provider(provider); now != nil && sameCredential(asked, now) {
			return credential, nil
		}
	}
}

// Open opens the credential of a provider of the table, and keeps nothing.
func (r *Router) Open(ctx context.Context, provider string) (*Credential, error) {
	var asked *Table
	return r.client.openNewest(ctx, func(attempt int) (*pb.RoutingProvider, error) {
		if attempt > 1 { // the registry has something newer than the table: it is on its way
			soon, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, _ = r.Next(soon, asked)
		}
		asked = r.Table()
		return r.provider(provider)
	})
}

func (r *Router) provider(name string) (*pb.RoutingProvider, error) {
	if provider := r.Table().Provider(name); provider != nil {
		return provider, nil
	}
	return nil, fail(ErrNotFound, "%s does not exist or is not active", name)
}

var (
	errDraining = errors.New("codevector: the registry is about to stop")
	errSilent   = errors.New("codevector: the watch has gone silent")
)

// follow opens one watch and applies what it sends, until it ends.
func (r *Router) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(r.client.config.Timeout, func() { cancel(errSilent) })
	defer watchdog.Stop()
	r.update(func() { r.watches++ })
	assembly := assembly{inUse: r.Table()}
	request := &pb.WatchRoutingRequest{
		ResumeToken:      assembly.inUse.Token(),
		BookmarkInterval: durationpb.New(r.config.BookmarkInterval),
		WatcherId:        r.config.WatcherID,
		Session:          r.session,
	}
	for message, err := range r.client.Watch(ctx, request) {
		if err != nil {
			return err
		}
		watchdog.Reset(missedBookmarks * r.config.BookmarkInterval)
		reset, err := assembly.apply(message)
		if err != nil {
			return err
		}
		r.use(assembly.inUse, reset, assembly.reason)
		if message.GetBookmark().GetDraining() {
			return errDraining
		}
	}
	return nil
}

// use notes a sign of life, and installs a new table. In another history the version of a credential names another
// credential, so that those of the old one are dropped first.
func (r *Router) use(table *Table, reset bool, reason pb.SnapshotChunk_Reason) {
	if reset && isOtherHistory(reason) {
		slog.Error("the registry has another history: its database was restored or failed over",
			"store", table.StoreID(), "revision", table.Revision())
		r.cache.clear()
	}
	r.update(func() {
		r.last, r.err, r.table = time.Now(), nil, table
		if reset {
			r.resets = append(r.resets, strings.TrimPrefix(reason.String(), "REASON_"))
		}
	})
	r.cache.keep(table, true)
}

func isOtherHistory(reason pb.SnapshotChunk_Reason) bool {
	return reason == pb.SnapshotChunk_REASON_STORE_CHANGED || reason == pb.SnapshotChunk_REASON_REVISION_AHEAD
}

func (r *Router) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// report sends the registry the token of the table in use, soon and at most once a second; again on each watch, since a
// registry that was killed may have forgotten. In passing it drops the credentials that have become too old.
func (r *Router) report(ctx context.Context) {
	type news struct {
		watch int
		token string
	}
	var reported news
	for ctx.Err() == nil {
		r.mu.Lock()
		table, changed, connected := r.table, r.changed, !r.last.IsZero()
		fresh := news{r.watches, table.token}
		r.mu.Unlock()
		r.cache.keep(table, r.Connected())
		if r.config.WatcherID != "" && connected && fresh != reported && fresh.token != "" {
			err := r.client.ReportAppliedRevision(ctx, &pb.ReportAppliedRevisionRequest{
				WatcherId: r.config.WatcherID, Session: r.session, Token: fresh.token,
			})
			if err == nil {
				reported = fresh
			}
			sleep(ctx, reportInterval)
		}
		select {
		case <-changed:
		case <-time.After(r.config.BookmarkInterval):
		case <-ctx.Done():
		}
	}
}

func (r *Router) sayStopping(ctx context.Context) {
	if r.config.WatcherID == "" {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = r.client.ReportAppliedRevision(last, &pb.ReportAppliedRevisionRequest{
		WatcherId: r.config.WatcherID, Session: r.session, Stopping: true,
	})
}

// sleep returns after a while, or when the context ends.
func sleep(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
