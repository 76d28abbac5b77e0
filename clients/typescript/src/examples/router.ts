/**
 * A small router: lists what is active, then follows the routing table and opens each provider's credential until
 * interrupted. Shows no secret.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { parseArgs } from "node:util";

import { type Credential, KeySidecar, ProvidersError, Registry, Router } from "../index.js";

const { values: options } = parseArgs({
  options: {
    registry: { type: "string", default: "127.0.0.1:50051" },
    "kms-socket": { type: "string", default: "var/kms/router.sock" },
    "watcher-id": { type: "string", default: `${hostname()}-${process.pid}` },
    "allow-loopback-http": { type: "boolean", default: false },
    ca: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    "token-file": { type: "string" },
  },
});
const { ca, cert, key, "token-file": tokenFile } = options;

const registry = new Registry(options.registry, {
  // With certificate and key, both sides authenticate.
  ...(ca && {
    tls: { ca: readFileSync(ca), ...(cert && key && { cert: readFileSync(cert), key: readFileSync(key) }) },
  }),
  // Read again for each call, because it may have been renewed.
  ...(tokenFile && { token: () => readFileSync(tokenFile, "utf8").trim() }),
});
const sidecar = new KeySidecar(options["kms-socket"]);

const { revision, providerModels } = await registry.list();
console.log(`revision ${revision}: ${providerModels.length} active provider models`);
for (const model of providerModels) console.log(`  ${model.name} is sent as ${model.upstreamModelId}`);

const router = new Router({
  registry,
  sidecar,
  watcherId: options["watcher-id"],
  allowLoopbackHttp: options["allow-loopback-http"],
});
router.on("reset", (reason) => console.log(`the table is a new snapshot: ${reason}`));
router.on("disconnect", (error) => console.error(`disconnected, serving the last table: ${String(error)}`));

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());

try {
  for await (const table of router.tables(interrupted.signal)) {
    const { revision, providers, providerModels, models } = table;
    console.log(
      `revision ${revision}: ${providers.size} providers, ${providerModels.size} provider models, ${models.size} models`,
    );
    for (const name of providers.keys()) console.log(`  ${name}: ${await opened(name)}`);
  }
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
}
await router.stop();
registry.close();
sidecar.close();

/** A failure affects only its provider. */
async function opened(name: string): Promise<string> {
  try {
    const credential: Credential = await router.credential(name);
    return `${String(credential)} for ${credential.destinations.map(({ item }) => item).join(", ")}`;
  } catch (error) {
    if (error instanceof ProvidersError) return `${error.reason}: ${error.message}`;
    throw error;
  }
}
