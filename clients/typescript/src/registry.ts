/** The registry's RoutingService, as far as a router calls it. */
import { type Client, createClient } from "@connectrpc/connect";
import { durationFromMs } from "@bufbuild/protobuf/wkt";

import {
  type ActiveProviderModel,
  RoutingService,
  type SealedCredential,
  type WatchRoutingResponse,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
import { Channel, type RegistryCredentials } from "./channels.js";
import { CredentialCorrupt, fromCall, fromStatus, NoStoredCredential, RegistryUnavailable } from "./errors.js";

export interface RegistryOptions extends RegistryCredentials {
  /** The most that a call may take, 10 s by default; a watch has no end. */
  readonly deadlineMs?: number;
}

export interface ListOptions {
  readonly filter?: string;
  readonly pageSize?: number;
  readonly signal?: AbortSignal;
}

/** The routable provider models, and the revision and token of the first page: the ones to watch from. */
export interface Listing {
  readonly revision: bigint;
  readonly storeId: string;
  readonly token: string;
  readonly providerModels: readonly ActiveProviderModel[];
}

export interface WatchOptions {
  /** The token of the last message that has been applied. Without: a snapshot comes first. */
  readonly resumeToken?: string;
  /** What was applied, as a number of the store `storeId`: it proves nothing, and a snapshot comes first as well. */
  readonly resumeRevision?: bigint;
  readonly storeId?: string;
  /** Throws ResumeRefused where resuming is impossible, in place of a snapshot in the stream. */
  readonly strictResume?: boolean;
  readonly bookmarkIntervalMs?: number;
  readonly watcherId?: string;
  /** 16 random bytes that tell this router from another process of the same watcherId. */
  readonly session?: Uint8Array;
  readonly signal?: AbortSignal;
}

export interface Report {
  readonly watcherId: string;
  /** That of the router's watches. */
  readonly session?: Uint8Array;
  /** The token of the table in use. A report without one counts as nothing applied. */
  readonly token?: string;
  readonly revision?: bigint;
  readonly storeId?: string;
  readonly stopping?: boolean;
}

export const DEFAULT_DEADLINE_MS = 10_000;

/** Every method rejects with a ProvidersError, RegistryUnavailable if it does not respond; an aborted one with its reason. */
export class Registry {
  readonly #channel: Channel;
  readonly #client: Client<typeof RoutingService>;
  readonly #deadlineMs: number;

  /** `address` is host:port. It connects at the first call. */
  constructor(address: string, options: RegistryOptions = {}) {
    this.#channel = Channel.toAddress(address, options);
    this.#client = createClient(RoutingService, this.#channel.transport);
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  }

  /** The routable provider models, ordered by name, from all pages. */
  async list({ filter = "", pageSize = 1000, signal }: ListOptions = {}): Promise<Listing> {
    const providerModels: ActiveProviderModel[] = [];
    let pageToken = "";
    for (;;) {
      const page = await this.#call(signal, (options) =>
        this.#client.listActiveProviderModels({ filter, pageSize, pageToken }, options),
      );
      providerModels.push(...page.activeProviderModels);
      if (!page.nextPageToken) {
        return { revision: page.revision, storeId: page.storeId, token: page.token, providerModels };
      }
      pageToken = page.nextPageToken;
    }
  }

  /** The messages of one watch, until the caller stops reading, the signal aborts, or the stream fails. */
  async *watch({ bookmarkIntervalMs, signal, ...rest }: WatchOptions = {}): AsyncGenerator<WatchRoutingResponse, void> {
    const own = linked(signal);
    const request = {
      ...rest,
      ...(bookmarkIntervalMs !== undefined && { bookmarkInterval: durationFromMs(bookmarkIntervalMs) }),
    };
    try {
      yield* this.#client.watchRouting(request, { signal: own.signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw fromCall(error, RegistryUnavailable);
    } finally {
      own.abort(); // a reader that stops ends the stream
    }
  }

  /** Reports which revision a router has applied, or that it stops. */
  async report(report: Report, signal?: AbortSignal): Promise<void> {
    await this.#call(signal, (options) => this.#client.reportAppliedRevision(report, options));
  }

  /** The sealed credential of one provider, still untrusted. */
  async sealedCredential(provider: string): Promise<SealedCredential> {
    const answer = await this.#call(undefined, (options) =>
      this.#client.batchGetSealedCredentials({ providers: [provider] }, options),
    );
    const [result] = answer.results;
    if (!result || answer.results.length !== 1) {
      throw new CredentialCorrupt("The registry returned the wrong number of results.");
    }
    if (result.outcome.case === "error") throw fromStatus(result.outcome.value, RegistryUnavailable);
    if (result.outcome.case !== "sealedCredential") {
      throw new NoStoredCredential("The registry returned no credential.", { metadata: { provider } });
    }
    return result.outcome.value;
  }

  /** Closes the connection: calls on it fail, and the next call makes another. */
  close(): void {
    this.#channel.close();
  }

  async #call<T>(
    signal: AbortSignal | undefined,
    call: (options: { timeoutMs: number; signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const own = linked(signal);
    try {
      return await call({ timeoutMs: this.#deadlineMs, signal: own.signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw fromCall(error, RegistryUnavailable);
    } finally {
      own.abort();
    }
  }
}

/** For one call, to be aborted after it: nothing of it is then left on the caller's signal, which may live long. */
function linked(signal: AbortSignal | undefined): AbortController {
  const own = new AbortController();
  signal?.throwIfAborted();
  signal?.addEventListener("abort", () => own.abort(signal.reason), { signal: own.signal });
  return own;
}
