package codevector.providers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import codevector.providers.ProvidersException.CredentialCorrupt;
import codevector.providers.v1.CredentialType;
import codevector.providers.v1.ProviderKind;
import codevector.providers.v1.SealedCredential;
import com.google.protobuf.ByteString;
import java.util.HashSet;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What opens, and that nothing else does. */
class OpeningTest {
    private static final Vector FROZEN = Vector.of("openai-api-key");
    private static final Opening.Expected KNOWN = FROZEN.expected();

    static Stream<Vector> openable() {
        return Vector.all().stream().filter(Vector::opens);
    }

    static Stream<Vector> refused() {
        return Vector.all().stream().filter(vector -> !vector.opens());
    }

    @ParameterizedTest
    @MethodSource("openable")
    void opens(Vector vector) {
        assertEquals(vector.fields(), Opening.open(vector.sealed(), vector.expected(), vector.dek()));
    }

    @ParameterizedTest
    @MethodSource("openable")
    void derivesTheDestinationsThatWereSealed(Vector vector) {
        List<String> derived = Destinations.derive(vector.provider()).stream()
                .map(Destination::toString)
                .toList();
        assertEquals(new HashSet<>(vector.destinations()), new HashSet<>(derived));
    }

    @ParameterizedTest
    @MethodSource("refused")
    void refuses(Vector vector) {
        assertCorrupt(vector.sealed(), vector.expected(), vector.dek());
    }

    @ParameterizedTest
    @MethodSource("openable")
    void refusesEveryOtherVectorInThePlaceOfThisOne(Vector mine) {
        for (Vector theirs : openable().filter(other -> !other.name().equals(mine.name())).toList()) {
            SealedCredential exchanged =
                    mine.sealed().toBuilder().setEnvelope(theirs.sealed().getEnvelope()).build();
            assertCorrupt(theirs.sealed(), mine.expected(), theirs.dek());
            assertCorrupt(mine.sealed(), mine.expected(), theirs.dek());
            assertCorrupt(exchanged, mine.expected(), mine.dek());
            assertCorrupt(exchanged, mine.expected(), theirs.dek());
        }
    }

    @Test
    void refusesEveryBitOfTheEnvelopeFlipped() {
        SealedCredential sealed = FROZEN.sealed();
        for (int bit = 0; bit < sealed.getEnvelope().size() * 8; bit++) {
            assertCorrupt(sealed.toBuilder().setEnvelope(flipped(sealed.getEnvelope(), bit)).build());
        }
    }

    @Test
    void refusesEveryBitOfTheColumnsFlipped() {
        SealedCredential sealed = FROZEN.sealed();
        for (int bit = 0; bit < sealed.getContext().size() * 8; bit++) {
            assertCorrupt(sealed.toBuilder().setContext(flipped(sealed.getContext(), bit)).build());
        }
        for (int bit = 0; bit < sealed.getCommitment().size() * 8; bit++) {
            assertCorrupt(sealed.toBuilder().setCommitment(flipped(sealed.getCommitment(), bit)).build());
        }
    }

