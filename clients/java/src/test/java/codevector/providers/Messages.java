package codevector.providers;

import codevector.providers.v1.ActiveModel;
import codevector.providers.v1.ActiveProviderModel;
import codevector.providers.v1.Bookmark;
import codevector.providers.v1.ChangeSet;
import codevector.providers.v1.RoutingChange;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SnapshotChunk;
import codevector.providers.v1.WatchRoutingResponse;
import java.util.List;

/** Messages of a watch, as short as tests want them. */
final class Messages {
    private Messages() {}

    /** What proves a table of a test's registry. */
    static String token(long revision, String storeId) {
        return revision == 0 ? "" : storeId + "@" + revision;
    }

    static RoutingProvider provider(String id) {
        return RoutingProvider.newBuilder().setName("providers/" + id).build();
    }

    static WatchRoutingResponse chunk(boolean first, boolean last, long revision, String storeId, String... ids) {
        SnapshotChunk.Builder chunk = SnapshotChunk.newBuilder().setFirst(first).setLast(last);
        if (first) {
            chunk.setReason(SnapshotChunk.Reason.REASON_STORE_CHANGED);
        }
        for (String id : ids) {
            chunk.addProviders(provider(id));
        }
        return message(revision, storeId).setSnapshotChunk(chunk).build();
    }

    static WatchRoutingResponse snapshot(SnapshotChunk.Reason reason, long revision, RoutingProvider provider) {
        SnapshotChunk.Builder chunk = SnapshotChunk.newBuilder()
                .setFirst(true)
                .setLast(true)
                .setReason(reason)
                .addProviders(provider);
        return message(revision, "s").setSnapshotChunk(chunk).build();
    }

    static WatchRoutingResponse changes(long revision, String storeId, RoutingChange... changes) {
        ChangeSet set = ChangeSet.newBuilder().addAllChanges(List.of(changes)).build();
        return message(revision, storeId).setChangeSet(set).build();
    }

    static WatchRoutingResponse bookmark(long revision, String storeId, boolean draining) {
        return message(revision, storeId).setBookmark(Bookmark.newBuilder().setDraining(draining)).build();
    }

    static RoutingChange putProvider(String id) {
        return RoutingChange.newBuilder().setProvider(provider(id)).build();
    }

    static RoutingChange putProviderModel(String name) {
        return RoutingChange.newBuilder()
                .setProviderModel(ActiveProviderModel.newBuilder().setName(name))
                .build();
    }

    static RoutingChange putModel(String name) {
        return RoutingChange.newBuilder().setModel(ActiveModel.newBuilder().setName(name)).build();
    }

    static RoutingChange removed(String name) {
        return RoutingChange.newBuilder().setRemoved(name).build();
    }

    private static WatchRoutingResponse.Builder message(long revision, String storeId) {
        return WatchRoutingResponse.newBuilder()
                .setRevision(revision)
                .setStoreId(storeId)
                .setToken(token(revision, storeId));
    }
}
