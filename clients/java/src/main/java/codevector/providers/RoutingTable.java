package codevector.providers;

import codevector.providers.v1.ActiveModel;
import codevector.providers.v1.ActiveProviderModel;
import codevector.providers.v1.RoutingChange;
import codevector.providers.v1.RoutingProvider;
import codevector.providers.v1.SnapshotChunk;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/**
 * What is routable at one revision of one store: the entries by name. Immutable: a change makes another table, so
 * that its holder never sees half a revision. The token proves to the registry which table this is: revision
 * numbers repeat after a restore or a failover, tokens do not.
 */
public record RoutingTable(
        long revision,
        String storeId,
        String token,
        Map<String, RoutingProvider> providers,
        Map<String, ActiveProviderModel> providerModels,
        Map<String, ActiveModel> models) {

    /** What a router has before its first snapshot. */
    static final RoutingTable EMPTY = new RoutingTable(0, "", "", Map.of(), Map.of(), Map.of());

    /** The same entries, known to be current at a later revision. */
    RoutingTable at(long later, String laterToken) {
        return new RoutingTable(later, storeId, laterToken, providers, providerModels, models);
    }

    @Override
    public String toString() {
        return "RoutingTable[revision " + revision + " of store " + storeId + ", " + providers.size() + " providers, "
                + providerModels.size() + " provider models, " + models.size() + " models]";
    }

    /** The next table under construction. Inserting and removing are idempotent; unchanged maps are shared. */
    static final class Draft {
        private final Part<RoutingProvider> providers;
        private final Part<ActiveProviderModel> providerModels;
        private final Part<ActiveModel> models;

        Draft(RoutingTable base) {
            providers = new Part<>(base.providers);
            providerModels = new Part<>(base.providerModels);
            models = new Part<>(base.models);
        }

        void add(SnapshotChunk chunk) {
            chunk.getProvidersList().forEach(entry -> providers.own().put(entry.getName(), entry));
            chunk.getProviderModelsList().forEach(entry -> providerModels.own().put(entry.getName(), entry));
            chunk.getModelsList().forEach(entry -> models.own().put(entry.getName(), entry));
        }

        void apply(RoutingChange change) {
            switch (change.getChangeCase()) {
                case PROVIDER -> providers.own().put(change.getProvider().getName(), change.getProvider());
                case PROVIDER_MODEL ->
                        providerModels.own().put(change.getProviderModel().getName(), change.getProviderModel());
                case MODEL -> models.own().put(change.getModel().getName(), change.getModel());
                case REMOVED -> partOf(change.getRemoved()).own().remove(change.getRemoved());
                case CHANGE_NOT_SET -> {} // of a newer server: nothing that this version routes by
            }
        }

        RoutingTable finish(long revision, String storeId, String token) {
            return new RoutingTable(revision, storeId, token, providers.done(), providerModels.done(), models.done());
        }

        private Part<?> partOf(String name) {
            if (name.startsWith("models/")) {
                return models;
            }
            return name.contains("/models/") ? providerModels : providers;
        }
    }

    /** A map that is copied when it is first changed. */
    private static final class Part<V> {
        private Map<String, V> entries;
        private boolean copied;

        Part(Map<String, V> entries) {
            this.entries = entries;
        }

        Map<String, V> own() {
            if (!copied) {
                entries = new HashMap<>(entries);
                copied = true;
            }
            return entries;
        }

        Map<String, V> done() {
            return Collections.unmodifiableMap(entries);
        }
    }
}
