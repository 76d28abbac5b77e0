package codevector.providers;

import codevector.providers.ProvidersException.CredentialCorrupt;
import codevector.providers.v1.CredentialType;
import codevector.providers.v1.ProviderKind;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SealedCredential;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Opens sealed credentials of format 1, byte for byte as docs/formats/envelope.md defines them. May see one data key
 * and the fields it opens, during one call. Must never keep or print either, trust a column that the envelope does not
 * bind, or say why an envelope does not open: every cause is one error.
 *
 * <pre>
 * bytes       envelope
 * 0..3        "CVC1"
 * 4, 5, 6..7  format 1, suite 1, flags 0
 * 8..23       data key id
 * 24..55      commitment
 * 56..67      nonce
 * 68..        AES-256-GCM ciphertext, a multiple of 256 bytes, and its tag of 16
 * </pre>
 */
final class Opening {
    private static final byte[] MAGIC_FORMAT_SUITE_FLAGS = {'C', 'V', 'C', '1', 1, 1, 0, 0};
    private static final int HEADER_BYTES = 56;
    private static final int NONCE_END = HEADER_BYTES + 12;
    private static final int TAG_BYTES = 16;
    private static final int BLOCK_BYTES = 256;
    private static final int MAX_PLAIN_BYTES = 64 * 1024;
    private static final int MAX_DESTINATIONS = 8;
    private static final int DEK_BYTES = 32;
    private static final int DEPLOYMENT_ID_BYTES = 16;

    private record FieldNames(Set<String> required, Set<String> optional) {}

    private static final Map<CredentialType, FieldNames> FIELDS = Map.of(
            CredentialType.CREDENTIAL_TYPE_API_KEY,
            new FieldNames(Set.of("api_key"), Set.of()),
            CredentialType.CREDENTIAL_TYPE_AWS_ACCESS_KEY,
            new FieldNames(Set.of("access_key_id", "secret_access_key"), Set.of("assume_role_arn", "session_token")),
            CredentialType.CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY,
            new FieldNames(Set.of("client_email", "private_key", "private_key_id", "project_id"), Set.of()),
            CredentialType.CREDENTIAL_TYPE_AZURE_CLIENT_SECRET,
            new FieldNames(Set.of("client_id", "client_secret", "tenant_id"), Set.of()),
            CredentialType.CREDENTIAL_TYPE_AMBIENT,
            new FieldNames(Set.of(), Set.of()));

    private Opening() {}

    /** What the opener itself knows: its deployment, its routing table, the destinations it derived. */
    record Expected(
            byte[] deploymentId,
            UUID providerUid,
            ProviderKind kind,
            CredentialType type,
            long credentialVersion,
            List<Destination> destinations) {

        static Expected of(byte[] deploymentId, RoutingProvider provider, List<Destination> destinations) {
            UUID uid;
            try {
                uid = UUID.fromString(provider.getUid());
            } catch (IllegalArgumentException error) {
                throw new CredentialCorrupt();
            }
            return new Expected(
                    deploymentId,
                    uid,
                    provider.getKind(),
                    provider.getCredentialType(),
                    provider.getCredentialVersion(),
                    destinations);
        }
    }

    /** Checks everything that needs no data key, so that a wrong wrapped key is never unwrapped. */
    static void check(SealedCredential sealed, Expected expected) {
        int plainBytes = sealed.getEnvelope().size() - NONCE_END - TAG_BYTES;
        require(plainBytes >= BLOCK_BYTES && plainBytes <= MAX_PLAIN_BYTES && plainBytes % BLOCK_BYTES == 0);
        byte[] envelope = sealed.getEnvelope().toByteArray();
        require(Arrays.equals(envelope, 0, 8, MAGIC_FORMAT_SUITE_FLAGS, 0, 8));
        require(typesOf(expected.kind).contains(expected.type));
        require(sealed.getProviderUid().equals(expected.providerUid.toString())
                && sealed.getKindValue() == expected.kind.getNumber()
                && sealed.getTypeValue() == expected.type.getNumber()
                && sealed.getCredentialVersion() == expected.credentialVersion);
        byte[] context = context(expected, Arrays.copyOfRange(envelope, 8, 24));
        require(MessageDigest.isEqual(sealed.getContext().toByteArray(), context));
        byte[] commitment = Arrays.copyOfRange(envelope, 24, HEADER_BYTES);
        require(MessageDigest.isEqual(sealed.getCommitment().toByteArray(), commitment));
        List<String> derived = expected.destinations.stream().map(Destination::toString).toList();
        require(!derived.isEmpty() && new HashSet<>(sealed.getDestinationsList()).containsAll(derived));
        encodeDestinations(sealed.getDestinationsList());
    }

    /** The fields of the credential, in plain text. */
    static Map<String, String> open(SealedCredential sealed, Expected expected, byte[] dek) {
        check(sealed, expected);
        require(dek.length == DEK_BYTES);
        byte[] envelope = sealed.getEnvelope().toByteArray();
        byte[] context = sealed.getContext().toByteArray();
        byte[] digest = sha256(context);
        byte[] commitment = expand(dek, "codevector/commit/1", digest);
        require(MessageDigest.isEqual(sealed.getCommitment().toByteArray(), commitment));
        byte[] aad = lengthPrefixed(List.of(
                ascii("codevector/cred/1"),
                context,
                u32(expected.kind.getNumber()),
                u32(expected.type.getNumber()),
                encodeDestinations(sealed.getDestinationsList())));
        byte[] key = expand(dek, "codevector/enc/1", digest);
        byte[] plain = decrypt(key, envelope, aad);
        try {
            return decodeFields(ByteBuffer.wrap(plain, 0, unpaddedBytes(plain)), expected.type);
        } finally {
            Arrays.fill(key, (byte) 0);
            Arrays.fill(plain, (byte) 0);
        }
    }

