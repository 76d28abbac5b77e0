package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;

import codevector.kms.v1.KeyManagementServiceOuterClass;
import codevector.providers.v1.RoutingServiceOuterClass;
import com.google.protobuf.Descriptors.MethodDescriptor;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The methods written by hand are those of the protos. */
class MethodsTest {
    static Stream<io.grpc.MethodDescriptor<?, ?>> methods() {
        return Methods.ALL.stream();
    }

    @ParameterizedTest
    @MethodSource("methods")
    void isAsTheProtosHaveIt(io.grpc.MethodDescriptor<?, ?> method) {
        MethodDescriptor proto = Stream.of(
                        RoutingServiceOuterClass.getDescriptor(), KeyManagementServiceOuterClass.getDescriptor())
                .flatMap(file -> file.getServices().stream())
                .filter(service -> service.getFullName().equals(method.getServiceName()))
                .map((ServiceDescriptor service) -> service.findMethodByName(method.getBareMethodName()))
                .findFirst()
                .orElseThrow();
        MethodType type = proto.isServerStreaming() ? MethodType.SERVER_STREAMING : MethodType.UNARY;
        assertEquals(type, method.getType());
        assertEquals(proto.getInputType(), described(method.getRequestMarshaller()));
        assertEquals(proto.getOutputType(), described(method.getResponseMarshaller()));
    }

    private static Object described(io.grpc.MethodDescriptor.Marshaller<?> marshaller) {
        Object prototype = ((PrototypeMarshaller<?>) marshaller).getMessagePrototype();
        return ((com.google.protobuf.Message) prototype).getDescriptorForType();
    }
}
