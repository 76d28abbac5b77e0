package codevector.providers;

import codevector.kms.v1.BatchUnwrapDataKeysRequest;
import codevector.kms.v1.BatchUnwrapDataKeysResponse;
import codevector.kms.v1.GetStatusRequest;
import codevector.kms.v1.UnwrapItem;
import codevector.kms.v1.UnwrapResult;
import codevector.kms.v1.WrappedDataKey;
import codevector.providers.ProvidersException.CredentialCorrupt;
import codevector.providers.ProvidersException.KmsUnavailable;
import codevector.providers.ProvidersException.Peer;
import codevector.providers.v1.SealedCredential;
import io.grpc.ManagedChannel;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The router's own key sidecar. May see one data key, on the way to the opener, which wipes it. Must never print a
 * message of these RPCs, or keep a key.
 */
final class KmsClient implements AutoCloseable {
    private final Options options;
    private final EventLoopGroup threads;
    private final ManagedChannel channel;
    private volatile byte[] deploymentId;

    KmsClient(Options options) {
        this.options = options;
        threads = new MultiThreadIoEventLoopGroup(
                1, new DefaultThreadFactory("codevector-kms", true), NioIoHandler.newFactory());
        channel = Channels.toSocket(options.kmsSocket(), threads);
    }

    /** The id of the deployment whose credentials this sidecar opens, 16 bytes; requested once. */
    byte[] deploymentId() {
        if (deploymentId == null) {
            var status = Channels.call(
                    channel,
                    Methods.KMS_STATUS,
                    GetStatusRequest.getDefaultInstance(),
                    Channels.within(options),
                    Peer.KMS);
            try {
                deploymentId = HexFormat.of().parseHex(status.getDeploymentId());
            } catch (IllegalArgumentException error) {
                throw new KmsUnavailable("The key sidecar reports no valid deployment id: check its version.", Map.of());
            }
        }
        return deploymentId.clone();
    }

    /** The data key, 32 bytes, for the caller to wipe. */
    byte[] unwrap(SealedCredential sealed) {
        WrappedDataKey wrapped = WrappedDataKey.newBuilder()
                .setWrappedDataKey(sealed.getWrappedDataKey())
                .setKeyVersion(sealed.getKeyVersion())
                .setCommitment(sealed.getCommitment())
                .setContext(sealed.getContext())
                .build();
        BatchUnwrapDataKeysRequest request = BatchUnwrapDataKeysRequest.newBuilder()
                .addItems(UnwrapItem.newBuilder().setWrapped(wrapped))
                .build();
        BatchUnwrapDataKeysResponse answer =
                Channels.call(channel, Methods.UNWRAP, request, Channels.within(options), Peer.KMS);
        if (answer.getResultsCount() != 1) {
            throw new CredentialCorrupt();
        }
        UnwrapResult result = answer.getResults(0);
        if (result.hasError()) {
            throw ProvidersException.from(result.getError(), Peer.KMS);
        }
        return result.getPlaintext().toByteArray();
    }

    @Override
    public void close() {
        channel.shutdownNow();
        threads.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    }
}
