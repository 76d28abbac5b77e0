/**
 * What a router needs of the registry: the routing table, kept current by a watch, and credentials, fetched sealed
 * and opened by the router's own key sidecar.
 *
 * <p>Start with {@link codevector.providers.ProvidersClient} and {@link codevector.providers.Router}. The entries of
 * the table are the API's messages ({@code codevector.providers.v1}): immutable, and without secrets.
 */
package codevector.providers;
