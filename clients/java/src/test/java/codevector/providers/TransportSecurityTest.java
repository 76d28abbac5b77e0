package codevector.providers;

import static codevector.providers.RegistryDouble.next;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import codevector.providers.ProvidersException.NotAllowed;
import codevector.providers.ProvidersException.RegistryUnavailable;
import io.grpc.ChannelCredentials;
import io.grpc.ServerCredentials;
import io.grpc.TlsChannelCredentials;
import io.grpc.TlsServerCredentials;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** TLS, mTLS and tokens are options of the client, for registries that ask for them. */
class TransportSecurityTest {
    private static final char[] PASSWORD = "password".toCharArray();

    @TempDir
    static Path folder;

    private static KeyManagerFactory keys;
    private static TrustManagerFactory trust;

    /** One self-signed certificate, of server and router alike. */
    @BeforeAll
    static void makeCertificate() throws IOException, InterruptedException, GeneralSecurityException {
        Path store = folder.resolve("keys.p12");
        Process keytool = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                        "-genkeypair", "-alias", "a", "-keyalg", "EC", "-dname", "CN=localhost",
                        "-ext", "SAN=ip:127.0.0.1", "-storetype", "PKCS12", "-keystore", store.toString(),
                        "-storepass", new String(PASSWORD))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("keytool.log").toFile())
                .start();
        assertEquals(0, keytool.waitFor());
        KeyStore loaded = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            loaded.load(in, PASSWORD);
        }
        keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(loaded, PASSWORD);
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("a", loaded.getCertificate("a"));
        trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
    }

    @Test
    void tokensGoOverTlsWithTheRoutersOwnCertificate() throws IOException, InterruptedException {
        ChannelCredentials router = TlsChannelCredentials.newBuilder()
                .keyManager(keys.getKeyManagers())
                .trustManager(trust.getTrustManagers())
                .build();
        try (RegistryDouble registry = new RegistryDouble(mutualTls());
                ProvidersClient client = ProvidersClient.connect(registry.options()
                        .withChannelCredentials(router)
                        .withCallCredentials(new BearerToken(() -> "t0ken")))) {
            client.list();
            assertEquals("Bearer t0ken", next(registry.authorizations));
        }
    }

    @Test
    void withoutACertificateNobodyIsServed() throws IOException {
        ChannelCredentials anyone = TlsChannelCredentials.newBuilder()
                .trustManager(trust.getTrustManagers())
                .build();
        try (RegistryDouble registry = new RegistryDouble(mutualTls());
                ProvidersClient client =
                        ProvidersClient.connect(registry.options().withChannelCredentials(anyone))) {
            assertThrows(RegistryUnavailable.class, client::list);
        }
    }

    @Test
    void aTokenNeverGoesOverPlaintext() throws IOException {
        try (RegistryDouble registry = new RegistryDouble();
                ProvidersClient client = ProvidersClient.connect(
                        registry.options().withCallCredentials(new BearerToken(() -> "t0ken")))) {
            assertThrows(NotAllowed.class, client::list);
            assertTrue(registry.authorizations.isEmpty());
        }
    }

    private static ServerCredentials mutualTls() {
        return TlsServerCredentials.newBuilder()
                .keyManager(keys.getKeyManagers())
                .trustManager(trust.getTrustManagers())
                .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE)
                .build();
    }
}
