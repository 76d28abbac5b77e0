package codevector.providers;

import codevector.kms.v1.BatchUnwrapDataKeysRequest;
import codevector.kms.v1.BatchUnwrapDataKeysResponse;
import codevector.kms.v1.GetStatusRequest;
import codevector.kms.v1.GetStatusResponse;
import codevector.providers.v1.BatchGetSealedCredentialsRequest;
import codevector.providers.v1.BatchGetSealedCredentialsResponse;
import codevector.providers.v1.ListActiveProviderModelsRequest;
import codevector.providers.v1.ListActiveProviderModelsResponse;
import codevector.providers.v1.ReportAppliedRevisionRequest;
import codevector.providers.v1.ReportAppliedRevisionResponse;
import codevector.providers.v1.WatchRoutingRequest;
import codevector.providers.v1.WatchRoutingResponse;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;
import java.util.List;

/**
 * The six RPCs of a router, written by hand: a stub generator for Java would be one more native program per platform. A
 * test compares them with the protos.
 */
final class Methods {
    private static final String ROUTING = "codevector.providers.v1.RoutingService";
    private static final String KMS = "codevector.kms.v1.KeyManagementService";

    static final MethodDescriptor<ListActiveProviderModelsRequest, ListActiveProviderModelsResponse> LIST =
            method(
                    MethodType.UNARY,
                    ROUTING,
                    "ListActiveProviderModels",
                    ListActiveProviderModelsRequest.getDefaultInstance(),
                    ListActiveProviderModelsResponse.getDefaultInstance());
    static final MethodDescriptor<WatchRoutingRequest, WatchRoutingResponse> WATCH =
            method(
                    MethodType.SERVER_STREAMING,
                    ROUTING,
                    "WatchRouting",
                    WatchRoutingRequest.getDefaultInstance(),
                    WatchRoutingResponse.getDefaultInstance());
    static final MethodDescriptor<ReportAppliedRevisionRequest, ReportAppliedRevisionResponse> REPORT =
            method(
                    MethodType.UNARY,
                    ROUTING,
                    "ReportAppliedRevision",
                    ReportAppliedRevisionRequest.getDefaultInstance(),
                    ReportAppliedRevisionResponse.getDefaultInstance());
    static final MethodDescriptor<BatchGetSealedCredentialsRequest, BatchGetSealedCredentialsResponse> FETCH =
            method(
                    MethodType.UNARY,
                    ROUTING,
                    "BatchGetSealedCredentials",
                    BatchGetSealedCredentialsRequest.getDefaultInstance(),
                    BatchGetSealedCredentialsResponse.getDefaultInstance());
    static final MethodDescriptor<GetStatusRequest, GetStatusResponse> KMS_STATUS =
            method(
                    MethodType.UNARY,
                    KMS,
                    "GetStatus",
                    GetStatusRequest.getDefaultInstance(),
                    GetStatusResponse.getDefaultInstance());
    static final MethodDescriptor<BatchUnwrapDataKeysRequest, BatchUnwrapDataKeysResponse> UNWRAP =
            method(
                    MethodType.UNARY,
                    KMS,
                    "BatchUnwrapDataKeys",
                    BatchUnwrapDataKeysRequest.getDefaultInstance(),
                    BatchUnwrapDataKeysResponse.getDefaultInstance());

    static final List<MethodDescriptor<?, ?>> ALL = List.of(LIST, WATCH, REPORT, FETCH, KMS_STATUS, UNWRAP);

    private Methods() {}

    private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(
            MethodType type, String service, String name, Q request, A answer) {
        return MethodDescriptor.<Q, A>newBuilder()
                .setType(type)
                .setFullMethodName(MethodDescriptor.generateFullMethodName(service, name))
                .setRequestMarshaller(ProtoUtils.marshaller(request))
                .setResponseMarshaller(ProtoUtils.marshaller(answer))
                .build();
    }
}
