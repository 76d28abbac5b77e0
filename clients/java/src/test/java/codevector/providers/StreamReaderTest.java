package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import codevector.providers.StreamReader.Changed;
import codevector.providers.StreamReader.Draining;
import codevector.providers.StreamReader.Nothing;
import codevector.providers.StreamReader.Reset;
import codevector.providers.v1.RoutingChange;
import codevector.providers.v1.SnapshotChunk.Reason;
import codevector.providers.v1.WatchRoutingResponse;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What messages do to a table. */
class StreamReaderTest {
    private static final RoutingTable TABLE = table(10, "s", "a", "b");

    private static RoutingTable table(long revision, String storeId, String... ids) {
        RoutingTable.Draft draft = new RoutingTable.Draft(RoutingTable.EMPTY);
        Stream.of(ids).forEach(id -> draft.apply(Messages.putProvider(id)));
        return draft.finish(revision, storeId, Messages.token(revision, storeId));
    }

    @Test
    void aSnapshotIsUsedWithItsLastChunk() {
        StreamReader reader = new StreamReader(TABLE);
        assertInstanceOf(Nothing.class, reader.read(Messages.chunk(true, false, 0, "t", "c")));
        assertInstanceOf(Nothing.class, reader.read(Messages.chunk(false, false, 0, "t", "d")));
        Reset reset = (Reset) reader.read(Messages.chunk(false, true, 3, "t", "e"));
        assertEquals(table(3, "t", "c", "d", "e"), reset.table());
        assertEquals(Reason.REASON_STORE_CHANGED, reset.reason());
    }

    @Test
    void aSnapshotThatBeginsAnewForgetsTheOneBefore() {
        StreamReader reader = new StreamReader(TABLE);
        reader.read(Messages.chunk(true, false, 0, "t", "c"));
        Reset reset = (Reset) reader.read(Messages.chunk(true, true, 4, "t", "d"));
        assertEquals(Set.of("providers/d"), reset.table().providers().keySet());
    }

    @Test
    void aChangeSetPutsAndRemoves() {
        WatchRoutingResponse message =
                Messages.changes(11, "s", Messages.removed("providers/a"), Messages.putProvider("c"));
        Changed changed = (Changed) new StreamReader(TABLE).read(message);
        assertEquals(table(11, "s", "b", "c"), changed.table());
        assertEquals(Set.of("providers/a", "providers/b"), TABLE.providers().keySet());
        assertSame(TABLE.models(), changed.table().models());
    }

    @Test
    void namesAreRemovedFromTheirOwnPart() {
        RoutingTable.Draft draft = new RoutingTable.Draft(TABLE);
        draft.apply(Messages.putProviderModel("providers/a/models/m"));
        draft.apply(Messages.putModel("models/m"));
        RoutingTable full = draft.finish(11, "s", "s@11");
        WatchRoutingResponse message =
                Messages.changes(12, "s", Messages.removed("models/m"), Messages.removed("providers/a/models/m"));
        Changed changed = (Changed) new StreamReader(full).read(message);
        assertEquals(TABLE.at(12, "s@12"), changed.table());
    }

    @ParameterizedTest
    @MethodSource("old")
    void whatIsNotAboveTheTableIsIgnored(WatchRoutingResponse message) {
        assertInstanceOf(Nothing.class, new StreamReader(TABLE).read(message));
    }

    static Stream<WatchRoutingResponse> old() {
        return Stream.of(
                Messages.changes(10, "s", Messages.removed("providers/a")),
                Messages.changes(9, "s", Messages.removed("providers/a")),
                Messages.bookmark(10, "s", false),
                Messages.bookmark(9, "s", false),
                WatchRoutingResponse.getDefaultInstance());
    }

    @Test
    void aChangeOfANewerServerIsNoChange() {
        WatchRoutingResponse message = Messages.changes(11, "s", RoutingChange.getDefaultInstance());
        assertEquals(new Changed(TABLE.at(11, "s@11")), new StreamReader(TABLE).read(message));
    }

    @Test
    void aBookmarkMovesTheRevision() {
        assertEquals(new Changed(TABLE.at(12, "s@12")), new StreamReader(TABLE).read(Messages.bookmark(12, "s", false)));
        assertEquals(new Draining(TABLE.at(12, "s@12")), new StreamReader(TABLE).read(Messages.bookmark(12, "s", true)));
        assertEquals(new Draining(TABLE), new StreamReader(TABLE).read(Messages.bookmark(10, "s", true)));
    }

    @ParameterizedTest
    @MethodSource("broken")
    void aStreamThatBreaksTheRulesIsAnError(WatchRoutingResponse message) {
        assertThrows(IllegalStateException.class, () -> new StreamReader(TABLE).read(message));
    }

    static Stream<WatchRoutingResponse> broken() {
        return Stream.of(
                Messages.chunk(false, true, 11, "s", "c"),
                Messages.chunk(true, true, 11, "", "c"),
                Messages.changes(11, "t", Messages.putProvider("c")),
                Messages.bookmark(11, "t", false),
                Messages.bookmark(9, "t", false));
    }

    @Test
    void aServerMayDrainBeforeItsFirstSnapshot() {
        StreamReader reader = new StreamReader(RoutingTable.EMPTY);
        assertEquals(new Draining(RoutingTable.EMPTY), reader.read(Messages.bookmark(12, "s", true)));
    }

    @Test
    void aChangeSetInsideASnapshotIsAnError() {
        StreamReader reader = new StreamReader(TABLE);
        reader.read(Messages.chunk(true, false, 0, "s", "c"));
        WatchRoutingResponse message = Messages.changes(11, "s", Messages.putProvider("d"));
        assertThrows(IllegalStateException.class, () -> reader.read(message));
    }
}