    @Test
    void refusesEveryBitOfTheDataKeyFlipped() {
        for (int bit = 0; bit < 256; bit++) {
            byte[] dek = flipped(ByteString.copyFrom(FROZEN.dek()), bit).toByteArray();
            assertCorrupt(FROZEN.sealed(), KNOWN, dek);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 55, 56, 68, 84, 339, 341, 596})
    void refusesOtherLengths(int size) {
        ByteString envelope = FROZEN.sealed().getEnvelope();
        ByteString other = envelope.concat(envelope).substring(0, size);
        assertCorrupt(FROZEN.sealed().toBuilder().setEnvelope(other).build());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 16, 31, 33, 64})
    void refusesDataKeysOfOtherLengths(int size) {
        assertCorrupt(FROZEN.sealed(), KNOWN, new byte[size]);
    }

    static Stream<SealedCredential> otherColumns() {
        SealedCredential sealed = FROZEN.sealed();
        return Stream.of(
                sealed.toBuilder().setProviderUid(new UUID(0, 9).toString()).build(),
                sealed.toBuilder().setProviderUid("").build(),
                sealed.toBuilder().setKind(ProviderKind.PROVIDER_KIND_GROQ).build(),
                sealed.toBuilder().setKindValue(99).build(),
                sealed.toBuilder().setType(CredentialType.CREDENTIAL_TYPE_AMBIENT).build(),
                sealed.toBuilder().setTypeValue(99).build(),
                sealed.toBuilder().setCredentialVersion(2).build(),
                sealed.toBuilder().clearContext().build(),
                sealed.toBuilder().clearCommitment().build(),
                withDestinations(),
                withDestinations("api https://evil.example"),
                withDestinations("api https://api.openai.com", "api https://api.openai.com"),
                withDestinations("api https://api.openai.com", "api https://evil.example"),
                withDestinations("api https://evil.example", "api https://api.openai.com"),
                withDestinations("api https://api.openai.com", "api https://exämple.com"));
    }

    @ParameterizedTest
    @MethodSource("otherColumns")
    void refusesOtherColumns(SealedCredential sealed) {
        assertCorrupt(sealed);
    }

    static Stream<Opening.Expected> otherBindings() {
        return Stream.of(
                expected(new byte[16], KNOWN.providerUid(), KNOWN.kind(), KNOWN.type(), 1),
                expected(new byte[15], KNOWN.providerUid(), KNOWN.kind(), KNOWN.type(), 1),
                expected(KNOWN.deploymentId(), new UUID(0, 9), KNOWN.kind(), KNOWN.type(), 1),
                expected(KNOWN.deploymentId(), KNOWN.providerUid(), ProviderKind.PROVIDER_KIND_GROQ, KNOWN.type(), 1),
                expected(KNOWN.deploymentId(), KNOWN.providerUid(), ProviderKind.UNRECOGNIZED, KNOWN.type(), 1),
                expected(KNOWN.deploymentId(), KNOWN.providerUid(), KNOWN.kind(), CredentialType.UNRECOGNIZED, 1),
                expected(
                        KNOWN.deploymentId(),
                        KNOWN.providerUid(),
                        KNOWN.kind(),
                        CredentialType.CREDENTIAL_TYPE_AMBIENT,
                        1),
                expected(KNOWN.deploymentId(), KNOWN.providerUid(), KNOWN.kind(), KNOWN.type(), 2),
                expected(KNOWN.deploymentId(), KNOWN.providerUid(), KNOWN.kind(), KNOWN.type(), 0),
                new Opening.Expected(
                        KNOWN.deploymentId(), KNOWN.providerUid(), KNOWN.kind(), KNOWN.type(), 1, List.of()));
    }

    @ParameterizedTest
    @MethodSource("otherBindings")
    void refusesAnotherBinding(Opening.Expected other) {
        assertCorrupt(FROZEN.sealed(), other, FROZEN.dek());
    }

    @Test
    void aCredentialShowsNothing() {
        Credential credential = new Credential(FROZEN.provider(), KNOWN.destinations(), FROZEN.fields());
        assertEquals(FROZEN.fields().get("api_key"), credential.reveal("api_key"));
        assertEquals("Credential[providers/p, CREDENTIAL_TYPE_API_KEY, version 1]", credential.toString());
    }

    private static Opening.Expected expected(
            byte[] deploymentId, UUID uid, ProviderKind kind, CredentialType type, long version) {
        return new Opening.Expected(deploymentId, uid, kind, type, version, KNOWN.destinations());
    }

    private static SealedCredential withDestinations(String... items) {
        return FROZEN.sealed().toBuilder().clearDestinations().addAllDestinations(List.of(items)).build();
    }

    private static void assertCorrupt(SealedCredential sealed) {
        assertCorrupt(sealed, KNOWN, FROZEN.dek());
    }

    private static void assertCorrupt(SealedCredential sealed, Opening.Expected expected, byte[] dek) {
        CredentialCorrupt error =
                assertThrows(CredentialCorrupt.class, () -> Opening.open(sealed, expected, dek));
        assertEquals(new CredentialCorrupt().getMessage(), error.getMessage());
    }

    private static ByteString flipped(ByteString octets, int bit) {
        byte[] changed = octets.toByteArray();
        changed[bit / 8] ^= (byte) (1 << bit % 8);
        return ByteString.copyFrom(changed);
    }
}
