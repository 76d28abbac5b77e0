package codevector.providers;

import codevector.providers.ProvidersException.Peer;
import codevector.providers.ProvidersException.RegistryUnavailable;
import codevector.providers.v1.WatchRoutingResponse;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One stream of WatchRouting, message by message as the registry sends them. {@link Router} builds a table from them;
 * this class is for callers that keep their own. For one thread; unread messages wait at the registry.
 */
public final class Watch implements AutoCloseable {
    private final BlockingClientCall<?, WatchRoutingResponse> call;

    Watch(BlockingClientCall<?, WatchRoutingResponse> call) {
        this.call = call;
    }

    /**
     * The next message, or nothing if none arrives in this time.
     *
     * @throws ProvidersException the stream has ended
     */
    public Optional<WatchRoutingResponse> next(Duration patience) throws InterruptedException {
        WatchRoutingResponse message;
        try {
            message = call.read(patience.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException silence) {
            return Optional.empty();
        } catch (StatusException error) {
            throw ProvidersException.from(error, Peer.REGISTRY);
        }
        if (message == null) {
            throw new RegistryUnavailable("The registry ended the watch.", Map.of());
        }
        return Optional.of(message);
    }

    @Override
    public void close() {
        call.cancel("closed", null);
    }
}
