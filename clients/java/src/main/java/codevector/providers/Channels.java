package codevector.providers;

import io.grpc.CallOptions;
import io.grpc.ConnectivityState;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The two connections of a router: no proxy from the environment, and a quick reconnect to a restarted server. */
final class Channels {
    private static final int MAX_ANSWER_BYTES = 64 * 1024 * 1024;

    private Channels() {}

    static ManagedChannel toRegistry(Options options) {
        return NettyChannelBuilder.forTarget(options.registry(), options.channelCredentials())
                .proxyDetector(address -> null)
                .maxInboundMessageSize(MAX_ANSWER_BYTES)
                // A frozen connection, e.g. to a host that is gone, is closed and replaced.
                .keepAliveTime(30, TimeUnit.SECONDS)
                .keepAliveTimeout(10, TimeUnit.SECONDS)
                .keepAliveWithoutCalls(true)
                .build();
    }

    /** Uses the JDK's own Unix sockets, so that no native library is needed. */
    static ManagedChannel toSocket(Path socket, EventLoopGroup threads) {
        return NettyChannelBuilder.forAddress(UnixDomainSocketAddress.of(socket), InsecureChannelCredentials.create())
                .channelType(NioDomainSocketChannel.class, UnixDomainSocketAddress.class)
                .eventLoopGroup(threads)
                .withOption(ChannelOption.SO_KEEPALIVE, null) // what gRPC sets for TCP, and netty warns of here
                .overrideAuthority("localhost")
                .build();
    }

    /** The response of a unary call. */
    static <Q, A> A call(
            ManagedChannel channel,
            MethodDescriptor<Q, A> method,
            Q request,
            CallOptions options,
            ProvidersException.Peer peer) {
        connectAnew(channel);
        try {
            return ClientCalls.blockingUnaryCall(channel, method, options, request);
        } catch (StatusRuntimeException error) {
            throw ProvidersException.from(error, peer);
        }
    }

    /** A channel that lost its server would fail calls until its backoff ends, which takes up to minutes. */
    static void connectAnew(ManagedChannel channel) {
        if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
            channel.enterIdle();
        }
    }

    static CallOptions within(Options options) {
        return CallOptions.DEFAULT.withDeadlineAfter(options.deadline().toNanos(), TimeUnit.NANOSECONDS);
    }
}
