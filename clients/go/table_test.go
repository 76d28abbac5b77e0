package codevector

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/protobuf/proto"
)

// token is what the tests' registry proves its tables by.
func token(store string, revision int64) string {
	if revision == 0 {
		return ""
	}
	return fmt.Sprintf("%s@%d", store, revision)
}

func chunk(store string, revision int64, first, last bool, providers ...*pb.RoutingProvider) *pb.WatchRoutingResponse {
	return &pb.WatchRoutingResponse{StoreId: store, Revision: revision, Token: token(store, revision), Event: &pb.WatchRoutingResponse_SnapshotChunk{
		SnapshotChunk: &pb.SnapshotChunk{First: first, Last: last, Providers: providers, Reason: pb.SnapshotChunk_REASON_INITIAL}}}
}

func changes(store string, revision int64, all ...*pb.RoutingChange) *pb.WatchRoutingResponse {
	return &pb.WatchRoutingResponse{StoreId: store, Revision: revision, Token: token(store, revision), Event: &pb.WatchRoutingResponse_ChangeSet{
		ChangeSet: &pb.ChangeSet{Changes: all}}}
}

func bookmark(store string, revision int64, draining bool) *pb.WatchRoutingResponse {
	return &pb.WatchRoutingResponse{StoreId: store, Revision: revision, Token: token(store, revision), Event: &pb.WatchRoutingResponse_Bookmark{
		Bookmark: &pb.Bookmark{Draining: draining}}}
}

func put(provider *pb.RoutingProvider) *pb.RoutingChange {
	return &pb.RoutingChange{Change: &pb.RoutingChange_Provider{Provider: provider}}
}

func removed(name string) *pb.RoutingChange {
	return &pb.RoutingChange{Change: &pb.RoutingChange_Removed{Removed: name}}
}

func named(name string, version int64) *pb.RoutingProvider {
	return &pb.RoutingProvider{Name: "providers/" + name, CredentialVersion: version}
}

func versions(table *Table) map[string]int64 {
	all := map[string]int64{}
	for _, provider := range table.Providers() {
		all[provider.GetName()] = provider.GetCredentialVersion()
	}
	return all
}

func applyAll(t *testing.T, messages ...*pb.WatchRoutingResponse) *assembly {
	t.Helper()
	stream := &assembly{inUse: &Table{}}
	for _, message := range messages {
		if _, err := stream.apply(message); err != nil {
			t.Fatal(err)
		}
	}
	return stream
}

func TestASnapshotReplacesTheTableOnItsLastChunk(t *testing.T) {
	stream := applyAll(t, chunk("s", 9, true, true, named("a", 1)))
	before := stream.inUse
	for i, message := range []*pb.WatchRoutingResponse{
		chunk("t", 0, true, false, named("b", 1)), chunk("t", 0, false, false), chunk("t", 4, false, true, named("c", 1)),
	} {
		reset, err := stream.apply(message)
		if last := i == 2; err != nil || reset != last || (stream.inUse == before) == last {
			t.Fatalf("chunk %d: reset %v, %v", i, reset, err)
		}
	}
	if table := stream.inUse; table.Revision() != 4 || table.StoreID() != "t" || table.Token() != "t@4" || table.Provider("providers/a") != nil ||
		table.Provider("providers/b") == nil || table.Provider("providers/c") == nil {
		t.Errorf("%v of %s at %d", versions(table), table.StoreID(), table.Revision())
	}
}

