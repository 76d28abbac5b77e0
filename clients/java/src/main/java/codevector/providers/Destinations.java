package codevector.providers;

import static codevector.providers.Destination.Role.API;
import static codevector.providers.Destination.Role.CONTROL;
import static codevector.providers.Destination.Role.TOKEN;

import codevector.providers.ProvidersException.DestinationRefused;
import codevector.providers.v1.AzureConfig;
import codevector.providers.v1.BedrockConfig;
import codevector.providers.v1.CredentialType;
import codevector.providers.v1.ProviderConfig;
import codevector.providers.v1.ProviderKind;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.VertexConfig;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Where a provider's credential may be sent, derived from the provider itself and from nothing else: otherwise anyone
 * who may edit a base URL would get the stored key. The defaults of a kind never change in place.
 *
 * <p>Source: docs/formats/envelope.md, "Destinations by kind".
 */
public final class Destinations {
    private static final Pattern BEDROCK_REGION = Pattern.compile("[a-z]{2}(-[a-z]+)+-[0-9]+");
    private static final Pattern VERTEX_LOCATION = Pattern.compile("global|us|eu|[a-z]+-[a-z]+[0-9]+");

    // Only names under which the cloud itself serves: no *.cloudapp.azure.com, no load balancers or functions under
    // amazonaws.com, which any tenant can create.
    private static final Pattern VERTEX_HOST =
            Pattern.compile("(?:[a-z0-9-]+-)?aiplatform(?:\\.(?:us|eu)\\.rep)?\\.googleapis\\.com");
    private static final Map<ProviderKind, Pattern> OWN_HOSTS_OF_CLOUD = Map.of(
            ProviderKind.PROVIDER_KIND_AZURE,
            Pattern.compile("[a-z0-9-]+\\.(?:openai|cognitiveservices|services\\.ai)\\.azure\\.(?:com|us|cn)"),
            ProviderKind.PROVIDER_KIND_BEDROCK,
            Pattern.compile("(?:bedrock-runtime(?:-fips)?\\.[a-z0-9-]+"
                    + "|vpce-[a-z0-9-]+\\.bedrock-runtime\\.[a-z0-9-]+\\.vpce)\\.amazonaws\\.com"),
            ProviderKind.PROVIDER_KIND_VERTEX,
            VERTEX_HOST,
            ProviderKind.PROVIDER_KIND_VERTEX_ANTHROPIC,
            VERTEX_HOST);

    private Destinations() {}

    /** All destinations of a provider as it is configured, the api ones first, or DestinationRefused. */
    static List<Destination> derive(RoutingProvider provider) {
        ProviderConfig config = provider.getConfig();
        return switch (provider.getKind()) {
            case PROVIDER_KIND_OPENAI -> api(config.getOpenai().getBaseUrl(), "https://api.openai.com");
            case PROVIDER_KIND_ANTHROPIC -> api(config.getAnthropic().getBaseUrl(), "https://api.anthropic.com");
            case PROVIDER_KIND_GOOGLE ->
                    api(config.getGoogle().getBaseUrl(), "https://generativelanguage.googleapis.com");
            case PROVIDER_KIND_GROQ -> api(config.getGroq().getBaseUrl(), "https://api.groq.com");
            case PROVIDER_KIND_COHERE -> api(config.getCohere().getBaseUrl(), "https://api.cohere.com");
            case PROVIDER_KIND_DEEPSEEK -> api(config.getDeepseek().getBaseUrl(), "https://api.deepseek.com");
            case PROVIDER_KIND_MOONSHOT -> api(config.getMoonshot().getBaseUrl(), "https://api.moonshot.ai");
            case PROVIDER_KIND_OPENAI_COMPATIBLE ->
                    List.of(Destination.of(API, config.getOpenaiCompatible().getBaseUrl()));
            case PROVIDER_KIND_AZURE -> azure(config.getAzure(), provider.getCredentialType());
            case PROVIDER_KIND_BEDROCK -> bedrock(config.getBedrock());
            case PROVIDER_KIND_VERTEX -> vertex(config.getVertex());
            case PROVIDER_KIND_VERTEX_ANTHROPIC -> vertex(config.getVertexAnthropic());
            case PROVIDER_KIND_UNSPECIFIED, UNRECOGNIZED -> throw new DestinationRefused(
                    "This version of the library does not know the kind of " + provider.getName() + ": upgrade it.");
        };
    }

