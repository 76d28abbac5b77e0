package codevector.providers;

import codevector.providers.v1.BatchGetSealedCredentialsResponse;
import codevector.providers.v1.ListActiveProviderModelsResponse;
import codevector.providers.v1.ReportAppliedRevisionRequest;
import codevector.providers.v1.ReportAppliedRevisionResponse;
import codevector.providers.v1.SealedCredential;
import codevector.providers.v1.SealedCredentialResult;
import codevector.providers.v1.WatchRoutingRequest;
import codevector.providers.v1.WatchRoutingResponse;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A registry on a free loopback port that sends each watch what a test tells it to, and nothing else. */
final class RegistryDouble implements AutoCloseable {
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    final BlockingQueue<WatchRoutingRequest> watches = new LinkedBlockingQueue<>();
    final BlockingQueue<ReportAppliedRevisionRequest> reports = new LinkedBlockingQueue<>();
    final BlockingQueue<String> authorizations = new LinkedBlockingQueue<>();
    volatile SealedCredential sealed = SealedCredential.getDefaultInstance();
    private volatile StreamObserver<WatchRoutingResponse> stream;
    private final BlockingQueue<Script> scripts = new LinkedBlockingQueue<>();
    private final Server server;

    private record Script(List<WatchRoutingResponse> messages, Status end) {}

    RegistryDouble() throws IOException {
        this(InsecureServerCredentials.create());
    }

    RegistryDouble(ServerCredentials credentials) throws IOException {
        ServerServiceDefinition service = ServerServiceDefinition.builder("codevector.providers.v1.RoutingService")
                .addMethod(Methods.WATCH, ServerCalls.asyncServerStreamingCall(this::watch))
                .addMethod(Methods.REPORT, ServerCalls.asyncUnaryCall((request, answer) -> {
                    reports.add(request);
                    answer.onNext(ReportAppliedRevisionResponse.getDefaultInstance());
                    answer.onCompleted();
                }))
                .addMethod(Methods.LIST, ServerCalls.asyncUnaryCall((request, answer) -> {
                    answer.onNext(ListActiveProviderModelsResponse.getDefaultInstance());
                    answer.onCompleted();
                }))
                .addMethod(Methods.FETCH, ServerCalls.asyncUnaryCall((request, answer) -> {
                    answer.onNext(BatchGetSealedCredentialsResponse.newBuilder()
                            .addResults(SealedCredentialResult.newBuilder().setSealedCredential(sealed))
                            .build());
                    answer.onCompleted();
                }))
                .build();
        server = NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), credentials)
                .addService(ServerInterceptors.intercept(service, new SeesTokens()))
                .build()
                .start();
    }

    Options options() {
        return options(Path.of("/nowhere.sock"));
    }

    Options options(Path kmsSocket) {
        return Options.of("127.0.0.1:" + server.getPort(), kmsSocket)
                .withDeadline(Duration.ofSeconds(60));
    }

    /** The next watch gets these and stays open. */
    void thenSends(WatchRoutingResponse... messages) {
        scripts.add(new Script(List.of(messages), null));
    }

    /** The newest watch, which is open, gets this now. */
    void sends(WatchRoutingResponse message) {
        stream.onNext(message);
    }

    /** The next watch gets these and ends. */
    void thenEnds(Status end, WatchRoutingResponse... messages) {
        scripts.add(new Script(List.of(messages), end));
    }

    /** What the client sent next. */
    static <T> T next(BlockingQueue<T> requests) throws InterruptedException {
        T request = requests.poll(60, TimeUnit.SECONDS);
        if (request == null) {
            throw new AssertionError("the client sent nothing");
        }
        return request;
    }

    @Override
    public void close() {
        server.shutdownNow();
    }

    private void watch(WatchRoutingRequest request, StreamObserver<WatchRoutingResponse> stream) {
        this.stream = stream;
        watches.add(request);
        Script script = scripts.poll();
        if (script == null) {
            return;
        }
        script.messages.forEach(stream::onNext);
        if (script.end != null) {
            stream.onError(script.end.asRuntimeException());
        }
    }

    private final class SeesTokens implements ServerInterceptor {
        @Override
        public <Q, A> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
            authorizations.add(String.valueOf(headers.get(AUTHORIZATION)));
            return next.startCall(call, headers);
        }
    }
}
