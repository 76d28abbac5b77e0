/**
 * The router's own key sidecar, over its Unix socket.
 *
 * May see: one data key, on the way to the opener, which wipes it. Must never: keep one or print a message of these
 * RPCs.
 */
import { type Client, createClient } from "@connectrpc/connect";

import { KeyManagementService } from "../gen/codevector/kms/v1/key_management_service_pb.js";
import type { SealedCredential } from "../gen/codevector/providers/v1/routing_service_pb.js";
import { Channel } from "./channels.js";
import { CredentialCorrupt, fromCall, fromStatus, KmsUnavailable } from "./errors.js";
import { DEFAULT_DEADLINE_MS } from "./registry.js";

/** Every method rejects with a ProvidersError: KmsUnavailable if the connection is refused. */
export class KeySidecar {
  readonly #channel: Channel;
  readonly #client: Client<typeof KeyManagementService>;
  readonly #timeoutMs: number;
  #deploymentId: Uint8Array | undefined;

  constructor(socket: string, options: { readonly deadlineMs?: number } = {}) {
    this.#channel = Channel.toSocket(socket);
    this.#client = createClient(KeyManagementService, this.#channel.transport);
    this.#timeoutMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  }

  /** The id of the deployment whose credentials this sidecar opens, 16 bytes; requested once. */
  async deploymentId(): Promise<Uint8Array> {
    if (!this.#deploymentId) {
      const status = await away(this.#client.getStatus({}, { timeoutMs: this.#timeoutMs }));
      if (!/^[0-9a-f]{32}$/.test(status.deploymentId)) {
        throw new KmsUnavailable("The key sidecar reports no valid deployment id: check its version.");
      }
      this.#deploymentId = Buffer.from(status.deploymentId, "hex");
    }
    return this.#deploymentId;
  }

  /** The data key, 32 bytes, for the caller to wipe. */
  async unwrap({ wrappedDataKey, keyVersion, commitment, context }: SealedCredential): Promise<Uint8Array> {
    const items = [{ wrapped: { wrappedDataKey, keyVersion, commitment, context } }];
    const answer = await away(this.#client.batchUnwrapDataKeys({ items }, { timeoutMs: this.#timeoutMs }));
    const outcome = answer.results.length === 1 ? answer.results[0]?.outcome : undefined;
    if (outcome?.case === "error") throw fromStatus(outcome.value, KmsUnavailable);
    if (outcome?.case !== "plaintext") {
      throw new CredentialCorrupt("The key sidecar returned the wrong number of results.");
    }
    return outcome.value;
  }

  /** Closes the connection: calls on it fail, and the next call makes another. */
  close(): void {
    this.#channel.close();
  }
}

async function away<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw fromCall(error, KmsUnavailable);
  }
}
