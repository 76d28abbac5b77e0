package codevector.providers;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.util.Map;

/** What can go wrong for a router, as types to catch and reasons to branch on. No message contains secrets. */
@SuppressWarnings("serial") // not meant to be serialized
public abstract sealed class ProvidersException extends RuntimeException {
    private final String reason;
    private final Map<String, String> metadata;

    private ProvidersException(String message, String reason, Map<String, String> metadata) {
        super(message);
        this.reason = reason;
        this.metadata = Map.copyOf(metadata);
    }

    /** The stable word of the API's error table, or this library's own. */
    public String reason() {
        return reason;
    }

    /** The variables of the message. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** The registry does not respond in time. */
    public static final class RegistryUnavailable extends ProvidersException {
        static final String REASON = "STORE_UNAVAILABLE";

        RegistryUnavailable(String message, Map<String, String> metadata) {
            super(message, REASON, metadata);
        }
    }

    /** The router's key sidecar does not respond in time. */
    public static final class KmsUnavailable extends ProvidersException {
        static final String REASON = "KMS_UNAVAILABLE";

        KmsUnavailable(String message, Map<String, String> metadata) {
            super(message, REASON, metadata);
        }
    }

    /** This router's identity is missing, expired, or lacks the role. */
    public static final class NotAllowed extends ProvidersException {
        private NotAllowed(String message, String reason, Map<String, String> metadata) {
            super(message, reason, metadata);
        }
    }

    /** The request is invalid; do not retry it unchanged. */
    public static final class InvalidRequest extends ProvidersException {
        private InvalidRequest(String message, String reason, Map<String, String> metadata) {
            super(message, reason, metadata);
        }
    }

    /** The provider or model does not exist or is not active. */
    public static final class NotFound extends ProvidersException {
        static final String REASON = "RESOURCE_NOT_FOUND";

        NotFound(String message, Map<String, String> metadata) {
            super(message, REASON, metadata);
        }
    }

    /** There is no credential to open: the provider is disabled, or has none. */
    public static final class NoCredential extends ProvidersException {
        private NoCredential(String message, String reason, Map<String, String> metadata) {
            super(message, reason, metadata);
        }
    }

    /** The key version of the wrapped key is disabled, destroyed or unknown to this router's sidecar. */
    public static final class KeyVersionUnavailable extends ProvidersException {
        static final String REASON = "KEY_VERSION_UNAVAILABLE";

        private KeyVersionUnavailable(String message, Map<String, String> metadata) {
            super(message, REASON, metadata);
        }
    }

    /**
     * The sealed credential does not open for this provider as it is configured. One error for every cause: damage, an
     * exchanged envelope or wrapped key, another provider, kind, type, version, deployment or destination. Retrying
     * does not help.
     */
    public static final class CredentialCorrupt extends ProvidersException {
        static final String REASON = "CREDENTIAL_CORRUPT";

        CredentialCorrupt() {
            super("The sealed credential does not open for this provider as it is configured: set its credential"
                    + " again.", REASON, Map.of());
        }
    }

    /** The credential may not be sent there. Nothing was sent. */
    public static final class DestinationRefused extends ProvidersException {
        DestinationRefused(String message) {
            super(message, "DESTINATION_REFUSED", Map.of());
        }
    }

    /**
     * The registry shows an older credential than this client has opened: its database was restored, or a replica is
     * lagging. Nothing is opened.
     */
    public static final class RegistryRolledBack extends ProvidersException {
        RegistryRolledBack(String message, Map<String, String> metadata) {
            super(message, "REGISTRY_ROLLED_BACK", metadata);
        }
    }

    /** A strict watch cannot resume there; the metadata has {@code current_revision}, {@code compact_revision}. */
    public static final class CannotResume extends ProvidersException {
        private CannotResume(String message, String reason, Map<String, String> metadata) {
            super(message, reason, metadata);
        }
    }

    /** Anything else: a fault of the server, or one of its limits. */
    public static final class Unexpected extends ProvidersException {
        static final String REASON = "INTERNAL";

        Unexpected(String message, String reason, Map<String, String> metadata) {
            super(message, reason, metadata);
        }
    }

    /** The server that a failed call was made to. */
    enum Peer {
        REGISTRY,
        KMS
    }

    /** The typed error of a call that ended with a status. */
    static ProvidersException from(Exception error, Peer peer) {
        com.google.rpc.Status detailed = null;
        try {
            detailed = StatusProto.fromThrowable(error);
        } catch (IllegalArgumentException malformedDetails) {
            // Then the code alone.
        }
        if (detailed != null) {
            return from(detailed, peer);
        }
        Status status = Status.fromThrowable(error);
        String message = status.getDescription() == null ? status.getCode().name() : status.getDescription();
        return of(reasonOf(status.getCode(), peer), message, status.getCode(), Map.of());
    }

    /** The typed error of an item of a batch, or of a call: by its ErrorInfo, else by its code. */
    static ProvidersException from(com.google.rpc.Status status, Peer peer) {
        ErrorInfo info = ErrorInfo.getDefaultInstance();
        for (Any detail : status.getDetailsList()) {
            if (detail.is(ErrorInfo.class)) {
                try {
                    info = detail.unpack(ErrorInfo.class);
                } catch (InvalidProtocolBufferException malformed) {
                    break;
                }
            }
        }
        Status.Code code = Status.fromCodeValue(status.getCode()).getCode();
        String reason = info.getReason().isEmpty() ? reasonOf(code, peer) : info.getReason();
        return of(reason, status.getMessage(), code, info.getMetadataMap());
    }

    private static ProvidersException of(
            String reason, String message, Status.Code code, Map<String, String> metadata) {
        return switch (reason) {
            case RegistryUnavailable.REASON -> new RegistryUnavailable(message, metadata);
            case KmsUnavailable.REASON -> new KmsUnavailable(message, metadata);
            case NotFound.REASON -> new NotFound(message, metadata);
            case KeyVersionUnavailable.REASON -> new KeyVersionUnavailable(message, metadata);
            case CredentialCorrupt.REASON -> new CredentialCorrupt();
            case "PROVIDER_DISABLED", "NO_STORED_CREDENTIAL" -> new NoCredential(message, reason, metadata);
            case "ROLE_REQUIRED", "UNAUTHENTICATED" -> new NotAllowed(message, reason, metadata);
            case "REVISION_COMPACTED", "REVISION_AHEAD", "STORE_CHANGED" -> new CannotResume(message, reason, metadata);
            default -> code == Status.Code.INVALID_ARGUMENT
                    ? new InvalidRequest(message, reason, metadata)
                    : new Unexpected(message, reason, metadata);
        };
    }

    /** For servers and proxies that send no reason. */
    private static String reasonOf(Status.Code code, Peer peer) {
        return switch (code) {
            case UNAVAILABLE, DEADLINE_EXCEEDED -> peer == Peer.KMS
                    ? KmsUnavailable.REASON
                    : RegistryUnavailable.REASON;
            case NOT_FOUND -> NotFound.REASON;
            case UNAUTHENTICATED -> "UNAUTHENTICATED";
            case PERMISSION_DENIED -> "ROLE_REQUIRED";
            case DATA_LOSS -> CredentialCorrupt.REASON;
            case INVALID_ARGUMENT -> "INVALID_FIELD";
            default -> Unexpected.REASON;
        };
    }
}
