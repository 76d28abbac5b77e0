package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import codevector.providers.ProvidersException.DestinationRefused;
import codevector.providers.v1.AzureConfig;
import codevector.providers.v1.BedrockConfig;
import codevector.providers.v1.CredentialType;
import codevector.providers.v1.OpenAICompatibleConfig;
import codevector.providers.v1.ProviderConfig;
import codevector.providers.v1.ProviderKind;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.VertexConfig;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where credentials may go, and that they go nowhere else. */
class DestinationsTest {
    private static final Options OPTIONS = Options.of("127.0.0.1:1", Path.of("kms.sock"));

    private static RoutingProvider gateway(String baseUrl) {
        return RoutingProvider.newBuilder()
                .setName("providers/gateway")
                .setKind(ProviderKind.PROVIDER_KIND_OPENAI_COMPATIBLE)
                .setCredentialType(CredentialType.CREDENTIAL_TYPE_API_KEY)
                .setConfig(ProviderConfig.newBuilder()
                        .setOpenaiCompatible(OpenAICompatibleConfig.newBuilder().setBaseUrl(baseUrl)))
                .build();
    }

    private static RoutingProvider ambient(ProviderKind kind, ProviderConfig.Builder config) {
        return RoutingProvider.newBuilder()
                .setName("providers/cloud")
                .setKind(kind)
                .setCredentialType(CredentialType.CREDENTIAL_TYPE_AMBIENT)
                .setConfig(config)
                .build();
    }

    private static RoutingProvider azure(String endpoint) {
        return ambient(
                ProviderKind.PROVIDER_KIND_AZURE,
                ProviderConfig.newBuilder().setAzure(AzureConfig.newBuilder().setEndpoint(endpoint)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "https://llm.example/tenant/v1",
        "https://llm.example/tenant/v1/chat/completions?stream=true",
        "https://llm.example:443/tenant/v1/",
        "HTTPS://LLM.example/tenant/v1/models",
        "https://llm.example/tenant/v1/a%2Fb",
        "https://llm.example/tenant/v1/v1..2"
    })
    void requestsBelowABoundPathPass(String url) {
        List<Destination> destinations = Destinations.permitted(gateway("https://llm.example/tenant/v1"), OPTIONS);
        assertDoesNotThrow(() -> Destinations.check(destinations, URI.create(url)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "http://llm.example/tenant/v1/chat",
        "https://llm.example:8443/tenant/v1/chat",
        "https://evil.example/tenant/v1/chat",
        "https://llm.example.evil.example/tenant/v1/chat",
        "https://llm.example@evil.example/tenant/v1/chat",
        "https://user@llm.example/tenant/v1/chat",
        "https://llm.example/",
        "https://llm.example/tenant/v10",
        "https://llm.example/other/v1/chat",
        "https://llm.example/tenant/v1/../../other",
        "https://llm.example/tenant/v1/%2e%2e/other",
        "https://llm.example/tenant/v1/%252e%252e/other",
        "https://llm.example/tenant/v1/%25252525252e%25252525252e/other",
        "https://llm.example/tenant/v1/..;a=b/other",
        "https://llm.example/tenant/v1/..%5cother",
        "https://llm.example/tenant/v1/..%00/x",
        "https://llm.example/tenant/v1/..%20/x",
        "https://llm.example/tenant/v1/..%09/x",
        "https://llm.example/tenant/v1/.%0a./x",
        "https://llm.example/tenant/v1/%c0%ae%c0%ae/x",
        "https://llm.example/tenant/v1/%ef%bc%8e%ef%bc%8e/x",
        "https://llm.example/tenant/v1/..%23/x",
        "https://llm.example/tenant/v1/.../x",
        "ftp://llm.example/tenant/v1/chat",
        "/tenant/v1/chat",
        "mailto:a@llm.example"
    })
    void otherRequestsAreRefused(String url) {
        List<Destination> destinations = Destinations.permitted(gateway("https://llm.example/tenant/v1"), OPTIONS);
        assertThrows(DestinationRefused.class, () -> Destinations.check(destinations, URI.create(url)));
    }

    @Test
    void tokenDestinationsGetNoRequests() {
        List<Destination> destinations = Destinations.derive(azure("https://r.openai.azure.com"));
        assertEquals("token https://login.microsoftonline.com", destinations.get(1).toString());
        assertThrows(
                DestinationRefused.class,
                () -> Destinations.check(destinations, URI.create("https://login.microsoftonline.com/x")));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        "https://",
        "https://LLM.example",
        "https://llm.example/a/../b",
        "https://llm.example/a//b",
        "https://llm.example/a%2e",
        "https://llm.example/a?b",
        "https://llm.example#a",
        "https://user@llm.example",
        "https://llm.example.",
        "https://llm.example:0",
        "ftp://llm.example"
    })
    void otherSpellingsOfABaseUrlAreRefused(String url) {
        assertThrows(DestinationRefused.class, () -> Destinations.derive(gateway(url)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://127.0.0.1:8099/v1", "http://localhost:1", "http://a.localhost", "http://[::1]:80"})
    void plainHttpNeedsAnOptionAndThisMachine(String url) {
        assertThrows(DestinationRefused.class, () -> Destinations.permitted(gateway(url), OPTIONS));
        assertDoesNotThrow(() -> Destinations.permitted(gateway(url), OPTIONS.withLoopbackHttp(true)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "http://llm.example", "http://10.0.0.1", "http://127.0.0.256", "http://127.0.0.1.example", "http://[::2]",
        "http://[1:2]"
    })
    void plainHttpElsewhereIsRefused(String url) {
        Options options = OPTIONS.withLoopbackHttp(true);
        assertThrows(DestinationRefused.class, () -> Destinations.permitted(gateway(url), options));
    }

    @Test
    void anAllowListOfTheRoutersOwnHolds() {
        Options options = OPTIONS.withAllowedDestinations("https://llm.example/tenant");
        assertDoesNotThrow(() -> Destinations.permitted(gateway("https://llm.example/tenant/v1"), options));
        assertThrows(
                DestinationRefused.class,
                () -> Destinations.permitted(gateway("https://llm.example/other/v1"), options));
    }

    @Test
    void anAmbientIdentityGoesToItsOwnCloud() {
        assertDoesNotThrow(() -> Destinations.permitted(azure("https://r.openai.azure.com"), OPTIONS));
        assertThrows(
                DestinationRefused.class,
                () -> Destinations.permitted(azure("https://r.cloudapp.azure.com"), OPTIONS));
        Options named = OPTIONS.withAllowedDestinations("https://r.cloudapp.azure.com");
        assertDoesNotThrow(() -> Destinations.permitted(azure("https://r.cloudapp.azure.com"), named));
    }

    @Test
    void regionsAndLocationsAreNoHosts() {
        RoutingProvider bedrock = ambient(
                ProviderKind.PROVIDER_KIND_BEDROCK,
                ProviderConfig.newBuilder().setBedrock(BedrockConfig.newBuilder().setRegion("x.evil.example/")));
        RoutingProvider vertex = ambient(
                ProviderKind.PROVIDER_KIND_VERTEX,
                ProviderConfig.newBuilder().setVertex(VertexConfig.newBuilder().setLocation("x.evil.example/")));
        assertThrows(DestinationRefused.class, () -> Destinations.derive(bedrock));
        assertThrows(DestinationRefused.class, () -> Destinations.derive(vertex));
    }

    @Test
    void aKindOfANewerServerIsRefused() {
        RoutingProvider provider = RoutingProvider.newBuilder().setKindValue(99).build();
        assertThrows(DestinationRefused.class, () -> Destinations.derive(provider));
    }
}