    private static Set<CredentialType> typesOf(ProviderKind kind) {
        return switch (kind) {
            case PROVIDER_KIND_UNSPECIFIED, UNRECOGNIZED -> Set.of();
            case PROVIDER_KIND_AZURE -> Set.of(
                    CredentialType.CREDENTIAL_TYPE_API_KEY,
                    CredentialType.CREDENTIAL_TYPE_AZURE_CLIENT_SECRET,
                    CredentialType.CREDENTIAL_TYPE_AMBIENT);
            case PROVIDER_KIND_BEDROCK -> Set.of(
                    CredentialType.CREDENTIAL_TYPE_API_KEY,
                    CredentialType.CREDENTIAL_TYPE_AWS_ACCESS_KEY,
                    CredentialType.CREDENTIAL_TYPE_AMBIENT);
            case PROVIDER_KIND_VERTEX, PROVIDER_KIND_VERTEX_ANTHROPIC -> Set.of(
                    CredentialType.CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY, CredentialType.CREDENTIAL_TYPE_AMBIENT);
            default -> Set.of(CredentialType.CREDENTIAL_TYPE_API_KEY);
        };
    }

    /** CTX, computed from what this router knows; only the data key's id comes from the envelope. */
    private static byte[] context(Expected expected, byte[] dekId) {
        require(expected.deploymentId.length == DEPLOYMENT_ID_BYTES && expected.credentialVersion >= 1);
        UUID uid = expected.providerUid;
        return lengthPrefixed(List.of(
                ascii("codevector/dek/1"),
                expected.deploymentId,
                ascii("default"),
                ByteBuffer.allocate(16)
                        .putLong(uid.getMostSignificantBits())
                        .putLong(uid.getLeastSignificantBits())
                        .array(),
                dekId,
                ByteBuffer.allocate(8).putLong(expected.credentialVersion).array()));
    }

    /** DST of the stored list, verbatim; it must be in the one form that is ever sealed. */
    private static byte[] encodeDestinations(List<String> items) {
        require(!items.isEmpty() && items.size() <= MAX_DESTINATIONS);
        List<byte[]> parts = new ArrayList<>(List.of(ascii("codevector/dest/1")));
        String last = "";
        for (String item : items) {
            require(item.chars().allMatch(letter -> letter < 0x80) && item.compareTo(last) > 0);
            parts.add(ascii(item));
            last = item;
        }
        return lengthPrefixed(parts);
    }

    /** AES-256-GCM, its tag last. Source: NIST SP 800-38D. */
    private static byte[] decrypt(byte[] key, byte[] envelope, byte[] aad) {
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(
                    Cipher.DECRYPT_MODE,
                    new SecretKeySpec(key, "AES"),
                    new GCMParameterSpec(TAG_BYTES * 8, envelope, HEADER_BYTES, NONCE_END - HEADER_BYTES));
            cipher.updateAAD(envelope, 0, HEADER_BYTES);
            cipher.updateAAD(aad);
            return cipher.doFinal(envelope, NONCE_END, envelope.length - NONCE_END);
        } catch (AEADBadTagException error) {
            throw new CredentialCorrupt();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Without 80 and zeros. Only the shortest padding that fills a block: one plaintext has one encoding. */
    private static int unpaddedBytes(byte[] plain) {
        int end = plain.length - 1;
        while (end >= 0 && plain[end] == 0) {
            end--;
        }
        require(end >= 0 && plain[end] == (byte) 0x80 && plain.length - end <= BLOCK_BYTES);
        return end;
    }

    /** The named fields: sorted, each once, exactly those of the type. */
    private static Map<String, String> decodeFields(ByteBuffer octets, CredentialType type) {
        List<String> texts = new ArrayList<>();
        while (octets.hasRemaining()) {
            require(octets.remaining() >= 4);
            int size = octets.getInt();
            require(size >= 0 && size <= octets.remaining());
            texts.add(text(octets.slice(octets.position(), size)));
            octets.position(octets.position() + size);
        }
        require(texts.size() % 2 == 1 && texts.get(0).equals("codevector/fields/1"));
        Map<String, String> fields = new HashMap<>();
        String last = "";
        for (int i = 1; i < texts.size(); i += 2) {
            String name = texts.get(i);
            require(name.compareTo(last) > 0);
            fields.put(name, texts.get(i + 1));
            last = name;
        }
        FieldNames names = FIELDS.get(type);
        Set<String> others = new HashSet<>(fields.keySet());
        others.removeAll(names.required);
        require(fields.keySet().containsAll(names.required) && names.optional.containsAll(others));
        return fields;
    }

    private static String text(ByteBuffer octets) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(octets).toString();
        } catch (CharacterCodingException error) {
            throw new CredentialCorrupt();
        }
    }

    /** The expand step of HKDF with SHA-256, one block of 32 bytes. Source: RFC 5869 section 2.3. */
    private static byte[] expand(byte[] key, String label, byte[] digest) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            mac.update(ascii(label));
            mac.update(digest);
            mac.update((byte) 1);
            return mac.doFinal();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static byte[] sha256(byte[] octets) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(octets);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    /** LP: each part as its length, u32be, and its bytes. */
    private static byte[] lengthPrefixed(List<byte[]> parts) {
        ByteBuffer out = ByteBuffer.allocate(parts.stream().mapToInt(part -> 4 + part.length).sum());
        parts.forEach(part -> out.putInt(part.length).put(part));
        return out.array();
    }

    private static byte[] u32(int number) {
        return ByteBuffer.allocate(4).putInt(number).array();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static void require(boolean holds) {
        if (!holds) {
            throw new CredentialCorrupt();
        }
    }
}
