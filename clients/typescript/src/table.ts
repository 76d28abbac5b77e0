/** The routing table of one store, as of one revision. */
import type {
  ActiveModel,
  ActiveProviderModel,
  ChangeSet,
  RoutingProvider,
  SnapshotChunk,
} from "../gen/codevector/providers/v1/routing_service_pb.js";

/** What readers of a table see. It changes between two turns of the event loop only, by whole revisions. */
export interface RoutingTable {
  readonly storeId: string;
  readonly revision: bigint;
  /** Proves to the registry which table this is: revision numbers repeat after a restore or a failover. Opaque. */
  readonly token: string;
  /** By resource name: `providers/{provider}`. */
  readonly providers: ReadonlyMap<string, RoutingProvider>;
  /** `providers/{provider}/models/{model}`. */
  readonly providerModels: ReadonlyMap<string, ActiveProviderModel>;
  /** `models/{model}`, with the backends in the order in which to try them. */
  readonly models: ReadonlyMap<string, ActiveModel>;
}

export class MutableTable implements RoutingTable {
  revision = 0n;
  token = "";
  readonly providers = new Map<string, RoutingProvider>();
  readonly providerModels = new Map<string, ActiveProviderModel>();
  readonly models = new Map<string, ActiveModel>();

  constructor(readonly storeId: string) {}

  add(chunk: SnapshotChunk): void {
    for (const entry of chunk.providers) this.providers.set(entry.name, entry);
    for (const entry of chunk.providerModels) this.providerModels.set(entry.name, entry);
    for (const entry of chunk.models) this.models.set(entry.name, entry);
  }

  /** Applies all changes of one revision; applying them again changes nothing. */
  apply({ changes }: ChangeSet): void {
    for (const { change } of changes) {
      switch (change.case) {
        case "provider":
          this.providers.set(change.value.name, change.value);
          break;
        case "providerModel":
          this.providerModels.set(change.value.name, change.value);
          break;
        case "model":
          this.models.set(change.value.name, change.value);
          break;
        case "removed":
          // No two kinds of entry share a name.
          this.providers.delete(change.value);
          this.providerModels.delete(change.value);
          this.models.delete(change.value);
          break;
        default: // a kind of entry that a newer server knows
      }
    }
  }
}

/** What credentials need from the router that follows the registry. */
export interface Followed {
  /** The table in use; undefined until the first has come. */
  readonly table: RoutingTable | undefined;
  /** Time since the registry's last message. */
  readonly ageMs: number;
}
