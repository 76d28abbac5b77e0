package codevector.providers;

import codevector.providers.ProvidersException.KeyVersionUnavailable;
import codevector.providers.ProvidersException.NotFound;
import codevector.providers.ProvidersException.RegistryUnavailable;
import codevector.providers.v1.ReportAppliedRevisionRequest;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SealedCredential;
import codevector.providers.v1.SnapshotChunk;
import codevector.providers.v1.WatchRoutingRequest;
import codevector.providers.v1.WatchRoutingResponse;
import com.google.protobuf.ByteString;
import java.net.URI;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * The routing table, kept current by one thread that watches, resumes and reconnects, while another reports to
 * the registry. While the registry is unavailable the last good table stays in use. Safe to share.
 */
public final class Router implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Router.class.getName());
    private static final long FIRST_PAUSE_MILLIS = 100;
    private static final long BETWEEN_REPORTS_MILLIS = 1000;
    private static final Duration CATCHING_UP = Duration.ofSeconds(1);
    private static final Duration LIVE = Duration.ofSeconds(45); // after each message, for what is kept of credentials
    private static final int OPEN_ATTEMPTS = 3; // the credential may be replaced, or rewrapped, between two reads
    private static final int RESETS_KEPT = 100;
    private static final Set<SnapshotChunk.Reason> OTHER_HISTORY =
            Set.of(SnapshotChunk.Reason.REASON_STORE_CHANGED, SnapshotChunk.Reason.REASON_REVISION_AHEAD);

    private final ProvidersClient client;
    private final WatchOptions options;
    private final CredentialCache cache;
    private final ByteString session; // tells this router from another process of the same watcherId
    private final Thread watching = new Thread(this::watch, "codevector-watch");
    private final Thread reporting = new Thread(this::report, "codevector-report");

    // Guarded by this, which is notified of each new table and each connection.
    private RoutingTable table = RoutingTable.EMPTY;
    private long connections;
    private final Deque<SnapshotChunk.Reason> resets = new ArrayDeque<>();

    private boolean resumable; // of the watching thread
    private volatile boolean streaming;
    private volatile long heardAt = System.nanoTime();

    private Router(ProvidersClient client, WatchOptions options) {
        this.client = client;
        this.options = options;
        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        session = ByteString.copyFrom(random);
        cache = new CredentialCache(this::provider, this::openNow, this::isLive, System::nanoTime);
        watching.setDaemon(true);
        reporting.setDaemon(true);
    }

    /** Returns a router; close it before its client. Its table is empty until the first snapshot: see awaitRevision. */
    public static Router start(ProvidersClient client, WatchOptions options) {
        Router router = new Router(client, options);
        router.watching.start();
        if (!options.watcherId().isEmpty()) {
            router.reporting.start();
        }
        return router;
    }

    /** The table in use. */
    public synchronized RoutingTable table() {
        return table;
    }

    /** Waits until a snapshot is in use, of that revision or a later one. False: not within that time. */
    public synchronized boolean awaitRevision(long revision, Duration patience) throws InterruptedException {
        return await(() -> table != RoutingTable.EMPTY && table.revision() >= revision, patience);
    }

    /** Whether a stream is open and had a message within three bookmark intervals. */
    public boolean connected() {
        return streaming && System.nanoTime() - heardAt < options.silence().toNanos();
    }

    /** Time since the registry's last message: how old the table may be. */
    public Duration age() {
        return Duration.ofNanos(System.nanoTime() - heardAt);
    }

    /**
     * Why the last hundred snapshots were sent. After INITIAL there should be few; STORE_CHANGED and REVISION_AHEAD ask
     * for an alarm: the registry has another history, e.g. its database was restored.
     */
    public synchronized List<SnapshotChunk.Reason> resets() {
        return List.copyOf(resets);
    }

    /** A provider of the table in use, by its name {@code providers/{provider}}, or NotFound. */
    public RoutingProvider provider(String name) {
        RoutingProvider provider = table().providers().get(name);
        if (provider == null) {
            throw new NotFound(name + " does not exist or is not active.", Map.of("provider", name));
        }
        return provider;
    }

    /** The provider's credential, from memory for as long as the rules for routers allow, else opened. */
    public Credential credential(String provider) {
        return cache.get(provider);
    }

    /** The provider's credential, fetched and opened again. */
    public Credential open(String provider) {
        return openNow(provider(provider));
    }

    /**
     * Refuses a request that may not be sent for that provider. Call it for each hop: let no HTTP client follow
     * redirects itself.
     *
     * @throws ProvidersException.DestinationRefused if it goes elsewhere
     */
    public void check(String provider, URI request) {
        Destinations.check(Destinations.permitted(provider(provider), client.options()), request);
    }

    /** Stops, drops every credential, and reports the stop; an unreachable registry forgets it after a while. */
    @Override
    public void close() {
        watching.interrupt();
        reporting.interrupt();
        boolean interrupted = joined(watching) | joined(reporting);
        streaming = false;
        cache.clear();
        if (!options.watcherId().isEmpty()) {
            try {
                client.report(ReportAppliedRevisionRequest.newBuilder()
                        .setWatcherId(options.watcherId())
                        .setSession(session)
                        .setStopping(true)
                        .build());
            } catch (ProvidersException error) {
                LOG.log(System.Logger.Level.DEBUG, "could not report that this router stops: {0}", error.reason());
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Tries again if the table lags the registry, or the data key was rewrapped. */
    private Credential openNow(RoutingProvider asAsked) {
        RoutingProvider provider = asAsked;
        for (int attempt = 1; ; attempt++) {
            Destinations.permitted(provider, client.options());
            SealedCredential sealed = client.fetch(provider.getName());
            boolean last = attempt == OPEN_ATTEMPTS;
            if (sealed.getCredentialVersion() != provider.getCredentialVersion() && !last) {
                provider = awaitChange(provider);
                continue;
            }
            try {
                return client.open(provider, sealed);
            } catch (KeyVersionUnavailable error) {
                if (last) {
                    throw error;
                }
            }
        }
    }

    /** The provider in the next table that changes it, or as it is after a second. */
    private synchronized RoutingProvider awaitChange(RoutingProvider known) {
        try {
            await(() -> !known.equals(table.providers().get(known.getName())), CATCHING_UP);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        return provider(known.getName());
    }

    /** Waits, with the lock, for something that a new table may bring. */
    private boolean await(BooleanSupplier condition, Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!condition.getAsBoolean()) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
        return true;
    }

    private void watch() {
        long longestPause = options.longestPause().toMillis();
        int failures = 0; // in a row, each soon after the previous one
        try {
            while (true) {
                long startedAt = System.nanoTime();
                long pause = longestPause; // after a drain, when all routers of that server reconnect
                try (Watch stream = client.watch(request())) {
                    follow(stream);
                    failures = 0;
                } catch (RuntimeException error) {
                    // Whatever it was, the table stays, and a new connection helps; after an unreadable message,
                    // a new snapshot.
                    resumable &= error instanceof ProvidersException;
                    boolean lasted = System.nanoTime() - startedAt > options.longestPause().toNanos();
                    failures = lasted ? 1 : failures + 1;
                    pause = Math.min(longestPause, FIRST_PAUSE_MILLIS << Math.min(failures - 1, 16));
                    log(error, failures == 1);
                }
                streaming = false;
                Thread.sleep(ThreadLocalRandom.current().nextLong(pause) + 1);
            }
        } catch (InterruptedException closed) {
            streaming = false;
        }
    }

    /** Applies the messages of a stream until the server drains. */
    private void follow(Watch stream) throws InterruptedException {
        StreamReader reader = new StreamReader(table());
        StreamReader.Outcome outcome;
        do {
            WatchRoutingResponse message = stream.next(options.silence())
                    .orElseThrow(() -> new RegistryUnavailable("The registry is silent.", Map.of()));
            heardAt = System.nanoTime();
            if (!streaming) {
                streaming = true;
                countConnection();
            }
            outcome = reader.read(message);
            apply(outcome);
        } while (!(outcome instanceof StreamReader.Draining));
    }

    private void log(RuntimeException error, boolean first) {
        System.Logger.Level level = first ? System.Logger.Level.WARNING : System.Logger.Level.DEBUG;
        String reason = error instanceof ProvidersException known ? known.reason() : error.getClass().getName();
        LOG.log(level, "the watch ended ({0}: {1}); in use is {2}", reason, error.getMessage(), table());
    }

    private WatchRoutingRequest request() {
        RoutingTable known = resumable ? table() : RoutingTable.EMPTY;
        Duration interval = options.bookmarkInterval();
        return WatchRoutingRequest.newBuilder()
                .setResumeToken(known.token())
                .setWatcherId(options.watcherId())
                .setSession(session)
                .setBookmarkInterval(com.google.protobuf.Duration.newBuilder()
                        .setSeconds(interval.getSeconds())
                        .setNanos(interval.getNano()))
                .build();
    }

    private void apply(StreamReader.Outcome outcome) {
        if (outcome instanceof StreamReader.Reset reset) {
            if (OTHER_HISTORY.contains(reset.reason())) {
                LOG.log(
                        System.Logger.Level.ERROR,
                        "the registry has another history: its database was restored or failed over; the table is now {0}",
                        reset.table());
                cache.clear(); // the same version there names another credential
            } else if (reset.reason() != SnapshotChunk.Reason.REASON_INITIAL) {
                LOG.log(System.Logger.Level.WARNING, "{0}: the table is now {1}", reset.reason(), reset.table());
            }
            use(reset.table(), reset.reason());
            resumable = true;
        } else if (outcome instanceof StreamReader.Changed changed) {
            use(changed.table(), null);
        } else if (outcome instanceof StreamReader.Draining draining) {
            use(draining.table(), null);
        }
        cache.keepOnly(table().providers());
    }

    private synchronized void use(RoutingTable next, SnapshotChunk.Reason reset) {
        table = next;
        if (reset != null) {
            resets.add(reset);
            if (resets.size() > RESETS_KEPT) {
                resets.remove();
            }
        }
        notifyAll();
    }

    /** Each connection reports again what is applied, since it may reach another registry. */
    private record Applied(String token, long connections) {}

    private void report() {
        Applied reported = new Applied("", 0);
        try {
            while (true) {
                Applied applied = awaitOther(reported);
                try {
                    client.report(ReportAppliedRevisionRequest.newBuilder()
                            .setWatcherId(options.watcherId())
                            .setSession(session)
                            .setToken(applied.token())
                            .build());
                    reported = applied;
                } catch (RuntimeException error) {
                    LOG.log(System.Logger.Level.DEBUG, "the applied table is not reported yet", error);
                }
                Thread.sleep(BETWEEN_REPORTS_MILLIS);
            }
        } catch (InterruptedException closed) {
            // Done.
        }
    }

    private synchronized Applied awaitOther(Applied reported) throws InterruptedException {
        while (true) {
            Applied applied = new Applied(table.token(), connections);
            if (table != RoutingTable.EMPTY && !applied.equals(reported)) {
                return applied;
            }
            wait();
        }
    }

    private synchronized void countConnection() {
        connections++;
        notifyAll();
    }

    private boolean isLive() {
        return table() != RoutingTable.EMPTY && age().compareTo(LIVE) < 0;
    }

    /** Waits for the thread to end; true if the caller was interrupted meanwhile. */
    private static boolean joined(Thread thread) {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException error) {
                interrupted = true;
            }
        }
        return interrupted;
    }
}
