package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import codevector.providers.ProvidersException.CredentialCorrupt;
import codevector.providers.ProvidersException.KmsUnavailable;
import codevector.providers.v1.RoutingProvider;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How long opened credentials are kept: docs/formats/envelope.md binds, use extends nothing. */
class CredentialCacheTest {
    private static final String NAME = "providers/p";

    private boolean live = true;
    private ProvidersException failure;
    private RoutingProvider provider = version(1);
    private long now;
    private int attempts;
    private Runnable whileOpening = () -> {};
    private final CredentialCache cache = new CredentialCache(name -> provider, this::open, () -> live, () -> now);

    private static RoutingProvider version(long version) {
        return Messages.provider("p").toBuilder()
                .setUid("u")
                .setCredentialVersion(version)
                .build();
    }

    private Credential open(RoutingProvider asked) {
        attempts++;
        whileOpening.run();
        if (failure != null) {
            throw failure;
        }
        return new Credential(asked, List.of(), Map.of());
    }

    private void pass(double seconds) {
        now += (long) (seconds * 1e9);
    }

    @Test
    void whileTheWatchIsLiveItIsUsedForFourMinutesHoweverOften() {
        Credential first = cache.get(NAME);
        pass(200);
        assertSame(first, cache.get(NAME));
        pass(39.9);
        assertSame(first, cache.get(NAME));
        pass(0.1);
        assertNotSame(first, cache.get(NAME));
    }

    @Test
    void withoutAWatchItIsUsedForAMinute() {
        live = false;
        Credential first = cache.get(NAME);
        pass(59.9);
        assertSame(first, cache.get(NAME));
        pass(0.1);
        assertNotSame(first, cache.get(NAME));
    }

    @ParameterizedTest
    @CsvSource({"true, 300", "false, 600"})
    void whereNobodyAnswersAnOldOneIsUsedToItsDeadline(boolean watchIsLive, int deadline) {
        Credential first = cache.get(NAME);
        live = watchIsLive;
        failure = new KmsUnavailable("away", Map.of());
        pass(deadline - 0.1);
        assertSame(first, cache.get(NAME));
        assertEquals(2, attempts);
        pass(0.1);
        assertThrows(KmsUnavailable.class, () -> cache.get(NAME));
    }

    @Test
    void whileAnOldOneServesNobodyIsAskedAgainSoon() {
        cache.get(NAME);
        failure = new KmsUnavailable("away", Map.of());
        pass(250);
        cache.get(NAME);
        pass(4.9);
        cache.get(NAME);
        assertEquals(2, attempts);
        pass(0.1);
        cache.get(NAME);
        assertEquals(3, attempts);
    }

    @Test
    void aRefusalEndsTheOldOne() {
        cache.get(NAME);
        failure = new CredentialCorrupt();
        pass(250);
        assertThrows(CredentialCorrupt.class, () -> cache.get(NAME));
        failure = new KmsUnavailable("away", Map.of());
        assertThrows(KmsUnavailable.class, () -> cache.get(NAME));
    }

    @Test
    void anotherVersionIsAnotherCredential() {
        Credential first = cache.get(NAME);
        provider = version(2);
        assertNotSame(first, cache.get(NAME));
        provider = version(3);
        failure = new KmsUnavailable("away", Map.of());
        assertThrows(KmsUnavailable.class, () -> cache.get(NAME));
    }

    @Test
    void whatTheTableNoLongerHasIsDropped() {
        cache.get(NAME);
        cache.keepOnly(Map.of(NAME, provider));
        cache.get(NAME);
        assertEquals(1, attempts);
        cache.keepOnly(Map.of());
        cache.get(NAME);
        assertEquals(2, attempts);
    }

    @Test
    void whatIsClearedIsOpenedAnewAndWhatWasBeingOpenedIsNotKept() {
        cache.get(NAME);
        cache.clear();
        cache.get(NAME);
        assertEquals(2, attempts);
        pass(240);
        whileOpening = () -> {
            whileOpening = () -> {};
            cache.clear();
        };
        cache.get(NAME);
        cache.get(NAME);
        assertEquals(4, attempts);
    }

    @Test
    void manyWhoAskAtOnceCauseOneOpening() throws ExecutionException, InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch answer = new CountDownLatch(1);
        AtomicInteger flights = new AtomicInteger();
        CredentialCache slow = new CredentialCache(
                name -> provider,
                wanted -> {
                    flights.incrementAndGet();
                    asked.countDown();
                    try {
                        answer.await();
                    } catch (InterruptedException error) {
                        throw new IllegalStateException(error);
                    }
                    return new Credential(wanted, List.of(), Map.of());
                },
                () -> true,
                () -> 0);
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<Credential>> all = IntStream.range(0, 8)
                    .mapToObj(i -> threads.submit(() -> slow.get(NAME)))
                    .toList();
            asked.await();
            answer.countDown();
            Credential one = all.get(0).get();
            for (Future<Credential> each : all) {
                assertSame(one, each.get());
            }
        } finally {
            threads.shutdownNow();
        }
        assertEquals(1, flights.get());
    }
}
