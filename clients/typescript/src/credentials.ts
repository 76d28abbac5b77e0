/**
 * Opens the credentials of the providers in a routing table, and keeps each for a while.
 *
 * A credential is good for 300 s from its opening while the watch is live, else for 60 s; where registry or sidecar do
 * not answer and the watch is not live, for 600 s. Use never extends that. It is dropped at once when the table shows
 * its provider disabled, deleted, aimed elsewhere or with another credential.
 */
import { type EventEmitter, once } from "node:events";

import type { RoutingProvider, SealedCredential } from "../gen/codevector/providers/v1/routing_service_pb.js";
import { Credential } from "./credential.js";
import { allowedBy, type Destination, permitted, type Rules } from "./destinations.js";
import {
  KeyVersionUnavailable,
  NotFound,
  ProvidersError,
  RegistryRolledBack,
  RegistryUnavailable,
  Unavailable,
} from "./errors.js";
import type { Registry } from "./registry.js";
import { check, type Expected, openSealed } from "./sealed.js";
import type { KeySidecar } from "./sidecar.js";
import type { Followed } from "./table.js";

const LIVE_WATCH_MS = 45_000;
const LIVE_MS = 300_000;
const FRESH_MS = 60_000;
const STALE_MS = 600_000;
// A credential may be replaced, or rewrapped under another key version, between two of our reads.
const ATTEMPTS = 3;
const SETTLE_MS = 1_000;

interface Held {
  readonly binding: string;
  readonly credential: Credential;
  readonly openedMs: number;
}

export class Credentials {
  #held = new Map<string, Held>();
  #flights = new Map<string, Promise<Credential>>();
  #isClosed = false;
  readonly #newest = new Map<string, bigint>(); // by provider uid: the newest version opened

  constructor(
    private readonly registry: Registry,
    private readonly sidecar: KeySidecar,
    private readonly router: Followed,
    private readonly wakes: EventEmitter<{ wake: [] }>,
    private readonly rules: Rules,
  ) {
    allowedBy(rules); // says at once what is wrong with them
  }

  /** Where the provider's credential may be sent. Throws NotFound or DestinationRefused. */
  destinations(name: string): Destination[] {
    return permitted(this.#provider(name), this.rules);
  }

  async get(name: string): Promise<Credential> {
    this.#refuseClosed();
    const binding = this.#binding(this.#provider(name));
    const held = this.#held.get(name);
    if (!held) return this.#fly(name, binding);
    if (ageMs(held) <= (this.#isLive ? LIVE_MS : FRESH_MS)) return held.credential;
    try {
      return await this.#fly(name, binding);
    } catch (error) {
      const isStillHeld = this.#held.get(name) === held;
      if (error instanceof Unavailable && isStillHeld && !this.#isLive && ageMs(held) <= STALE_MS) {
        return held.credential;
      }
      if (isStillHeld) this.#held.delete(name);
      throw error;
    }
  }

  /** Drops the provider's credential unless the table still has the provider as it was opened for. */
  recheck(name: string): void {
    const held = this.#held.get(name);
    if (!held) return;
    try {
      if (this.#binding(this.#provider(name)) === held.binding) return;
    } catch {
      // Gone, or aimed where it may not go.
    }
    this.#held.delete(name);
  }

  recheckAll(): void {
    for (const name of [...this.#held.keys()]) this.recheck(name);
  }

  /** Drops every credential; one that is being opened is opened again. */
  clear(): void {
    this.#held = new Map();
    this.#flights = new Map();
  }

  /** Drops every credential, and gives out none any more. */
  close(): void {
    this.#isClosed = true;
    this.#held.clear();
  }

  /** One opening at a time for each credential, however many ask. */
  #fly(name: string, binding: string): Promise<Credential> {
    const key = `${name}\n${binding}`;
    const flights = this.#flights;
    let flight = flights.get(key);
    if (!flight) {
      flight = this.#open(name).finally(() => flights.delete(key));
      flights.set(key, flight);
    }
    return flight;
  }

  async #open(name: string): Promise<Credential> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === ATTEMPTS;
      const held = this.#held;
      const provider = this.#provider(name);
      const binding = this.#binding(provider);
      const sealed = await this.registry.sealedCredential(name);
      if (sealed.credentialVersion > provider.credentialVersion && !isLast) {
        await this.#changed(); // the table is about to hear of the new one
        continue;
      }
      try {
        const credential = await this.#openOnce(provider, sealed);
        this.#refuseClosed();
        // Never past a change that was seen meanwhile.
        if (held === this.#held && this.#binding(this.#provider(name)) === binding) {
          this.#hold(name, { binding, credential, openedMs: performance.now() });
          return credential;
        }
        if (isLast) throw new RegistryUnavailable(`${name} changes faster than its credential can be opened.`);
      } catch (error) {
        if (!(error instanceof KeyVersionUnavailable) || isLast) throw error;
      }
    }
  }

  #hold(name: string, held: Held): void {
    this.#held.set(name, held);
    setTimeout(() => this.#held.get(name) === held && this.#held.delete(name), STALE_MS).unref();
  }

  async #openOnce(provider: RoutingProvider, sealed: SealedCredential): Promise<Credential> {
    const destinations = permitted(provider, this.rules);
    const expected: Expected = {
      deploymentId: await this.sidecar.deploymentId(),
      providerUid: provider.uid,
      kind: provider.kind,
      type: provider.credentialType,
      credentialVersion: provider.credentialVersion,
      destinations: destinations.map(({ item }) => item),
    };
    check(sealed, expected);
    this.#refuseOlder(expected);
    const dek = await this.sidecar.unwrap(sealed);
    try {
      const fields = openSealed(sealed, expected, dek);
      this.#newest.set(expected.providerUid, expected.credentialVersion);
      return new Credential(provider.name, expected.type, expected.credentialVersion, destinations, fields);
    } finally {
      dek.fill(0);
    }
  }

  /** Refuses a replaced credential: it is intact, so only memory shows that it is old. */
  #refuseOlder({ providerUid, credentialVersion }: Expected): void {
    const newest = this.#newest.get(providerUid) ?? 0n;
    if (credentialVersion < newest) {
      throw new RegistryRolledBack(
        `The registry shows credential version ${credentialVersion} of a provider whose version ${newest} was opened.`,
        { metadata: { provider_uid: providerUid } },
      );
    }
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new ProvidersError("The router has stopped.");
  }

  /** The registry has sent a message lately: what is disabled there is known here. */
  get #isLive(): boolean {
    return this.router.ageMs < LIVE_WATCH_MS;
  }

  async #changed(): Promise<void> {
    await once(this.wakes, "wake", { signal: AbortSignal.timeout(SETTLE_MS) }).catch(() => undefined);
  }

  #provider(name: string): RoutingProvider {
    const provider = this.router.table?.providers.get(name);
    if (provider) return provider;
    throw new NotFound("The provider does not exist or is not active.", {
      metadata: { provider: name },
    });
  }

  /** Everything a credential was opened for: with another one it has to be opened again. */
  #binding(provider: RoutingProvider): string {
    const { uid, kind, credentialType, credentialVersion } = provider;
    const items = permitted(provider, this.rules).map(({ item }) => item);
    return [uid, kind, credentialType, credentialVersion, ...items].join("\n");
  }
}

function ageMs({ openedMs }: Held): number {
  return performance.now() - openedMs;
}
