/** A router's view of the registry: its table, kept current by one watch, and the credentials of its providers. */
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import {
  SnapshotChunk_Reason,
  type ChangeSet,
  type SnapshotChunk,
  type WatchRoutingResponse,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
import type { Credential } from "./credential.js";
import { Credentials } from "./credentials.js";
import { type Destination, type Rules } from "./destinations.js";
import { DestinationRefused, ProvidersError } from "./errors.js";
import type { Registry } from "./registry.js";
import { Reporter } from "./reporter.js";
import type { KeySidecar } from "./sidecar.js";
import { MutableTable, type RoutingTable } from "./table.js";

export interface RouterOptions extends Rules {
  readonly registry: Registry;
  readonly sidecar: KeySidecar;
  /** Names this router to operators, e.g. its pod. Without: it is not counted. */
  readonly watcherId?: string;
  /** The longest silence of the registry, 1 to 60 s; after three of them the connection is closed. 15 s by default. */
  readonly bookmarkIntervalMs?: number;
  /** The longest wait before the next attempt to connect, 5 s by default; each wait is random below its bound. */
  readonly maxReconnectDelayMs?: number;
}

interface RouterEvents {
  /** The table in use has another revision. */
  change: [table: RoutingTable];
  /** A snapshot replaced the table. STORE_CHANGED, REVISION_AHEAD: the registry has another history; raise an alarm. */
  reset: [reason: string];
  /** The stream ended with this error; the router reconnects by itself. */
  disconnect: [error: unknown];
}

const OTHER_HISTORY: readonly string[] = ["STORE_CHANGED", "REVISION_AHEAD"];
const MISSED_BOOKMARKS = 3;
const FIRST_DELAY_MS = 100;

export class Router extends EventEmitter<RouterEvents> {
  readonly #registry: Registry;
  readonly #bookmarkIntervalMs: number;
  readonly #maxReconnectDelayMs: number;
  readonly #watcherId: string;
  /** Tells this router from another process of the same watcherId. */
  readonly #session = crypto.getRandomValues(new Uint8Array(16));
  readonly #credentials: Credentials;
  readonly #reporter: Reporter | undefined;
  readonly #stopped = new AbortController();
  readonly #wakes = new EventEmitter<{ wake: [] }>().setMaxListeners(0); // those who wait for a table, or the end
  readonly #running: Promise<void>;
  #table: MutableTable | undefined;
  #incoming: { readonly table: MutableTable; readonly reason: string } | undefined;
  #isConnected = false;
  #heardMs = -Infinity;

  /** Starts watching at once, until `stop`. */
  constructor(options: RouterOptions) {
    super();
    this.#registry = options.registry;
    this.#bookmarkIntervalMs = options.bookmarkIntervalMs ?? 15_000;
    this.#maxReconnectDelayMs = options.maxReconnectDelayMs ?? 5_000;
    this.#watcherId = options.watcherId ?? "";
    this.#credentials = new Credentials(options.registry, options.sidecar, this, this.#wakes, options);
    this.#reporter = options.watcherId ? new Reporter(options.registry, options.watcherId, this.#session) : undefined;
    this.#running = this.#run(this.#stopped.signal);
  }

  /** The table in use: the last good one, however old; undefined until the first has come. */
  get table(): RoutingTable | undefined {
    return this.#table;
  }

  /** Whether a stream is open and had a message within three bookmark intervals. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Time since the registry's last message: how old the table may be. */
  get ageMs(): number {
    return performance.now() - this.#heardMs;
  }

  /** The table once it is at this revision or a later one; rejects with the signal's reason. */
  async atRevision(revision: bigint, signal?: AbortSignal): Promise<RoutingTable> {
    for await (const table of this.tables(signal)) if (table.revision >= revision) return table;
    throw new ProvidersError("The router has stopped.");
  }

  /** The table now and after each change; changes that come while the caller is busy are skipped. */
  async *tables(signal?: AbortSignal): AsyncGenerator<RoutingTable, void> {
    let seen: RoutingTable | undefined;
    let revision = 0n;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#stopped.signal.aborted) return;
      if (this.#table && (this.#table !== seen || this.#table.revision !== revision)) {
        seen = this.#table;
        revision = seen.revision;
        yield seen;
      } else {
        await once(this.#wakes, "wake", signal && { signal }).catch(() => undefined);
      }
    }
  }

  /** The provider's credential, opened by this router's own sidecar; kept for a while (see credentials.ts). */
  credential(provider: string): Promise<Credential> {
    return this.#credentials.get(provider);
  }

  /** The destination that a request to this URL goes to; throws DestinationRefused where the API key may not go. */
  destinationOf(provider: string, url: string): Destination {
    const found = this.#credentials.destinations(provider).find((item) => item.role === "api" && item.covers(url));
    if (found) return found;
    throw new DestinationRefused(`The URL is not a destination of ${provider}; nothing was sent.`, {
      metadata: { provider },
    });
  }

  /** Ends the watch, drops every credential, and reports the stop; rejects if that fails. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
    this.#credentials.close();
    this.#wakes.emit("wake");
    await this.#reporter?.stop();
  }

  async #run(stopped: AbortSignal): Promise<void> {
    for (let failures = 0; !stopped.aborted; failures++) {
      const startedMs = performance.now();
      let bound = Math.min(this.#maxReconnectDelayMs, FIRST_DELAY_MS * 2 ** failures);
      try {
        await this.#follow(stopped);
        bound = this.#maxReconnectDelayMs; // a server that stops says so: its watchers come back spread out
      } catch (error) {
        if (stopped.aborted) return;
        this.emit("disconnect", error);
      }
      if (this.#heardMs > startedMs) failures = 0;
      await sleep(Math.random() * bound, undefined, { signal: stopped }).catch(() => undefined);
    }
  }

  /** Follows one stream. Returns when the server is about to stop, throws when the stream fails. */
  async #follow(stopped: AbortSignal): Promise<void> {
    const silenceMs = MISSED_BOOKMARKS * this.#bookmarkIntervalMs;
    // A connection that died silently would be used again: close it, not only the stream.
    const silence = setTimeout(() => this.#registry.close(), silenceMs);
    this.#reporter?.forget();
    const messages = this.#registry.watch({
      resumeToken: this.#table?.token ?? "",
      bookmarkIntervalMs: this.#bookmarkIntervalMs,
      watcherId: this.#watcherId,
      session: this.#session,
      signal: stopped,
    });
    try {
      for await (const message of messages) {
        silence.refresh();
        this.#heardMs = performance.now();
        this.#isConnected = true;
        this.#apply(message);
        if (this.#table) this.#reporter?.notice(this.#table);
        if (message.event.case === "bookmark" && message.event.value.draining) return;
      }
      throw new ProvidersError("The registry ended the watch without notice.");
    } finally {
      clearTimeout(silence);
      this.#isConnected = false;
      this.#incoming = undefined;
    }
  }

  #apply(message: WatchRoutingResponse): void {
    const { storeId, revision, token, event } = message;
    if (event.case === "snapshotChunk") return this.#load(event.value, message);
    if (event.case === undefined) return; // what a newer server says besides
    if (event.case === "bookmark" && this.#incoming) return; // not about the table in use
    const table = this.#table;
    if (!table || this.#incoming || table.storeId !== storeId) {
      throw new ProvidersError("The registry sent a change of a table that this router does not have.");
    }
    if (revision <= table.revision) return;
    if (event.case === "changeSet") table.apply(event.value);
    table.revision = revision;
    table.token = token;
    if (event.case === "changeSet") this.#recheck(event.value);
    this.#changed(table);
  }

  #load(chunk: SnapshotChunk, { storeId, revision, token }: WatchRoutingResponse): void {
    if (chunk.first) {
      this.#incoming = {
        table: new MutableTable(storeId),
        reason: SnapshotChunk_Reason[chunk.reason] ?? "UNSPECIFIED",
      };
    }
    if (this.#incoming?.table.storeId !== storeId) {
      throw new ProvidersError("The registry sent a part of a snapshot without its beginning.");
    }
    const { table, reason } = this.#incoming;
    table.add(chunk);
    if (!chunk.last) return;
    table.revision = revision;
    table.token = token;
    this.#table = table;
    this.#incoming = undefined;
    if (OTHER_HISTORY.includes(reason)) {
      console.error(
        "the registry has another history: its database was restored or failed over; " +
          `store ${storeId} is at revision ${revision}`,
      );
      this.#credentials.clear(); // the same version there names another credential
    } else {
      this.#credentials.recheckAll();
    }
    this.emit("reset", reason);
    this.#changed(table);
  }

  #changed(table: RoutingTable): void {
    this.emit("change", table);
    this.#wakes.emit("wake");
  }

  #recheck({ changes }: ChangeSet): void {
    for (const { change } of changes) {
      if (change.case === "provider") this.#credentials.recheck(change.value.name);
      if (change.case === "removed") this.#credentials.recheck(change.value);
    }
  }
}
