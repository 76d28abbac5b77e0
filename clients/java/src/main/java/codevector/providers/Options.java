package codevector.providers;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/**
 * How to reach one registry and one key sidecar, and what this router itself allows.
 *
 * @param registry {@code host:port} of the registry
 * @param kmsSocket the router's Unix socket of the key sidecar
 * @param channelCredentials of the connection to the registry: plaintext (the default, for this machine), TLS, or
 *     mTLS by {@link io.grpc.TlsChannelCredentials}
 * @param callCredentials of each call to the registry, e.g. a {@link BearerToken}; null for none
 * @param deadline of each call but the watch
 * @param allowedDestinations if any, a provider with any other destination is refused, whatever the registry says
 * @param allowLoopbackHttp allows providers on this machine without TLS
 */
public record Options(
        String registry,
        Path kmsSocket,
        ChannelCredentials channelCredentials,
        CallCredentials callCredentials,
        Duration deadline,
        List<Destination> allowedDestinations,
        boolean allowLoopbackHttp) {

    public Options {
        allowedDestinations = List.copyOf(allowedDestinations);
    }

    /** Plaintext, without a token, 10 s for each call. */
    public static Options of(String registry, Path kmsSocket) {
        return new Options(
                registry,
                kmsSocket,
                InsecureChannelCredentials.create(),
                null,
                Duration.ofSeconds(10),
                List.of(),
                false);
    }

    /** With TLS, or mTLS if the credentials have a key of this router's. */
    public Options withChannelCredentials(ChannelCredentials credentials) {
        return new Options(
                registry, kmsSocket, credentials, callCredentials, deadline, allowedDestinations, allowLoopbackHttp);
    }

    /** With a token for each call. */
    public Options withCallCredentials(CallCredentials credentials) {
        return new Options(
                registry, kmsSocket, channelCredentials, credentials, deadline, allowedDestinations, allowLoopbackHttp);
    }

    /** With another deadline. */
    public Options withDeadline(Duration longest) {
        return new Options(
                registry,
                kmsSocket,
                channelCredentials,
                callCredentials,
                longest,
                allowedDestinations,
                allowLoopbackHttp);
    }

    /**
     * With this router's own list of URLs, {@code https://host[:port][/path]}.
     *
     * @throws ProvidersException.DestinationRefused if one is not in that form
     */
    public Options withAllowedDestinations(String... urls) {
        List<Destination> allowed =
                Arrays.stream(urls).map(url -> Destination.of(Destination.Role.API, url)).toList();
        return new Options(
                registry, kmsSocket, channelCredentials, callCredentials, deadline, allowed, allowLoopbackHttp);
    }

    /** With or without plain http to providers on this machine. */
    public Options withLoopbackHttp(boolean allowed) {
        return new Options(
                registry, kmsSocket, channelCredentials, callCredentials, deadline, allowedDestinations, allowed);
    }
}
