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
 * Opened credentials, for as long as routers may keep them. May see what it keeps; must never return one after its
 * deadline.
 *
 * <pre>
 * the watch is live     reopened 240 s after its unwrap; until then used up to 300 s
 * it is not             reopened after 60 s; until then used up to 600 s
 * disabled, deleted,    dropped at once, whether the watch, the registry or the sidecar reports it
 * replaced, retargeted
 * </pre>
 *
 * <p>Using a credential does not extend its lifetime.
 */
final class CredentialCache {
    private static final Limits LIVE = new Limits(Duration.ofSeconds(240), Duration.ofSeconds(300));
    private static final Limits AWAY = new Limits(Duration.ofSeconds(60), Duration.ofSeconds(600));
    private static final Duration BETWEEN_ATTEMPTS = Duration.ofSeconds(5); // while an old one stays in use

    private record Limits(Duration fresh, Duration last) {}

    /** The time is taken before the unwrap, so that no age is underestimated. */
    private record Held(Credential credential, long unwrappedAt, long attemptedAt) {}

    /** Of one history of the registry: by provider name what is held, and by provider what is being opened. */
    private record Kept(Map<String, Held> held, Map<RoutingProvider, CompletableFuture<Credential>> flights) {
        Kept() {
            this(new ConcurrentHashMap<>(), new ConcurrentHashMap<>());
        }
    }

    private volatile Kept kept = new Kept();
    private final Function<String, RoutingProvider> table;
    private final Function<RoutingProvider, Credential> opener;
    private final BooleanSupplier live;
    private final LongSupplier nanoTime;

    /** The table returns a provider by its name, or throws NotFound. */
    CredentialCache(
            Function<String, RoutingProvider> table,
            Function<RoutingProvider, Credential> opener,
            BooleanSupplier live,
            LongSupplier nanoTime) {
        this.table = table;
        this.opener = opener;
        this.live = live;
        this.nanoTime = nanoTime;
    }

    /** The credential of a provider of the table; opened once, however many callers ask at a time. */
    Credential get(String name) {
        Kept current = kept;
        RoutingProvider provider = table.apply(name);
        Held known = current.held.get(name);
        if (known != null && isFor(known.credential, provider)) {
            boolean waits = isYounger(known.attemptedAt, BETWEEN_ATTEMPTS);
            if (isYounger(known.unwrappedAt, waits ? limits().last : limits().fresh)) {
                return known.credential;
            }
        }
        CompletableFuture<Credential> mine = new CompletableFuture<>();
        CompletableFuture<Credential> others = current.flights.putIfAbsent(provider, mine);
        if (others != null) {
            return join(others);
        }
        try {
            mine.complete(renewed(provider, current.held));
        } catch (RuntimeException | Error error) {
            mine.completeExceptionally(error);
        } finally {
            current.flights.remove(provider, mine);
        }
        return join(mine);
    }

    /** Drops credentials that these providers do not have, and those past their deadline. Call it often. */
    void keepOnly(Map<String, RoutingProvider> providers) {
        kept.held.values().removeIf(entry -> {
            RoutingProvider now = providers.get(entry.credential.provider().getName());
            return now == null || !isFor(entry.credential, now) || !isYounger(entry.unwrappedAt, limits().last);
        });
    }

    /** Drops everything; what is being opened is not kept. */
    void clear() {
        kept = new Kept();
    }

    private Credential renewed(RoutingProvider provider, Map<String, Held> held) {
        String name = provider.getName();
        long now = nanoTime.getAsLong();
        try {
            Credential opened = opener.apply(provider);
            // What was disabled or replaced while it was being opened is not kept: the table decides.
            if (isFor(opened, table.apply(name))) {
                held.put(name, new Held(opened, now, now));
            }
            return opened;
        } catch (RegistryUnavailable | KmsUnavailable away) {
            Held old = held.get(name);
            boolean serves = old != null && isFor(old.credential, table.apply(name));
            if (!serves || !isYounger(old.unwrappedAt, limits().last)) {
                throw away;
            }
            held.replace(name, old, new Held(old.credential, old.unwrappedAt, nanoTime.getAsLong()));
            return old.credential;
        } catch (ProvidersException refused) {
            held.remove(name);
            throw refused;
        }
    }

    private static Credential join(CompletableFuture<Credential> flight) {
        try {
            return flight.join();
        } catch (CompletionException error) {
            throw error.getCause() instanceof ProvidersException known ? known : error;
        }
    }

    private Limits limits() {
        return live.getAsBoolean() ? LIVE : AWAY;
    }

    private boolean isYounger(long since, Duration age) {
        return nanoTime.getAsLong() - since < age.toNanos();
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
