package codevector.providers;

import codevector.providers.ProvidersException.DestinationRefused;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a credential may be sent: scheme, host, port and, if the administrator set the base URL, a path prefix without
 * a trailing slash.
 *
 * @param host as spelled in a URL, an IPv6 address in brackets
 */
public record Destination(Role role, String scheme, String host, int port, String path) {
    private static final Pattern URL = Pattern.compile(
            "(?<scheme>https?)://(?<host>\\[[0-9a-f:.]+]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
                    + "(?::(?<port>[1-9][0-9]{0,4}))?(?<path>(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)/?");
    private static final Pattern IPV4_LOOPBACK =
            Pattern.compile("127(?:\\.(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}");
    private static final Pattern ESCAPE = Pattern.compile("%([0-9A-Fa-f]{2})");
    private static final Pattern UNUSUAL = Pattern.compile("%[uU]|[^ -~]");
    private static final int DECODE_ROUNDS = 4;

    /** What is sent there: API keys and minted tokens, control calls, or what mints tokens. */
    public enum Role {
        API,
        CONTROL,
        TOKEN;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** A URL in the one spelling that the registry accepts, its path included. */
    static Destination of(Role role, String url) {
        Matcher match = URL.matcher(url);
        if (!match.matches()) {
            throw new DestinationRefused("A base URL is not in the form https://host[:port][/path].");
        }
        String path = match.group("path");
        if (Arrays.stream(path.split("/")).anyMatch(Destination::isDots)) {
            throw new DestinationRefused("A base URL has a path with . or .. in it.");
        }
        String scheme = match.group("scheme");
        int port = match.group("port") == null ? defaultPort(scheme) : Integer.parseInt(match.group("port"));
        return new Destination(role, scheme, match.group("host"), port, path);
    }

    /** The port of a URL that names none; 0 for a scheme that is never a destination. */
    static int defaultPort(String scheme) {
        return switch (scheme) {
            case "https" -> 443;
            case "http" -> 80;
            default -> 0;
        };
    }

    /** {@code scheme://host[:port][path]}, a default port left out. */
    public String url() {
        return scheme + "://" + host + (port == defaultPort(scheme) ? "" : ":" + port) + path;
    }

    /** The form that is sealed: role, a space, URL. */
    @Override
    public String toString() {
        return role + " " + url();
    }

    /** Whether the host, as spelled, is this machine. No name is resolved. */
    boolean isLoopback() {
        if (host.equals("localhost") || host.endsWith(".localhost")) {
            return true;
        }
        if (!host.startsWith("[")) {
            return IPV4_LOOPBACK.matcher(host).matches();
        }
        try {
            return InetAddress.getByName(host) instanceof Inet6Address address && address.isLoopbackAddress();
        } catch (UnknownHostException noAddress) {
            return false;
        }
    }

    /**
     * Whether a request goes here: same scheme, host and port, and a path at or below the prefix. A path that some
     * server might read as leaving the prefix is not below it.
     */
    boolean covers(String toScheme, String toHost, int toPort, String toPath) {
        if (!scheme.equals(toScheme) || !host.equals(toHost) || port != toPort) {
            return false;
        }
        return path.isEmpty() || (toPath.equals(path) || toPath.startsWith(path + "/")) && !mayClimb(toPath);
    }

    /**
     * Dot segments, also encoded, also several times, also after a backslash or before a semicolon; and what a server might
     * skip or read as dots: control characters, {@code %u002e}, overlong UTF-8, wide characters.
     */
    private static boolean mayClimb(String path) {
        for (int round = 0; round < DECODE_ROUNDS; round++) {
            for (String segment : path.replace('\\', '/').split("/")) {
                if (segment.startsWith("..") || segment.split(";", 2)[0].equals(".")) {
                    return true;
                }
            }
            if (UNUSUAL.matcher(path).find()) {
                return true;
            }
            String decoded = ESCAPE.matcher(path).replaceAll(match -> Matcher.quoteReplacement(
                    String.valueOf((char) Integer.parseInt(match.group(1), 16))));
            if (decoded.equals(path)) {
                return false;
            }
            path = decoded;
        }
        return true;
    }

    private static boolean isDots(String segment) {
        return segment.equals(".") || segment.equals("..");
    }
}