func TestChangesOfARevisionComeTogether(t *testing.T) {
	model, userModel := &pb.ActiveProviderModel{Name: "providers/a/models/m"}, &pb.ActiveModel{Name: "models/m"}
	stream := applyAll(t, chunk("s", 1, true, true, named("a", 1), named("b", 1)))
	before := stream.inUse
	messages := []*pb.WatchRoutingResponse{
		changes("s", 2, put(named("a", 2)), removed("providers/b"), &pb.RoutingChange{},
			&pb.RoutingChange{Change: &pb.RoutingChange_ProviderModel{ProviderModel: model}},
			&pb.RoutingChange{Change: &pb.RoutingChange_Model{Model: userModel}}),
		changes("s", 2, removed("providers/a")), // not above the table's revision
		changes("s", 1, removed("providers/a")),
		bookmark("s", 1, false),
		bookmark("s", 7, false),
		{StoreId: "s", Revision: 8}, // an event of a newer registry
	}
	for _, message := range messages {
		if _, err := stream.apply(message); err != nil {
			t.Fatal(err)
		}
	}
	table := stream.inUse
	if !reflect.DeepEqual(versions(table), map[string]int64{"providers/a": 2}) || table.Revision() != 7 || table.Token() != "s@7" ||
		table.ProviderModel(model.Name) != model || table.Model(userModel.Name) != userModel {
		t.Errorf("%v at %d", versions(table), table.Revision())
	}
	if !reflect.DeepEqual(versions(before), map[string]int64{"providers/a": 1, "providers/b": 1}) || len(before.Models()) != 0 {
		t.Errorf("the table before has changed: %v", versions(before))
	}
	if _, err := stream.apply(changes("s", 8, removed("models/m"), removed("providers/a/models/m"))); err != nil {
		t.Fatal(err)
	}
	if len(stream.inUse.Models())+len(stream.inUse.ProviderModels()) != 0 || stream.inUse.Token() != "s@8" {
		t.Error("what was removed is there")
	}
}

func TestMalformedStreamsLeaveTheTable(t *testing.T) {
	for what, messages := range map[string][]*pb.WatchRoutingResponse{
		"changes of another store":    {changes("t", 6, removed("providers/a"))},
		"a bookmark of another store": {bookmark("t", 6, false)},
		"no first chunk":              {chunk("s", 6, false, true)},
		"a chunk of another store":    {chunk("t", 0, true, false), chunk("u", 6, false, true)},
		"changes in a snapshot":       {chunk("s", 0, true, false), changes("s", 6, removed("providers/a"))},
		"no store":                    {chunk("", 6, true, true)},
		"a negative revision":         {chunk("t", -1, true, true)},
	} {
		stream := applyAll(t, chunk("s", 5, true, true, named("a", 1)))
		before := stream.inUse
		var err error
		for _, message := range messages {
			_, err = stream.apply(message)
		}
		if !errors.Is(err, ErrMalformedStream) || stream.inUse != before {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, message := range map[string]*pb.WatchRoutingResponse{
		"changes": changes("", 1, put(named("a", 1))), "a bookmark": bookmark("", 1, false),
	} {
		stream := &assembly{inUse: &Table{}}
		if _, err := stream.apply(message); !errors.Is(err, ErrMalformedStream) {
			t.Errorf("%s before any snapshot: %v", what, err)
		}
	}
}

// TestAnyHistory plays random histories, with repetitions as they come after a resume, against a plain map.
func TestAnyHistory(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		stream, want := applyAll(t, chunk("s", 1, true, true)), map[string]int64{}
		var history []*pb.WatchRoutingResponse
		for revision := int64(2); revision < 40; revision++ {
			var set []*pb.RoutingChange
			for range random.IntN(4) {
				name := fmt.Sprint("p", random.IntN(6))
				if random.IntN(3) == 0 {
					delete(want, "providers/"+name)
					set = append(set, removed("providers/"+name))
				} else {
					want["providers/"+name] = revision
					set = append(set, put(named(name, revision)))
				}
			}
			history = append(history, changes("s", revision, set...))
			for _, message := range history[random.IntN(len(history)):] {
				if _, err := stream.apply(proto.Clone(message).(*pb.WatchRoutingResponse)); err != nil {
					t.Fatal(err)
				}
			}
			if got := versions(stream.inUse); stream.inUse.Revision() == revision && !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, revision %d: %v, want %v", seed, revision, got, want)
			}
		}
	}
}
