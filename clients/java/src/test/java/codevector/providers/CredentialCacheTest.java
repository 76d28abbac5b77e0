package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import codevector.providers.ProvidersException.KmsUnavailable;
import codevector.providers.v1.RoutingProvider;
import java.time.Duration;
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

/** How long opened credentials are kept: docs/formats/envelope.md binds, use extends nothing. */
class CredentialCacheTest {
    private static final RoutingProvider PROVIDER = provider(1);

    private boolean live = true;
    private boolean away;
    private long now;
    private final AtomicInteger opened = new AtomicInteger();
    private final CredentialCache cache = new CredentialCache(this::open, () -> live, () -> now);

    private static RoutingProvider provider(long version) {
        return Messages.provider("p").toBuilder()
                .setUid("u")
                .setCredentialVersion(version)
                .build();
    }

    private Credential open(RoutingProvider provider) {
        if (away) {
            throw new KmsUnavailable("away", Map.of());
        }
        opened.incrementAndGet();
        return new Credential(provider, List.of(), Map.of());
    }

    private void pass(long seconds) {
        now += Duration.ofSeconds(seconds).toNanos();
    }

    @Test
    void whileTheWatchIsLiveItIsKeptForFiveMinutesHoweverOftenUsed() {
        Credential first = cache.get(PROVIDER);
        pass(200);
        assertSame(first, cache.get(PROVIDER));
        pass(99);
        assertSame(first, cache.get(PROVIDER));
        pass(1);
        assertNotSame(first, cache.get(PROVIDER));
    }

    @Test
    void withoutAWatchItIsKeptForAMinute() {
        live = false;
        Credential first = cache.get(PROVIDER);
        pass(59);
        assertSame(first, cache.get(PROVIDER));
        pass(1);
        assertNotSame(first, cache.get(PROVIDER));
    }

    @Test
    void withoutAWatchAndASidecarItIsKeptForTenMinutes() {
        Credential first = cache.get(PROVIDER);
        live = false;
        away = true;
        pass(599);
        assertSame(first, cache.get(PROVIDER));
        pass(1);
        assertThrows(KmsUnavailable.class, () -> cache.get(PROVIDER));
    }

    @Test
    void whileTheWatchIsLiveNothingStaleIsUsed() {
        cache.get(PROVIDER);
        away = true;
        pass(300);
        assertThrows(KmsUnavailable.class, () -> cache.get(PROVIDER));
    }

    @Test
    void anotherVersionIsAnotherCredential() {
        Credential first = cache.get(PROVIDER);
        assertNotSame(first, cache.get(provider(2)));
        away = true;
        live = false;
        assertThrows(KmsUnavailable.class, () -> cache.get(provider(3)));
    }

    @Test
    void whatTheTableNoLongerHasIsDropped() {
        cache.get(PROVIDER);
        cache.keepOnly(Map.of(PROVIDER.getName(), PROVIDER));
        assertEquals(1, opened.get());
        cache.keepOnly(Map.of());
        cache.get(PROVIDER);
        assertEquals(2, opened.get());
    }

    @Test
    void manyWhoAskAtOnceCauseOneOpening() throws ExecutionException, InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch answer = new CountDownLatch(1);
        AtomicInteger flights = new AtomicInteger();
        CredentialCache slow = new CredentialCache(
                provider -> {
                    flights.incrementAndGet();
                    asked.countDown();
                    try {
                        answer.await();
                    } catch (InterruptedException error) {
                        throw new IllegalStateException(error);
                    }
                    return open(provider);
                },
                () -> true,
                () -> 0);
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<Credential>> all = IntStream.range(0, 8)
                    .mapToObj(i -> threads.submit(() -> slow.get(PROVIDER)))
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
