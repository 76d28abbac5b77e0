package codevector.providers;

import codevector.providers.v1.CredentialType;
import codevector.providers.v1.ProviderConfig;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SealedCredential;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A file of tests/vectors/envelope: what is known, what is sealed, and whether it opens. */
record Vector(String name, JsonObject json) {
    private static final Path FOLDER = Path.of("..", "..", "tests", "vectors", "envelope");

    static List<Vector> all() {
        try (Stream<Path> files = Files.list(FOLDER)) {
            return files.sorted().map(Vector::read).toList();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static Vector of(String name) {
        return read(FOLDER.resolve(name + ".json"));
    }

    boolean opens() {
        return json.get("opens").getAsBoolean();
    }

    byte[] dek() {
        return octets(json, "dek");
    }

    Map<String, String> fields() {
        return json.getAsJsonObject("fields").entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, field -> field.getValue().getAsString()));
    }

    List<String> destinations() {
        return texts(json, "destinations");
    }

    /** The provider, as a routing table would have it. */
    RoutingProvider provider() {
        return RoutingProvider.newBuilder()
                .setName("providers/p")
                .setUid(json.get("provider_uid").getAsString())
                .setKindValue(json.get("kind").getAsInt())
                .setConfig(config(json.get("kind").getAsInt(), json.getAsJsonObject("config")))
                .setCredentialType(CredentialType.forNumber(json.get("type").getAsInt()))
                .setCredentialVersion(json.get("credential_version").getAsLong())
                .build();
    }

    Opening.Expected expected() {
        return Opening.Expected.of(octets(json, "deployment_id"), provider(), Destinations.derive(provider()));
    }

    /** What the registry answers, with some of the members replaced. */
    SealedCredential sealed(JsonObject changed) {
        JsonObject whole = json.deepCopy();
        changed.entrySet().forEach(member -> whole.add(member.getKey(), member.getValue()));
        return SealedCredential.newBuilder()
                .setProviderUid(whole.get("provider_uid").getAsString())
                .setKindValue(whole.get("kind").getAsInt())
                .setTypeValue(whole.get("type").getAsInt())
                // A vector may garble it into a number that no message can hold: the same 64 bits then.
                .setCredentialVersion(whole.get("credential_version").getAsBigInteger().longValue())
                .setEnvelope(ByteString.copyFrom(octets(whole, "envelope")))
                .setContext(ByteString.copyFrom(octets(whole, "context")))
                .setCommitment(ByteString.copyFrom(octets(whole, "commitment")))
                .addAllDestinations(texts(whole, "destinations"))
                .build();
    }

    SealedCredential sealed() {
        return sealed(new JsonObject());
    }

    @Override
    public String toString() {
        return name;
    }

    private static Vector read(Path file) {
        try {
            String name = file.getFileName().toString().replace(".json", "");
            return new Vector(name, JsonParser.parseString(Files.readString(file)).getAsJsonObject());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** The member of the kind's number, with its settings by name. */
    static ProviderConfig config(int kind, JsonObject values) {
        FieldDescriptor member = ProviderConfig.getDescriptor().findFieldByNumber(kind);
        Message.Builder settings = ProviderConfig.newBuilder().newBuilderForField(member);
        values.entrySet().forEach(setting -> settings.setField(
                member.getMessageType().findFieldByName(setting.getKey()), setting.getValue().getAsString()));
        return ProviderConfig.newBuilder().setField(member, settings.build()).build();
    }

    private static byte[] octets(JsonObject from, String member) {
        return HexFormat.of().parseHex(from.get(member).getAsString());
    }

    private static List<String> texts(JsonObject from, String member) {
        return from.getAsJsonArray(member).asList().stream().map(JsonElement::getAsString).toList();
    }
}
