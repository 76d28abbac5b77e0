/**
 * Answers the commands of tests/conformance: one JSON object a line on stdin, one on stdout for each, in order. Fields of
 * credentials are answered as their SHA-256.
 */
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { fromJson } from "@bufbuild/protobuf";

import { ProviderConfigSchema } from "../gen/codevector/providers/v1/provider_pb.js";
import { SnapshotChunk_Reason, type WatchRoutingResponse } from "../gen/codevector/providers/v1/routing_service_pb.js";
import {
  CredentialType,
  permitted,
  NotFound,
  ProviderKind,
  ProvidersError,
  Registry,
  Router,
  KeySidecar,
  type RoutingTable,
} from "./index.js";
import { openSealed, type Sealed } from "./sealed.js";

type Command = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- whatever a line says
type Answer = Record<string, unknown>;

const { values: options } = parseArgs({
  options: {
    registry: { type: "string", default: "127.0.0.1:50051" },
    "kms-socket": { type: "string", default: "" },
    "allow-loopback-http": { type: "boolean", default: false },
  },
});
const rules = { allowLoopbackHttp: options["allow-loopback-http"] };
const registry = new Registry(options.registry);
const sidecar = new KeySidecar(options["kms-socket"]);
const resets: string[] = [];
let router: Router | undefined;

const commands: Record<string, (command: Command) => Answer | Promise<Answer>> = {
  async list({ filter, page_size }) {
    const { revision, storeId, token, providerModels } = await registry.list({ filter, pageSize: page_size });
    return { revision, store_id: storeId, token, names: providerModels.map(({ name }) => name) };
  },
  start({ watcher_id, bookmark_interval_ms }) {
    router = new Router({
      registry,
      sidecar,
      ...rules,
      watcherId: watcher_id,
      bookmarkIntervalMs: bookmark_interval_ms,
      maxReconnectDelayMs: 500,
    });
    router.on("reset", (reason) => resets.push(reason));
    router.on("disconnect", (error) => process.stderr.write(`disconnected: ${String(error)}\n`));
    return {};
  },
  async wait({ revision, timeout_ms }) {
    return { revision: (await started().atRevision(BigInt(revision), AbortSignal.timeout(timeout_ms))).revision };
  },
  table() {
    const { revision, storeId, token, providers, providerModels, models } = table();
    return {
      revision,
      store_id: storeId,
      token,
      providers: [...providers.keys()].sort(),
      provider_models: [...providerModels.keys()].sort(),
      models: [...models.keys()].sort(),
      backends: Object.fromEntries(
        [...models.values()].map(({ name, backends }) => [
          name,
          backends.map(({ providerModel, priority, weight }) => [providerModel, priority, weight]),
        ]),
      ),
      resets,
      connected: started().isConnected,
    };
  },
  model({ name }) {
    const model = table().providerModels.get(name);
    if (!model) throw new NotFound("no such provider model");
    return {
      upstream_model_id: model.upstreamModelId,
      context_window: model.contextWindow,
      input_price: model.pricing?.inputPerMillionTokens ?? null,
      labels: model.labels,
    };
  },
  async watch({ resume_token, resume_revision, store_id, strict_resume, bookmark_interval_ms, messages, timeout_ms }) {
    const events: Answer[] = [];
    const stream = registry.watch({
      resumeToken: resume_token,
      resumeRevision: BigInt(resume_revision ?? 0),
      storeId: store_id,
      strictResume: strict_resume,
      bookmarkIntervalMs: bookmark_interval_ms,
      signal: AbortSignal.timeout(timeout_ms),
    });
    for await (const message of stream) if (events.push(event(message)) >= messages) break;
    return { events };
  },
  async report({ token, revision, store_id, watcher_id, stopping }) {
    const at = { token, revision: BigInt(revision ?? 0), storeId: store_id };
    await registry.report({ ...at, watcherId: watcher_id, stopping });
    return {};
  },
  async open({ provider }) {
    const credential = await started().credential(provider);
    return {
      type: CredentialType[credential.type],
      version: credential.version,
      fields: digests(credential.fieldNames.map((name) => [name, credential.reveal(name)])),
      destinations: credential.destinations.map(({ item }) => item),
    };
  },
  open_vector({ vector, changed }) {
    const destinations = permitted(configured(vector), rules);
    const expected = {
      deploymentId: bytes(vector.deployment_id),
      providerUid: vector.provider_uid,
      kind: vector.kind,
      type: vector.type,
      credentialVersion: BigInt(vector.credential_version),
      destinations: destinations.map(({ item }) => item),
    };
    const fields = openSealed(sealedOf({ ...vector, ...changed }), expected, bytes(vector.dek));
    return { fields: digests([...fields]), destinations: expected.destinations };
  },
  check_url({ provider, url }) {
    started().destinationOf(provider, url);
    return {};
  },
  async stop() {
    await started().stop();
    return {};
  },
};

function started(): Router {
  if (!router) throw new NotFound("the table is not started");
  return router;
}

function table(): RoutingTable {
  const current = started().table;
  if (!current) throw new NotFound("the table has not come yet");
  return current;
}

function event({ revision, event }: WatchRoutingResponse): Answer {
  switch (event.case) {
    case "snapshotChunk": {
      const { first, last, reason } = event.value;
      return { type: "chunk", first, last, reason: SnapshotChunk_Reason[reason], revision };
    }
    case "changeSet": {
      const changes = event.value.changes.map(({ change }) => change);
      const put = changes.flatMap((change) => (change.case && change.case !== "removed" ? [change.value.name] : []));
      const removed = changes.flatMap((change) => (change.case === "removed" ? [change.value] : []));
      return { type: "change_set", revision, put, removed };
    }
    case "bookmark":
      return { type: "bookmark", revision, draining: event.value.draining };
    default:
      return { type: "unknown", revision };
  }
}

/** A provider as the vector configures it. */
function configured({ kind, type, config }: Command): Parameters<typeof permitted>[0] {
  const member = ProviderKind[kind]?.toLowerCase() ?? "";
  return {
    name: "providers/vector",
    kind,
    credentialType: type,
    config: fromJson(ProviderConfigSchema, { [member]: config }),
  };
}

function sealedOf(claims: Command): Sealed {
  return {
    providerUid: claims["provider_uid"],
    kind: claims["kind"],
    type: claims["type"],
    credentialVersion: BigInt(claims["credential_version"]),
    envelope: bytes(claims["envelope"]),
    context: bytes(claims["context"]),
    commitment: bytes(claims["commitment"]),
    destinations: claims["destinations"],
  };
}

function bytes(hex: string): Uint8Array {
  return Buffer.from(hex, "hex");
}

function digests(fields: [name: string, value: string][]): Record<string, string> {
  return Object.fromEntries(fields.map(([name, value]) => [name, createHash("sha256").update(value).digest("hex")]));
}

async function answer(line: string): Promise<Answer> {
  try {
    const command = JSON.parse(line) as Command;
    const does = Object.hasOwn(commands, command["do"]) ? commands[command["do"]] : undefined;
    return does ? { ok: true, ...(await does(command)) } : { ok: false, reason: "UNKNOWN_COMMAND" };
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    if (error instanceof ProvidersError) return { ok: false, reason: error.reason };
    return { ok: false, reason: (error as Error).name === "TimeoutError" ? "TIMEOUT" : "INTERNAL" };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const numbers = (_: string, value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);
  process.stdout.write(`${JSON.stringify(await answer(line), numbers)}\n`);
}
process.exit(0);
