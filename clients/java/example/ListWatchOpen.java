import codevector.providers.Credential;
import codevector.providers.Options;
import codevector.providers.ProvidersClient;
import codevector.providers.ProvidersException;
import codevector.providers.Router;
import codevector.providers.RoutingTable;
import codevector.providers.WatchOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.TreeSet;

/**
 * A router without traffic: lists the active models, then opens the credential of each provider whenever the table
 * changes, until it is stopped. Arguments: the registry's address and the router's socket of the key sidecar.
 */
public final class ListWatchOpen {
    private static final Duration A_MINUTE = Duration.ofMinutes(1);

    public static void main(String[] arguments) throws InterruptedException {
        Options options = Options.of(arguments[0], Path.of(arguments[1])).withLoopbackHttp(true);
        ProvidersClient client = ProvidersClient.connect(options);
        client.list().models().forEach(model -> System.out.println("active: " + model.getName()));

        Router router = Router.start(client, WatchOptions.of("example-" + ProcessHandle.current().pid()));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            router.close();
            client.close();
        }));
        for (long next = 0; ; next = router.table().revision() + 1) {
            while (!router.awaitRevision(next, A_MINUTE)) {
                System.out.println("nothing new; the last message came " + router.age().toSeconds() + " s ago");
            }
            show(router);
        }
    }

    private static void show(Router router) {
        RoutingTable table = router.table();
        System.out.println(table);
        for (String provider : new TreeSet<>(table.providers().keySet())) {
            try {
                Credential credential = router.credential(provider); // reveal("api_key") goes into a request's header
                System.out.println("  " + credential + " for " + credential.destinations());
            } catch (ProvidersException error) {
                System.out.println("  " + provider + ": " + error.reason());
            }
        }
    }
}
