package codevector.providers;

import static codevector.providers.RegistryDouble.next;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import codevector.providers.ProvidersException.NotFound;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SnapshotChunk.Reason;
import codevector.providers.v1.WatchRoutingRequest;
import codevector.providers.v1.WatchRoutingResponse;
import com.google.protobuf.ByteString;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** How the table survives what streams do. With a true registry: tests/conformance. */
class RouterTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final WatchOptions WATCH =
            new WatchOptions("router-1", Duration.ofSeconds(1), Duration.ofMillis(10));
    private static final WatchRoutingResponse SNAPSHOT = Messages.chunk(true, true, 5, "s", "a");

    private RegistryDouble registry;
    private ProvidersClient client;

    @BeforeEach
    void start() throws IOException {
        registry = new RegistryDouble();
        client = ProvidersClient.connect(registry.options());
    }

    @AfterEach
    void stop() {
        client.close();
        registry.close();
    }

    @ParameterizedTest
    @MethodSource("readable")
    void resumesFromItsTableAfterAStreamThatEnds(WatchRoutingResponse last) throws InterruptedException {
        registry.thenEnds(Status.UNAVAILABLE, SNAPSHOT, last);
        registry.thenSends(Messages.changes(6, "s", Messages.putProvider("b")));
        try (Router router = Router.start(client, WATCH)) {
            assertEquals("", next(registry.watches).getResumeToken());
            WatchRoutingRequest second = next(registry.watches);
            assertEquals("s@5", second.getResumeToken());
            assertEquals("router-1", second.getWatcherId());
            assertTrue(router.awaitRevision(6, LONG));
            assertEquals(Set.of("providers/a", "providers/b"), router.table().providers().keySet());
            assertEquals(List.of(Reason.REASON_STORE_CHANGED), router.resets());
        }
    }

    static Stream<WatchRoutingResponse> readable() {
        return Stream.of(
                Messages.bookmark(5, "s", true), Messages.chunk(true, false, 0, "s", "half of a snapshot"));
    }

    @ParameterizedTest
    @MethodSource("unreadable")
    void takesASnapshotAfterAStreamThatBreaksTheRules(WatchRoutingResponse last) throws InterruptedException {
        registry.thenSends(SNAPSHOT, last);
        registry.thenSends(Messages.chunk(true, true, 9, "s", "b"));
        try (Router router = Router.start(client, WATCH)) {
            next(registry.watches);
            assertEquals("", next(registry.watches).getResumeToken());
            assertTrue(router.awaitRevision(9, LONG));
            assertEquals(Set.of("providers/b"), router.table().providers().keySet());
        }
    }

    static Stream<WatchRoutingResponse> unreadable() {
        return Stream.of(
                Messages.chunk(false, true, 8, "s", "without a beginning"),
                Messages.changes(8, "t", Messages.removed("providers/a")));
    }

    /** Version numbers repeat in another history: the same one may be of another secret. */
    @ParameterizedTest
    @CsvSource({"REASON_STORE_CHANGED, false", "REASON_REVISION_AHEAD, false", "REASON_COMPACTED, true"})
    void usesNoCredentialOfAnotherHistory(Reason reason, boolean kept, @TempDir Path folder)
            throws InterruptedException, IOException {
        Vector vector = Vector.of("openai-api-key");
        RoutingProvider provider = vector.provider();
        registry.sealed = vector.sealed();
        registry.thenSends(Messages.snapshot(Reason.REASON_INITIAL, 5, provider));
        try (SidecarDouble sidecar = new SidecarDouble(folder.resolve("kms.sock"), vector);
                ProvidersClient opening = ProvidersClient.connect(registry.options(sidecar.socket()));
                Router router = Router.start(opening, WATCH)) {
            assertTrue(router.awaitRevision(5, LONG));
            Credential first = router.credential(provider.getName());
            assertSame(first, router.credential(provider.getName()));
            registry.sends(Messages.snapshot(reason, 6, provider));
            assertTrue(router.awaitRevision(6, LONG));
            assertEquals(kept, first == router.credential(provider.getName()));
        }
    }

    @Test
    void givesASilentStreamUp() throws InterruptedException {
        registry.thenSends(SNAPSHOT);
        try (Router router = Router.start(client, WATCH)) {
            assertTrue(router.awaitRevision(5, LONG));
            assertTrue(router.connected());
            next(registry.watches);
            assertEquals("s@5", next(registry.watches).getResumeToken());
            assertFalse(router.connected());
            assertEquals(5, router.table().revision());
        }
    }

    @Test
    void keepsTheTableWhileTheRegistryIsAway() throws InterruptedException {
        registry.thenSends(SNAPSHOT);
        try (Router router = Router.start(client, WATCH)) {
            assertTrue(router.awaitRevision(5, LONG));
            registry.close();
            assertFalse(router.awaitRevision(6, Duration.ofMillis(200)));
            assertEquals("providers/a", router.provider("providers/a").getName());
            assertThrows(NotFound.class, () -> router.provider("providers/b"));
        }
    }

    @Test
    void reportsWhatItHasAppliedAndThatItStops() throws InterruptedException {
        registry.thenSends(SNAPSHOT);
        ByteString session;
        try (Router router = Router.start(client, WATCH)) {
            assertTrue(router.awaitRevision(5, LONG));
            session = next(registry.watches).getSession();
            assertEquals(16, session.size());
            var applied = next(registry.reports);
            assertEquals(session, applied.getSession());
            assertEquals("s@5", applied.getToken());
            assertFalse(applied.getStopping());
        }
        var last = next(registry.reports);
        assertEquals("router-1", last.getWatcherId());
        assertEquals(session, last.getSession());
        assertTrue(last.getStopping());
    }

    @Test
    void reportsAgainOverAnotherConnection() throws InterruptedException {
        registry.thenEnds(Status.UNAVAILABLE, SNAPSHOT);
        registry.thenSends(Messages.bookmark(5, "s", false));
        try (Router router = Router.start(client, WATCH)) {
            assertEquals("s@5", next(registry.reports).getToken());
            assertEquals("s@5", next(registry.reports).getToken());
            assertEquals(5, router.table().revision());
        }
    }

    @Test
    void withoutANameNothingIsReported() throws InterruptedException {
        registry.thenSends(SNAPSHOT);
        try (Router router = Router.start(client, new WatchOptions("", WATCH.bookmarkInterval(), LONG))) {
            assertTrue(router.awaitRevision(5, LONG));
        }
        assertTrue(registry.reports.isEmpty());
    }
}
