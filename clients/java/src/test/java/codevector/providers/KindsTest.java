package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;

import codevector.providers.v1.CredentialType;
import codevector.providers.v1.OpenAICompatibleConfig;
import codevector.providers.v1.ProviderConfig;
import codevector.providers.v1.ProviderKind;
import codevector.providers.v1.RoutingProvider;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The table of tests/vectors/kinds: what every implementation derives from a provider's kind and settings. */
class KindsTest {
    private static JsonObject table() throws IOException {
        Path file = Path.of("..", "..", "tests", "vectors", "kinds", "kinds.json");
        return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
    }

    private static Stream<JsonObject> kinds() throws IOException {
        return table().getAsJsonArray("kinds").asList().stream().map(JsonElement::getAsJsonObject);
    }

    @Test
    void everyKindIsInIt() throws IOException {
        List<Integer> known = Stream.of(ProviderKind.values())
                .filter(kind -> kind != ProviderKind.UNRECOGNIZED && kind.getNumber() != 0)
                .map(ProviderKind::getNumber)
                .toList();
        assertEquals(known, kinds().map(kind -> kind.get("number").getAsInt()).toList());
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void namesAreTheApis(JsonObject kind) {
        String word = kind.get("kind").getAsString().toUpperCase(Locale.ROOT);
        assertEquals("PROVIDER_KIND_" + word, ProviderKind.forNumber(kind.get("number").getAsInt()).name());
        kind.getAsJsonObject("credential_types").asMap().forEach((type, number) -> assertEquals(
                "CREDENTIAL_TYPE_" + type.toUpperCase(Locale.ROOT),
                CredentialType.forNumber(number.getAsInt()).name()));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void destinationsAreThoseOfAll(JsonObject kind) {
        JsonObject types = kind.getAsJsonObject("credential_types");
        for (JsonElement each : kind.getAsJsonArray("destinations")) {
            JsonObject known = each.getAsJsonObject();
            int number = kind.get("number").getAsInt();
            RoutingProvider provider = RoutingProvider.newBuilder()
                    .setName("providers/p")
                    .setKindValue(number)
                    .setConfig(Vector.config(number, known.getAsJsonObject("config")))
                    .setCredentialTypeValue(
                            types.get(known.get("credential_type").getAsString()).getAsInt())
                    .build();
            List<String> items = known.getAsJsonArray("items").asList().stream()
                    .map(JsonElement::getAsString)
                    .toList();
            assertEquals(
                    items,
                    Destinations.derive(provider).stream().map(Destination::toString).toList());
        }
    }

    @Test
    void thisMachineIsKnownByItsSpelling() throws IOException {
        table().getAsJsonObject("hosts").asMap().forEach((host, reach) -> {
            RoutingProvider provider = RoutingProvider.newBuilder()
                    .setKind(ProviderKind.PROVIDER_KIND_OPENAI_COMPATIBLE)
                    .setConfig(ProviderConfig.newBuilder()
                            .setOpenaiCompatible(OpenAICompatibleConfig.newBuilder().setBaseUrl("https://" + host)))
                    .build();
            boolean here = reach.getAsString().equals("loopback");
            assertEquals(here, Destinations.derive(provider).get(0).isLoopback(), host);
        });
    }
}
