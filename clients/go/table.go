package codevector

import (
	"slices"
	"strings"

	pb "codevector.internal/providers/go/gen/providers/v1"
)

// Table is the routing table at one revision. It never changes, and its entries are shared: do not change them.
type Table struct {
	revision       int64
	storeID        string
	token          string
	providers      entries[*pb.RoutingProvider]
	providerModels entries[*pb.ActiveProviderModel]
	models         entries[*pb.ActiveModel]
}

// Revision is the registry's revision that the table is at.
func (t *Table) Revision() int64 { return t.revision }

// StoreID is the store that the revision belongs to; empty before the first snapshot.
func (t *Table) StoreID() string { return t.storeID }

// Token proves to the registry which table this is: revision numbers repeat after a restore or a failover, tokens do
// not. Opaque; empty before the first snapshot.
func (t *Table) Token() string { return t.token }

// Provider returns a routable provider by its name, or nil.
func (t *Table) Provider(name string) *pb.RoutingProvider { return t.providers.get(name) }

// ProviderModel returns a routable provider model by its name, or nil.
func (t *Table) ProviderModel(name string) *pb.ActiveProviderModel { return t.providerModels.get(name) }

// Model returns a routable model by its name, or nil. Its backends are in the order in which to try them.
func (t *Table) Model(name string) *pb.ActiveModel { return t.models.get(name) }

// Providers are all routable providers, ordered by name.
func (t *Table) Providers() []*pb.RoutingProvider { return slices.Clone(t.providers) }

// ProviderModels are all routable provider models, ordered by name.
func (t *Table) ProviderModels() []*pb.ActiveProviderModel { return slices.Clone(t.providerModels) }

// Models are all routable models, ordered by name.
func (t *Table) Models() []*pb.ActiveModel { return slices.Clone(t.models) }

// with is the table after the changes of one revision.
func (t *Table) with(changes []*pb.RoutingChange, revision int64, token string) *Table {
	next := *t
	next.revision, next.token = revision, token
	if len(changes) == 0 {
		return &next
	}
	next.providers, next.providerModels, next.models =
		slices.Clone(t.providers), slices.Clone(t.providerModels), slices.Clone(t.models)
	for _, change := range changes {
		switch entry := change.GetChange().(type) {
		case *pb.RoutingChange_Provider:
			next.providers.put(entry.Provider)
		case *pb.RoutingChange_ProviderModel:
			next.providerModels.put(entry.ProviderModel)
		case *pb.RoutingChange_Model:
			next.models.put(entry.Model)
		case *pb.RoutingChange_Removed:
			// A name is of one collection only: providers/…, providers/…/models/… or models/….
			next.providers.remove(entry.Removed)
			next.providerModels.remove(entry.Removed)
			next.models.remove(entry.Removed)
		}
	}
	return &next
}

// entries are sorted by name. A copy for the next revision costs a tenth of what a map's does.
type entries[E interface{ GetName() string }] []E

func (e entries[E]) find(name string) (index int, there bool) {
	return slices.BinarySearchFunc(e, name, func(entry E, name string) int { return strings.Compare(entry.GetName(), name) })
}

func (e entries[E]) get(name string) (entry E) {
	if index, there := e.find(name); there {
		entry = e[index]
	}
	return entry
}

func (e *entries[E]) put(entry E) {
	index, there := e.find(entry.GetName())
	if there {
		(*e)[index] = entry
	} else {
		*e = slices.Insert(*e, index, entry)
	}
}

func (e *entries[E]) remove(name string) {
	if index, there := e.find(name); there {
		*e = slices.Delete(*e, index, index+1)
	}
}

// assembly follows one stream: the table in use, and the one that a snapshot is building.
type assembly struct {
	inUse    *Table
	building *Table
	reason   pb.SnapshotChunk_Reason // why the newest snapshot was sent
}

// apply takes one message. reset is true after a complete snapshot. After an error the stream is unusable, and inUse is
// unchanged.
func (a *assembly) apply(message *pb.WatchRoutingResponse) (reset bool, err error) {
	switch event := message.GetEvent().(type) {
	case *pb.WatchRoutingResponse_SnapshotChunk:
		return a.snapshotChunk(message, event.SnapshotChunk)
	case *pb.WatchRoutingResponse_ChangeSet:
		return false, a.move(message, event.ChangeSet.GetChanges())
	case *pb.WatchRoutingResponse_Bookmark:
		return false, a.move(message, nil)
	}
	return false, nil // from a newer registry
}

// move applies a change set, or a bookmark's none. What is not above the table's revision is there already.
func (a *assembly) move(message *pb.WatchRoutingResponse, changes []*pb.RoutingChange) error {
	if a.building != nil || a.inUse.storeID == "" || a.inUse.storeID != message.GetStoreId() {
		return fail(ErrMalformedStream, "a change comes before its table")
	}
	if message.GetRevision() > a.inUse.revision {
		a.inUse = a.inUse.with(changes, message.GetRevision(), message.GetToken())
	}
	return nil
}

// snapshotChunk builds beside the table in use, which the last chunk replaces.
func (a *assembly) snapshotChunk(message *pb.WatchRoutingResponse, chunk *pb.SnapshotChunk) (reset bool, err error) {
	if chunk.GetFirst() {
		a.building, a.reason = &Table{storeID: message.GetStoreId()}, chunk.GetReason()
	}
	if a.building == nil || a.building.storeID != message.GetStoreId() {
		return false, fail(ErrMalformedStream, "a snapshot does not begin with its first chunk")
	}
	for _, entry := range chunk.GetProviders() {
		a.building.providers.put(entry)
	}
	for _, entry := range chunk.GetProviderModels() {
		a.building.providerModels.put(entry)
	}
	for _, entry := range chunk.GetModels() {
		a.building.models.put(entry)
	}
	if !chunk.GetLast() {
		return false, nil
	}
	if message.GetRevision() < 0 || message.GetStoreId() == "" {
		return false, fail(ErrMalformedStream, "a snapshot ends without its revision and store")
	}
	a.building.revision, a.building.token = message.GetRevision(), message.GetToken()
	a.inUse, a.building = a.building, nil
	return true, nil
}
