package codevector.providers;

import codevector.kms.v1.BatchUnwrapDataKeysResponse;
import codevector.kms.v1.GetStatusResponse;
import codevector.kms.v1.UnwrapResult;
import com.google.protobuf.ByteString;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.HexFormat;

/** A key sidecar on a Unix socket that unwraps to a vector's data key, whatever it is given. */
final class SidecarDouble implements AutoCloseable {
    private final EventLoopGroup threads = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    private final Path socket;
    private final Server server;

    SidecarDouble(Path socket, Vector vector) throws IOException {
        this.socket = socket;
        byte[] deployment = vector.expected().deploymentId();
        ServerServiceDefinition service = ServerServiceDefinition.builder("codevector.kms.v1.KeyManagementService")
                .addMethod(Methods.KMS_STATUS, ServerCalls.asyncUnaryCall((request, answer) -> {
                    answer.onNext(GetStatusResponse.newBuilder()
                            .setDeploymentId(HexFormat.of().formatHex(deployment))
                            .build());
                    answer.onCompleted();
                }))
                .addMethod(Methods.UNWRAP, ServerCalls.asyncUnaryCall((request, answer) -> {
                    answer.onNext(BatchUnwrapDataKeysResponse.newBuilder()
                            .addResults(UnwrapResult.newBuilder().setPlaintext(ByteString.copyFrom(vector.dek())))
                            .build());
                    answer.onCompleted();
                }))
                .build();
        server = NettyServerBuilder.forAddress(
                        UnixDomainSocketAddress.of(socket), InsecureServerCredentials.create())
                .channelType(NioServerDomainSocketChannel.class)
                .withOption(ChannelOption.SO_BACKLOG, null) // what gRPC sets for TCP
                .withChildOption(ChannelOption.SO_KEEPALIVE, null)
                .bossEventLoopGroup(threads)
                .workerEventLoopGroup(threads)
                .addService(service)
                .build()
                .start();
    }

    Path socket() {
        return socket;
    }

    @Override
    public void close() {
        server.shutdownNow();
        threads.shutdownGracefully();
    }
}
