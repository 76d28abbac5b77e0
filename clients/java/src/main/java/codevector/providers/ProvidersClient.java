package codevector.providers;

import codevector.providers.ProvidersException.CredentialCorrupt;
import codevector.providers.ProvidersException.Peer;
import codevector.providers.ProvidersException.RegistryRolledBack;
import codevector.providers.v1.ActiveProviderModel;
import codevector.providers.v1.BatchGetSealedCredentialsRequest;
import codevector.providers.v1.BatchGetSealedCredentialsResponse;
import codevector.providers.v1.ListActiveProviderModelsRequest;
import codevector.providers.v1.ListActiveProviderModelsResponse;
import codevector.providers.v1.ReportAppliedRevisionRequest;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SealedCredential;
import codevector.providers.v1.SealedCredentialResult;
import codevector.providers.v1.WatchRoutingRequest;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A router's connections: to the registry for what is active, to its own key sidecar to open credentials. It connects
 * at the first call. Safe to share between threads. Methods throw {@link ProvidersException}.
 */
public final class ProvidersClient implements AutoCloseable {
    private final Options options;
    private final ManagedChannel channel;
    private final KmsClient kms;
    private final Map<UUID, Long> newestVersions = new ConcurrentHashMap<>(); // by provider uid, of what was opened

    private ProvidersClient(Options options) {
        this.options = options;
        channel = Channels.toRegistry(options);
        kms = new KmsClient(options);
    }

    /** Returns a client, which the caller closes. */
    public static ProvidersClient connect(Options options) {
        return new ProvidersClient(options);
    }

    /** The routable provider models, ordered by name, and the revision and token to watch from. */
    public record Listing(long revision, String storeId, String token, List<ActiveProviderModel> models) {}

    /** All routable provider models. */
    public Listing list() {
        return list("", 1000);
    }

    /**
     * Those that a filter selects, e.g. {@code provider = "providers/openai-prod" AND kind = MODEL_KIND_CHAT}, in
     * pages of that size.
     */
    public Listing list(String filter, int pageSize) {
        List<ActiveProviderModel> models = new ArrayList<>();
        ListActiveProviderModelsResponse first = null;
        String pageToken = "";
        do {
            ListActiveProviderModelsResponse page = call(
                    Methods.LIST,
                    ListActiveProviderModelsRequest.newBuilder()
                            .setFilter(filter)
                            .setPageSize(pageSize)
                            .setPageToken(pageToken)
                            .build());
            first = first == null ? page : first;
            models.addAll(page.getActiveProviderModelsList());
            pageToken = page.getNextPageToken();
        } while (!pageToken.isEmpty());
        return new Listing(first.getRevision(), first.getStoreId(), first.getToken(), List.copyOf(models));
    }

    /** Returns one stream of changes, which the caller closes. */
    public Watch watch(WatchRoutingRequest request) {
        Channels.connectAnew(channel);
        CallOptions call = CallOptions.DEFAULT.withCallCredentials(options.callCredentials());
        return new Watch(ClientCalls.blockingV2ServerStreamingCall(channel, Methods.WATCH, call, request));
    }

    /** Reports by its token which table this router has applied, or that it stops. */
    public void report(ReportAppliedRevisionRequest request) {
        call(Methods.REPORT, request);
    }

    /**
     * The provider's credential, fetched sealed and opened with this router's sidecar; nothing is kept. It opens only
     * if the destinations that this library derives from the provider are among those it was sealed for.
     */
    public Credential open(RoutingProvider provider) {
        Destinations.permitted(provider, options);
        return open(provider, fetch(provider.getName()));
    }

    /** What the registry has for that provider, still untrusted. */
    SealedCredential fetch(String provider) {
        BatchGetSealedCredentialsResponse answer = call(
                Methods.FETCH,
                BatchGetSealedCredentialsRequest.newBuilder().addProviders(provider).build());
        if (answer.getResultsCount() != 1) {
            throw new CredentialCorrupt();
        }
        SealedCredentialResult result = answer.getResults(0);
        if (result.hasError()) {
            throw ProvidersException.from(result.getError(), Peer.REGISTRY);
        }
        return result.getSealedCredential();
    }

    /** Opens it, or throws CredentialCorrupt, DestinationRefused, RegistryRolledBack, or what the sidecar says. */
    Credential open(RoutingProvider provider, SealedCredential sealed) {
        List<Destination> destinations = Destinations.permitted(provider, options);
        Opening.Expected expected = Opening.Expected.of(kms.deploymentId(), provider, destinations);
        Opening.check(sealed, expected);
        refuseOlder(expected);
        byte[] dek = kms.unwrap(sealed);
        Map<String, String> fields;
        try {
            fields = Opening.open(sealed, expected, dek);
        } finally {
            Arrays.fill(dek, (byte) 0);
        }
        newestVersions.merge(expected.providerUid(), expected.credentialVersion(), Math::max);
        return new Credential(provider, destinations, fields);
    }

    Options options() {
        return options;
    }

    @Override
    public void close() {
        channel.shutdownNow();
        kms.close();
    }

    /** Refuses a replaced credential: it is intact, so only memory shows that it is old. */
    private void refuseOlder(Opening.Expected expected) {
        long newest = newestVersions.getOrDefault(expected.providerUid(), 0L);
        if (expected.credentialVersion() < newest) {
            throw new RegistryRolledBack(
                    "The registry shows credential version " + expected.credentialVersion()
                            + " of a provider whose version " + newest + " this client has opened.",
                    Map.of("provider_uid", expected.providerUid().toString()));
        }
    }

    private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
        CallOptions call = Channels.within(options).withCallCredentials(options.callCredentials());
        return Channels.call(channel, method, request, call, Peer.REGISTRY);
    }
}
