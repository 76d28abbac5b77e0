package codevector.providers;

import codevector.providers.ProvidersException.DestinationRefused;
import codevector.providers.ProvidersException.NotFound;
import codevector.providers.v1.ActiveModel;
import codevector.providers.v1.ActiveProviderModel;
import codevector.providers.v1.ReportAppliedRevisionRequest;
import codevector.providers.v1.RoutingChange;
import codevector.providers.v1.SnapshotChunk;
import codevector.providers.v1.WatchRoutingRequest;
import codevector.providers.v1.WatchRoutingResponse;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The program that the scenario in tests/conformance drives: a request a line in, its answer a line out. Of a
 * credential's fields it answers the SHA-256.
 */
final class Conformance implements AutoCloseable {
    private static final Duration LONGEST_PAUSE = Duration.ofMillis(500); // registries are killed while it waits

    private final ProvidersClient client;
    private Router router;

    private Conformance(Options options) {
        client = ProvidersClient.connect(options);
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        List<String> given = Arrays.asList(arguments);
        Options options = Options.of(
                        given.get(given.indexOf("--registry") + 1),
                        Path.of(given.get(given.indexOf("--kms-socket") + 1)))
                .withLoopbackHttp(given.contains("--allow-loopback-http"));
        Gson gson = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        try (Conformance program = new Conformance(options)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                Map<String, Object> answer =
                        program.answer(JsonParser.parseString(line).getAsJsonObject());
                out.println(gson.toJson(answer));
            }
        }
    }

    @Override
    public void close() {
        if (router != null) {
            router.close();
        }
        client.close();
    }

    /** An answer that is an error, by its reason alone. */
    @SuppressWarnings("serial")
    private static final class Refused extends RuntimeException {
        Refused(String reason) {
            super(reason);
        }
    }

    private Map<String, Object> answer(JsonObject request) throws InterruptedException {
        try {
            Map<String, Object> answer = new TreeMap<>(Map.of("ok", true));
            answer.putAll(act(request));
            return answer;
        } catch (ProvidersException error) {
            return Map.of("ok", false, "reason", error.reason());
        } catch (Refused error) {
            return Map.of("ok", false, "reason", error.getMessage());
        }
    }

    private Map<String, ?> act(JsonObject request) throws InterruptedException {
        return switch (request.get("do").getAsString()) {
            case "list" -> list(request);
            case "start" -> start(request);
            case "wait" -> await(request);
            case "table" -> table();
            case "model" -> model(text(request, "name"));
            case "watch" -> watch(request);
            case "report" -> report(request);
            case "open" -> opened(router.credential(text(request, "provider")));
            case "open_vector" -> openVector(request);
            case "check_url" -> check(text(request, "provider"), text(request, "url"));
            case "stop" -> stop();
            default -> throw new Refused("UNKNOWN_COMMAND");
        };
    }

    private Map<String, ?> list(JsonObject request) {
        String filter = request.has("filter") ? text(request, "filter") : "";
        int pageSize = request.has("page_size") ? request.get("page_size").getAsInt() : 0;
        ProvidersClient.Listing listing = client.list(filter, pageSize);
        List<String> names =
                listing.models().stream().map(ActiveProviderModel::getName).toList();
        return Map.of(
                "revision", listing.revision(), "store_id", listing.storeId(), "token", listing.token(), "names", names);
    }

    private Map<String, ?> start(JsonObject request) {
        Duration interval = millis(request, "bookmark_interval_ms");
        router = Router.start(client, new WatchOptions(text(request, "watcher_id"), interval, LONGEST_PAUSE));
        return Map.of();
    }

    private Map<String, ?> await(JsonObject request) throws InterruptedException {
        if (!router.awaitRevision(number(request, "revision"), millis(request, "timeout_ms"))) {
            throw new Refused("TIMEOUT");
        }
        return Map.of("revision", router.table().revision());
    }

    private Map<String, ?> table() {
        RoutingTable table = router.table();
        Map<String, Object> answer = new TreeMap<>();
        answer.put("revision", table.revision());
        answer.put("store_id", table.storeId());
        answer.put("token", table.token());
        answer.put("providers", new TreeSet<>(table.providers().keySet()));
        answer.put("provider_models", new TreeSet<>(table.providerModels().keySet()));
        answer.put("models", new TreeSet<>(table.models().keySet()));
        Map<String, Object> backends = new TreeMap<>();
        table.models().forEach((name, model) -> backends.put(name, backends(model)));
        answer.put("backends", backends);
        answer.put("resets", router.resets().stream().map(Conformance::word).toList());
        answer.put("connected", router.connected());
        return answer;
    }

    private static List<List<Object>> backends(ActiveModel model) {
        return model.getBackendsList().stream()
                .map(backend -> List.<Object>of(backend.getProviderModel(), backend.getPriority(), backend.getWeight()))
                .toList();
    }

    private Map<String, ?> model(String name) {
        ActiveProviderModel model = router.table().providerModels().get(name);
        if (model == null) {
            throw new NotFound(name + " is not in the table.", Map.of());
        }
        Map<String, Object> answer = new TreeMap<>();
        answer.put("upstream_model_id", model.getUpstreamModelId());
        answer.put("context_window", model.getContextWindow());
        boolean priced = model.getPricing().hasInputPerMillionTokens();
        answer.put("input_price", priced ? model.getPricing().getInputPerMillionTokens() : null);
        answer.put("labels", model.getLabelsMap());
        return answer;
    }

    private Map<String, ?> watch(JsonObject request) throws InterruptedException {
        long interval = number(request, "bookmark_interval_ms");
        WatchRoutingRequest from = WatchRoutingRequest.newBuilder()
                .setResumeToken(text(request, "resume_token"))
                .setResumeRevision(number(request, "resume_revision"))
                .setStoreId(text(request, "store_id"))
                .setStrictResume(request.get("strict_resume").getAsBoolean())
                .setBookmarkInterval(com.google.protobuf.Duration.newBuilder()
                        .setSeconds(interval / 1000)
                        .setNanos((int) (interval % 1000) * 1_000_000))
                .build();
        long deadline = System.nanoTime() + millis(request, "timeout_ms").toNanos();
        List<Map<String, ?>> events = new ArrayList<>();
        try (Watch watch = client.watch(from)) {
            while (events.size() < number(request, "messages")) {
                Optional<WatchRoutingResponse> message = watch.next(Duration.ofNanos(deadline - System.nanoTime()));
                events.add(event(message.orElseThrow(() -> new Refused("TIMEOUT"))));
            }
        }
        return Map.of("events", events);
    }

    private static Map<String, ?> event(WatchRoutingResponse message) {
        long revision = message.getRevision();
        return switch (message.getEventCase()) {
            case SNAPSHOT_CHUNK -> {
                SnapshotChunk chunk = message.getSnapshotChunk();
                yield Map.of(
                        "type", "chunk",
                        "first", chunk.getFirst(),
                        "last", chunk.getLast(),
                        "reason", word(chunk.getReason()),
                        "revision", revision);
            }
            case CHANGE_SET -> {
                List<RoutingChange> changes = message.getChangeSet().getChangesList();
                yield Map.of(
                        "type", "change_set",
                        "revision", revision,
                        "put", names(changes.stream().filter(change -> !change.hasRemoved())),
                        "removed", names(changes.stream().filter(RoutingChange::hasRemoved)));
            }
            case BOOKMARK -> Map.of(
                    "type", "bookmark", "revision", revision, "draining", message.getBookmark().getDraining());
            case EVENT_NOT_SET -> Map.of("type", "unknown", "revision", revision);
        };
    }

    private static List<String> names(Stream<RoutingChange> changes) {
        return changes.map(change -> switch (change.getChangeCase()) {
                    case PROVIDER -> change.getProvider().getName();
                    case PROVIDER_MODEL -> change.getProviderModel().getName();
                    case MODEL -> change.getModel().getName();
                    case REMOVED -> change.getRemoved();
                    case CHANGE_NOT_SET -> "";
                })
                .toList();
    }

    private Map<String, ?> report(JsonObject request) {
        client.report(ReportAppliedRevisionRequest.newBuilder()
                .setToken(text(request, "token"))
                .setRevision(number(request, "revision"))
                .setStoreId(text(request, "store_id"))
                .setWatcherId(text(request, "watcher_id"))
                .setStopping(request.get("stopping").getAsBoolean())
                .build());
        return Map.of();
    }

    private static Map<String, ?> openVector(JsonObject request) {
        Vector vector = new Vector("", request.getAsJsonObject("vector"));
        Opening.Expected expected = vector.expected();
        Map<String, String> fields =
                Opening.open(vector.sealed(request.getAsJsonObject("changed")), expected, vector.dek());
        return opened(new Credential(vector.provider(), expected.destinations(), fields));
    }

    private static Map<String, ?> opened(Credential credential) {
        return Map.of(
                "type", credential.type().name().replace("CREDENTIAL_TYPE_", ""),
                "version", credential.version(),
                "fields", credential.fieldNames().stream()
                        .collect(Collectors.toMap(name -> name, name -> sha256(credential.reveal(name)))),
                "destinations", credential.destinations().stream().map(Destination::toString).toList());
    }

    private Map<String, ?> check(String provider, String url) {
        try {
            router.check(provider, URI.create(url));
        } catch (IllegalArgumentException noUrl) {
            throw new DestinationRefused("This is not a URL.");
        }
        return Map.of();
    }

    private Map<String, ?> stop() {
        router.close();
        router = null;
        return Map.of();
    }

    private static String sha256(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String word(SnapshotChunk.Reason reason) {
        return reason.name().replace("REASON_", "");
    }

    private static String text(JsonObject request, String member) {
        return request.get(member).getAsString();
    }

    private static long number(JsonObject request, String member) {
        return request.get(member).getAsLong();
    }

    private static Duration millis(JsonObject request, String member) {
        return Duration.ofMillis(number(request, member));
    }
}
