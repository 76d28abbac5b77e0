package codevector.providers;

import codevector.providers.v1.ChangeSet;
import codevector.providers.v1.SnapshotChunk;
import codevector.providers.v1.WatchRoutingResponse;

/**
 * What the messages of one stream do to a table. A snapshot becomes a new table, which is returned with its last
 * chunk; what is not above the table's revision is ignored; a stream that breaks the rules is an IllegalStateException,
 * and the table stays.
 */
final class StreamReader {
    private RoutingTable table;
    private RoutingTable.Draft draft; // null outside a snapshot
    private SnapshotChunk.Reason reason = SnapshotChunk.Reason.REASON_UNSPECIFIED;

    StreamReader(RoutingTable table) {
        this.table = table;
    }

    /** What one message led to. */
    sealed interface Outcome {}

    /** Nothing but a sign of life. */
    record Nothing() implements Outcome {}

    /** Another table is complete. */
    record Changed(RoutingTable table) implements Outcome {}

    /** A table that does not follow from the one before is complete. */
    record Reset(RoutingTable table, SnapshotChunk.Reason reason) implements Outcome {}

    /** The server is about to end the stream. */
    record Draining(RoutingTable table) implements Outcome {}

    Outcome read(WatchRoutingResponse message) {
        return switch (message.getEventCase()) {
            case SNAPSHOT_CHUNK -> read(message, message.getSnapshotChunk());
            case CHANGE_SET -> read(message, message.getChangeSet());
            case BOOKMARK -> {
                boolean draining = message.getBookmark().getDraining();
                Outcome moved = draining && table == RoutingTable.EMPTY ? new Nothing() : moveTo(message);
                yield draining ? new Draining(table) : moved;
            }
            case EVENT_NOT_SET -> new Nothing(); // of a newer server
        };
    }

    private Outcome read(WatchRoutingResponse message, SnapshotChunk chunk) {
        if (chunk.getFirst()) {
            draft = new RoutingTable.Draft(RoutingTable.EMPTY);
            reason = chunk.getReason();
        } else if (draft == null) {
            throw broken("a snapshot without a beginning");
        }
        draft.add(chunk);
        if (!chunk.getLast()) {
            return new Nothing();
        }
        if (message.getStoreId().isEmpty()) {
            throw broken("a snapshot of no store");
        }
        table = draft.finish(message.getRevision(), message.getStoreId(), message.getToken());
        draft = null;
        return new Reset(table, reason);
    }

    private Outcome read(WatchRoutingResponse message, ChangeSet changes) {
        checkStore(message);
        if (message.getRevision() <= table.revision()) {
            return new Nothing();
        }
        RoutingTable.Draft next = new RoutingTable.Draft(table);
        changes.getChangesList().forEach(next::apply);
        table = next.finish(message.getRevision(), table.storeId(), message.getToken());
        return new Changed(table);
    }

    private Outcome moveTo(WatchRoutingResponse bookmark) {
        if (draft != null) {
            return new Nothing();
        }
        checkStore(bookmark);
        if (bookmark.getRevision() <= table.revision()) {
            return new Nothing();
        }
        table = table.at(bookmark.getRevision(), bookmark.getToken());
        return new Changed(table);
    }

    private void checkStore(WatchRoutingResponse message) {
        if (draft != null || !message.getStoreId().equals(table.storeId())) {
            throw broken("a change of another table");
        }
    }

    private static IllegalStateException broken(String what) {
        return new IllegalStateException("The registry sent " + what + ".");
    }
}
