package codevector.providers;

import codevector.providers.v1.CredentialType;
import codevector.providers.v1.RoutingProvider;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;

/**
 * An opened credential: holds secrets and shows none. Its fields are returned only by name; they depend on the type,
 * see docs/formats/envelope.md. An ambient one has none: the router uses its own identity.
 */
public final class Credential {
    private final RoutingProvider provider;
    private final List<Destination> destinations;
    private final Map<String, String> fields;

    Credential(RoutingProvider provider, List<Destination> destinations, Map<String, String> fields) {
        this.provider = provider;
        this.destinations = List.copyOf(destinations);
        this.fields = Map.copyOf(fields);
    }

    /** The provider as it was configured when this was opened. */
    public RoutingProvider provider() {
        return provider;
    }

    /** How it authenticates upstream. */
    public CredentialType type() {
        return provider.getCredentialType();
    }

    /** The version of the provider's credential, from 1. */
    public long version() {
        return provider.getCredentialVersion();
    }

    /** Where it may be sent. */
    public List<Destination> destinations() {
        return destinations;
    }

    /** The names of its fields. */
    public Set<String> fieldNames() {
        return fields.keySet();
    }

    /** One field in plain text, e.g. {@code api_key}. */
    public String reveal(String field) {
        String value = fields.get(field);
        if (value == null) {
            throw new NoSuchElementException("A credential of type " + type() + " has no field of that name.");
        }
        return value;
    }

    @Override
    public String toString() {
        return "Credential[" + provider.getName() + ", " + type() + ", version " + version() + "]";
    }
}