    /** The derived destinations, if this router's own rules allow all of them. */
    static List<Destination> permitted(RoutingProvider provider, Options options) {
        List<Destination> derived = derive(provider);
        for (Destination destination : derived) {
            if (destination.scheme().equals("http") && !(options.allowLoopbackHttp() && destination.isLoopback())) {
                throw new DestinationRefused(provider.getName()
                        + " uses plain http: only allowed to this machine, with withLoopbackHttp(true).");
            }
            if (destination.role() == API) {
                checkAllowed(provider, destination, options.allowedDestinations());
            }
        }
        return derived;
    }

    /**
     * Refuses a request that does not go to one of these with the role api. Call it for each hop: let no HTTP client
     * follow redirects itself.
     *
     * @throws DestinationRefused nothing may be sent there
     */
    public static void check(List<Destination> destinations, URI request) {
        String scheme = request.getScheme() == null ? "" : request.getScheme().toLowerCase(Locale.ROOT);
        String host = request.getHost() == null ? "" : request.getHost().toLowerCase(Locale.ROOT);
        int port = request.getPort() == -1 ? Destination.defaultPort(scheme) : request.getPort();
        String path = request.getRawPath() == null ? "" : request.getRawPath();
        boolean covered = destinations.stream()
                .anyMatch(allowed -> allowed.role() == API && allowed.covers(scheme, host, port, path));
        if (!covered || request.getRawUserInfo() != null) {
            throw new DestinationRefused("The URL is not a destination of this provider; nothing was sent.");
        }
    }

    private static void checkAllowed(RoutingProvider provider, Destination destination, List<Destination> allowed) {
        boolean named = allowed.stream()
                .anyMatch(entry -> entry.covers(
                        destination.scheme(), destination.host(), destination.port(), destination.path()));
        if (!allowed.isEmpty() && !named) {
            throw new DestinationRefused(
                    provider.getName() + " leads to a destination that this router does not allow.");
        }
        if (provider.getCredentialType() != CredentialType.CREDENTIAL_TYPE_AMBIENT || named) {
            return;
        }
        Pattern ownHosts = OWN_HOSTS_OF_CLOUD.get(provider.getKind());
        if (destination.port() != 443
                || ownHosts == null
                || !ownHosts.matcher(destination.host()).matches()) {
            throw new DestinationRefused(provider.getName()
                    + " asks for this router's own identity at a host outside its cloud: name the destination in"
                    + " withAllowedDestinations if that is meant.");
        }
    }

    private static List<Destination> api(String own, String byDefault) {
        return List.of(Destination.of(API, own.isEmpty() ? byDefault : own));
    }

    private static List<Destination> azure(AzureConfig config, CredentialType type) {
        Destination endpoint = Destination.of(API, config.getEndpoint());
        if (type != CredentialType.CREDENTIAL_TYPE_AZURE_CLIENT_SECRET
                && type != CredentialType.CREDENTIAL_TYPE_AMBIENT) {
            return List.of(endpoint);
        }
        String login = "https://login.microsoftonline.com";
        if (endpoint.host().endsWith(".azure.us")) {
            login = "https://login.microsoftonline.us";
        } else if (endpoint.host().endsWith(".azure.cn")) {
            login = "https://login.partner.microsoftonline.cn";
        }
        return List.of(endpoint, Destination.of(TOKEN, login));
    }

    private static List<Destination> bedrock(BedrockConfig config) {
        String region = config.getRegion();
        if (!BEDROCK_REGION.matcher(region).matches()) {
            throw new DestinationRefused("The provider's region is not the name of a region.");
        }
        String own = config.getEndpointUrl();
        String runtime = own.isEmpty() ? "https://bedrock-runtime." + region + ".amazonaws.com" : own;
        return List.of(
                Destination.of(API, runtime),
                Destination.of(CONTROL, "https://bedrock." + region + ".amazonaws.com"),
                Destination.of(TOKEN, "https://sts." + region + ".amazonaws.com"));
    }

    private static List<Destination> vertex(VertexConfig config) {
        String location = config.getLocation();
        if (!VERTEX_LOCATION.matcher(location).matches()) {
            throw new DestinationRefused("The provider's location is not the name of a location.");
        }
        String host = switch (location) {
            case "global" -> "aiplatform.googleapis.com";
            case "us", "eu" -> "aiplatform." + location + ".rep.googleapis.com";
            default -> location + "-aiplatform.googleapis.com";
        };
        return List.of(Destination.of(API, "https://" + host), Destination.of(TOKEN, "https://oauth2.googleapis.com"));
    }
}
