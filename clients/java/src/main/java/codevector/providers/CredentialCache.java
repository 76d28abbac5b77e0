package codevector.providers;

import codevector.providers.ProvidersException.KmsUnavailable;
import codevector.providers.ProvidersException.RegistryUnavailable;
import codevector.providers.v1.RoutingProvider;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * Opened credentials, for a while. May see what it keeps; must never keep it longer than this: 300 s from its unwrap
 * while the watch is live; without a live watch 60 s, and 10 min where no newer one can be had. Use extends nothing.
 * What the table no longer has, or has with another credential or destination, is dropped at once.
 */
final class CredentialCache {
    private static final long LIVE_NANOS = Duration.ofSeconds(300).toNanos();
    private static final long FRESH_NANOS = Duration.ofSeconds(60).toNanos();
    private static final long STALE_NANOS = Duration.ofMinutes(10).toNanos();

    private record Held(Credential credential, long unwrappedAt) {}

    private final Map<String, Held> held = new ConcurrentHashMap<>(); // by provider name
    private final Map<RoutingProvider, CompletableFuture<Credential>> flights = new ConcurrentHashMap<>();
    private final Function<RoutingProvider, Credential> opener;
    private final BooleanSupplier live;
    private final LongSupplier nanoTime;

    CredentialCache(Function<RoutingProvider, Credential> opener, BooleanSupplier live, LongSupplier nanoTime) {
        this.opener = opener;
        this.live = live;
        this.nanoTime = nanoTime;
    }

    /** The credential of a provider as the table has it; opened once, however many ask at the same time. */
    Credential get(RoutingProvider provider) {
        Held known = held.get(provider.getName());
        if (known != null && !isFor(known.credential, provider)) {
            known = null;
        }
        if (known != null && age(known) < (live.getAsBoolean() ? LIVE_NANOS : FRESH_NANOS)) {
            return known.credential;
        }
        try {
            return open(provider);
        } catch (RegistryUnavailable | KmsUnavailable away) {
            if (known != null && !live.getAsBoolean() && age(known) < STALE_NANOS) {
                return known.credential;
            }
            throw away;
        }
    }

    /** Drops what these providers do not have, and what is too old. To be called often. */
    void keepOnly(Map<String, RoutingProvider> providers) {
        long longest = live.getAsBoolean() ? LIVE_NANOS : STALE_NANOS;
        held.values().removeIf(entry -> {
            RoutingProvider now = providers.get(entry.credential.provider().getName());
            return now == null || !isFor(entry.credential, now) || age(entry) >= longest;
        });
    }

    void clear() {
        held.clear();
    }

    private Credential open(RoutingProvider provider) {
        CompletableFuture<Credential> mine = new CompletableFuture<>();
        CompletableFuture<Credential> others = flights.putIfAbsent(provider, mine);
        if (others != null) {
            try {
                return others.join();
            } catch (CompletionException error) {
                throw error.getCause() instanceof ProvidersException known ? known : error;
            }
        }
        try {
            long now = nanoTime.getAsLong(); // before the unwrap: a deadline is never late
            Credential opened = opener.apply(provider);
            held.put(provider.getName(), new Held(opened, now));
            mine.complete(opened);
            return opened;
        } catch (RuntimeException | Error error) {
            mine.completeExceptionally(error);
            throw error;
        } finally {
            flights.remove(provider, mine);
        }
    }

    private long age(Held entry) {
        return nanoTime.getAsLong() - entry.unwrappedAt;
    }

    private static boolean isFor(Credential credential, RoutingProvider provider) {
        RoutingProvider then = credential.provider();
        return then.getUid().equals(provider.getUid())
                && then.getKind() == provider.getKind()
                && then.getCredentialType() == provider.getCredentialType()
                && then.getCredentialVersion() == provider.getCredentialVersion()
                && then.getConfig().equals(provider.getConfig());
    }
}
