/** How the registry and the key sidecar are reached: gRPC over one HTTP/2 connection each. */
import { connect as connectSocket, isIPv4 } from "node:net";
import type { SecureClientSessionOptions } from "node:http2";

import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

export interface RegistryCredentials {
  /** TLS to the registry; with `cert` and `key` mutual TLS. Without: plaintext, meant for loopback. */
  readonly tls?: Pick<SecureClientSessionOptions, "ca" | "cert" | "key" | "servername">;
  /** Called before each call for a bearer token, which is sent only over TLS or to this machine. */
  readonly token?: () => string | Promise<string>;
}

/** One connection, made at the first call and again after a loss. */
export class Channel {
  readonly transport: Transport;
  readonly #sessions: Http2SessionManager;

  private constructor(baseUrl: string, nodeOptions: SecureClientSessionOptions, interceptors: Interceptor[] = []) {
    this.#sessions = new Http2SessionManager(baseUrl, undefined, nodeOptions);
    this.transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#sessions,
      interceptors,
      acceptCompression: [], // secrets never share a compressed stream with a caller's text
      readMaxBytes: MAX_ANSWER_BYTES,
    });
  }

  static toAddress(address: string, { tls, token }: RegistryCredentials): Channel {
    if (token && !tls && !isLoopback(address)) {
      throw new RangeError("a token to another machine needs TLS: pass tls");
    }
    return new Channel(`${tls ? "https" : "http"}://${address}`, { ...tls }, token ? [bearer(token)] : []);
  }

  static toSocket(path: string): Channel {
    return new Channel("http://localhost", { createConnection: () => connectSocket({ path }) });
  }

  /** Closes the connection: calls on it fail, and the next call makes another. */
  close(): void {
    this.#sessions.abort(new ConnectError("the connection was closed", Code.Unavailable));
  }
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

function bearer(token: () => string | Promise<string>): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await token()}`);
    return next(request);
  };
}

function isLoopback(address: string): boolean {
  const host = address.replace(/:\d+$/, "");
  return host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));
}
