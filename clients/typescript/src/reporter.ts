/** Reports to the registry which table this router has applied: soon, and at most once a second. */
import { setTimeout as sleep } from "node:timers/promises";

import type { Registry } from "./registry.js";
import type { RoutingTable } from "./table.js";

const INTERVAL_MS = 1000;

export class Reporter {
  readonly #stopped = new AbortController();
  #table: RoutingTable | undefined;
  #reported = "";
  #round: Promise<void> | undefined;

  constructor(
    private readonly registry: Registry,
    private readonly watcherId: string,
    private readonly session: Uint8Array,
  ) {}

  /** Call it with each sign of life: it repeats a report that failed. */
  notice(table: RoutingTable): void {
    this.#table = table;
    if (!this.#round && table.token !== this.#reported) this.#round = this.#report();
  }

  /** To be called with each new watch: the registry may have restarted, and know of no router. */
  forget(): void {
    this.#reported = "";
  }

  /** Reports that this router stops, and rejects if that fails; it reports nothing afterwards. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#round;
    await this.registry.report({ watcherId: this.watcherId, session: this.session, stopping: true });
  }

  async #report(): Promise<void> {
    const { signal } = this.#stopped;
    let isTold = true;
    while (isTold && this.#table && this.#table.token !== this.#reported && !signal.aborted) {
      const { token } = this.#table;
      isTold = await this.registry.report({ watcherId: this.watcherId, session: this.session, token }, signal).then(
        () => true,
        () => false,
      );
      if (isTold) this.#reported = token;
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
    this.#round = undefined;
  }
}
