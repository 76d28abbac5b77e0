/** A registry and a key sidecar that say what a test tells them to: silence, nonsense and races, which real ones avoid. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { KeyManagementService } from "../gen/codevector/kms/v1/key_management_service_pb.js";
import {
  type ReportAppliedRevisionRequest,
  RoutingService,
  type SealedCredential,
  SealedCredentialResultSchema,
  type WatchRoutingRequest,
  WatchRoutingResponseSchema,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { Registry, type RegistryOptions } from "../src/registry.js";
import { KeySidecar } from "../src/sidecar.js";

export const STORE = "11111111-1111-4111-8111-111111111111";

/** What proves a table of this registry. */
export function token(revision: bigint, storeId: string = STORE): string {
  return `${storeId}@${revision}`;
}

type Message = MessageInitShape<typeof WatchRoutingResponseSchema>;

/** What one watcher is sent. */
export class Stream {
  readonly #queue: (Message | Error)[] = [];
  #wake: () => void = () => undefined;
  isOver = false;

  constructor(readonly request: WatchRoutingRequest) {}

  send(...messages: Message[]): void {
    for (const message of messages) {
      const { storeId = STORE, revision = 0n } = message;
      this.#push({ storeId, ...(revision && { token: token(revision, storeId) }), ...message });
    }
  }

  fail(code: Code): void {
    this.#push(new ConnectError("told to", code));
  }

  async *messages(signal: AbortSignal): AsyncGenerator<Message> {
    signal.addEventListener("abort", () => {
      this.isOver = true;
      this.#wake();
    });
    while (!this.isOver) {
      const next = this.#queue.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #push(next: Message | Error): void {
    this.#queue.push(next);
    this.#wake();
  }
}

/** One HTTP/2 server with these services; `close` cuts its connections off. */
class Server {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(routes: (router: ConnectRouter) => void) {
    this.#server = createServer(connectNodeAdapter({ routes }));
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
  }

  async listen(at: { port: number; host: string } | { path: string }): Promise<AddressInfo | string | null> {
    await new Promise<void>((resolve) => this.#server.listen(at, resolve));
    return this.#server.address();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const session of this.#sessions) session.destroy();
    await closed;
  }
}

export class ScriptedRegistry {
  readonly streams: Stream[] = [];
  readonly reports: ReportAppliedRevisionRequest[] = [];
  readonly reportedMs: number[] = [];
  readonly authorizations: (string | null)[] = [];
  /** What every watch begins with. */
  greeting: Message[] = [];
  /** How a sealed credential is answered. */
  seal: () => SealedCredential | Promise<SealedCredential> = () => {
    throw new ConnectError("no credential was told", Code.Internal);
  };
  sealings = 0;
  #waiting: (() => void)[] = [];
  readonly #server = new Server((router) =>
    router.service(RoutingService, {
      watchRouting: (request, context) => {
        const stream = new Stream(request);
        this.streams.push(stream);
        stream.send(...this.greeting);
        for (const wake of this.#waiting.splice(0)) wake();
        return stream.messages(context.signal);
      },
      reportAppliedRevision: (request, context) => {
        this.authorizations.push(context.requestHeader.get("authorization"));
        this.reports.push(request);
        this.reportedMs.push(performance.now());
        return {};
      },
      batchGetSealedCredentials: async () => {
        this.sealings += 1;
        const outcome = { case: "sealedCredential", value: await this.seal() } as const;
        return { results: [create(SealedCredentialResultSchema, { outcome })] };
      },
    }),
  );
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const address = await this.#server.listen({ port: 0, host: "127.0.0.1" });
    this.#port = (address as AddressInfo).port;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  registry(options: RegistryOptions = {}): Registry {
    return new Registry(this.address, options);
  }

  /** The nth watch, from 0, once it has been asked for. */
  async stream(index: number): Promise<Stream> {
    while (this.streams.length <= index) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.streams[index]!;
  }
}

export class ScriptedSidecar {
  /** How a data key is unwrapped. */
  unwrap: () => Uint8Array = () => {
    throw new ConnectError("no data key was told", Code.Internal);
  };
  unwrappings = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "cv"));
  readonly #server: Server;

  constructor(deploymentId: Uint8Array) {
    this.#server = new Server((router) =>
      router.service(KeyManagementService, {
        getStatus: () => ({ deploymentId: Buffer.from(deploymentId).toString("hex") }),
        batchUnwrapDataKeys: () => {
          this.unwrappings += 1;
          return { results: [{ outcome: { case: "plaintext", value: this.unwrap() } }] };
        },
      }),
    );
  }

  get socket(): string {
    return join(this.#folder, "router.sock");
  }

  async start(): Promise<void> {
    await this.#server.listen({ path: this.socket });
  }

  async close(): Promise<void> {
    await this.#server.close();
    rmSync(this.#folder, { recursive: true });
  }

  sidecar(): KeySidecar {
    return new KeySidecar(this.socket);
  }
}

/** An error as the API's servers answer it. */
export function refusal(code: Code, reason: string): ConnectError {
  return new ConnectError("told to", code, undefined, [{ desc: ErrorInfoSchema, value: { reason } }]);
}

/** Resolves once the condition holds; the test's own timeout ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
