import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import {
  SnapshotChunk_Reason as Reason,
  type RoutingChangeSchema,
  type WatchRoutingResponseSchema,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
import { KeySidecar } from "../src/sidecar.js";
import { ProvidersError } from "../src/errors.js";
import { Registry } from "../src/registry.js";
import { Router, type RouterOptions } from "../src/router.js";
import { ScriptedRegistry, STORE, token, until } from "./scripted.js";

const OTHER_STORE = "22222222-2222-4222-8222-222222222222";

type Message = MessageInitShape<typeof WatchRoutingResponseSchema>;
type Change = NonNullable<MessageInitShape<typeof RoutingChangeSchema>["change"]>;

function snapshot(revision: bigint, names: string[], reason = Reason.INITIAL, storeId = STORE): Message {
  const providers = names.map((name) => ({ name }));
  return { storeId, revision, event: { case: "snapshotChunk", value: { first: true, last: true, reason, providers } } };
}

function changeSet(revision: bigint, ...changes: Change[]): Message {
  return { revision, event: { case: "changeSet", value: { changes: changes.map((change) => ({ change })) } } };
}

function bookmark(revision: bigint, draining = false): Message {
  return { revision, event: { case: "bookmark", value: { draining } } };
}

function put(name: string): Change {
  return { case: "provider", value: { name } };
}

describe("Router", { timeout: 120_000 }, () => {
  let registry: ScriptedRegistry;
  let router: Router;
  let resets: string[];

  function start(options: Partial<RouterOptions> = {}): Router {
    router = new Router({
      registry: registry.registry(),
      sidecar: new KeySidecar("/nonexistent"),
      bookmarkIntervalMs: 1000,
      maxReconnectDelayMs: 10,
      ...options,
    });
    resets = [];
    router.on("reset", (reason) => resets.push(reason));
    return router;
  }

  function providers(): string[] {
    return [...(router.table?.providers.keys() ?? [])];
  }

  beforeEach(async () => {
    registry = new ScriptedRegistry();
    await registry.start();
  });
  afterEach(async () => {
    await router.stop().catch(() => undefined);
    await registry.close();
  });

  it("asks for a snapshot first", async () => {
    start({ watcherId: "pod-1", bookmarkIntervalMs: 2500 });
    const { request } = await registry.stream(0);
    assert.equal(request.resumeToken, "");
    assert.equal(request.watcherId, "pod-1");
    assert.deepEqual([request.bookmarkInterval?.seconds, request.bookmarkInterval?.nanos], [2n, 500_000_000]);
    assert.equal(router.table, undefined);
    assert.equal(router.isConnected, false);
  });

  it("puts a snapshot to use when its last chunk has come, and keeps the table until then", async () => {
    start();
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, ["providers/old"]));
    await router.atRevision(5n);
    const chunk = (first: boolean, last: boolean, name: string, revision: bigint): Message => ({
      revision,
      event: { case: "snapshotChunk", value: { first, last, providers: [{ name }], reason: Reason.SLOW_CONSUMER } },
    });
    stream.send(chunk(true, false, "providers/a", 0n), bookmark(8n), chunk(false, false, "providers/b", 0n));
    stream.send(chunk(false, true, "providers/c", 9n));
    router.once("change", () => assert.equal(router.table?.revision, 9n));
    await router.atRevision(9n);
    assert.deepEqual(providers(), ["providers/a", "providers/b", "providers/c"]);
    assert.deepEqual(resets, ["INITIAL", "SLOW_CONSUMER"]);
  });

  it("applies change sets, and passes over those it has", async () => {
    start();
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, ["providers/a"]));
    stream.send(changeSet(4n, put("providers/never")), changeSet(5n, put("providers/never")));
    stream.send(
      changeSet(
        7n,
        put("providers/b"),
        { case: "providerModel", value: { name: "providers/b/models/m", contextWindow: 7 } },
        { case: "model", value: { name: "models/m", backends: [{ providerModel: "providers/b/models/m" }] } },
        { case: "removed", value: "providers/a" },
      ),
    );
    const table = await router.atRevision(7n);
    assert.deepEqual(providers(), ["providers/b"]);
    assert.equal(table.providerModels.get("providers/b/models/m")?.contextWindow, 7);
    assert.equal(table.models.get("models/m")?.backends[0]?.providerModel, "providers/b/models/m");
    stream.send(
      changeSet(
        8n,
        { case: "removed", value: "models/m" },
        { case: "removed", value: "providers/b/models/m" },
        { case: undefined },
      ),
    );
    await router.atRevision(8n);
    assert.deepEqual([table.models.size, table.providerModels.size], [0, 0]);
  });

  it("moves by bookmarks, and resumes from there", async () => {
    start();
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, ["providers/a"]), bookmark(6n));
    await router.atRevision(6n);
    assert.equal(router.isConnected, true);
    stream.fail(Code.Unavailable);
    const [error] = await once(router, "disconnect");
    assert.equal((error as ProvidersError).reason, "STORE_UNAVAILABLE");
    assert.equal(router.isConnected, false);
    assert.deepEqual(providers(), ["providers/a"]);
    const { request } = await registry.stream(1);
    assert.equal(request.resumeToken, token(6n));
    assert.deepEqual(resets, ["INITIAL"]);
  });

  it("takes another store's table, also at a lower revision", async () => {
    start();
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, ["providers/a"]));
    await router.atRevision(5n);
    stream.send(snapshot(2n, ["providers/z"], Reason.STORE_CHANGED, OTHER_STORE));
    await once(router, "reset");
    const { storeId, revision, token: held } = router.table!;
    assert.deepEqual([storeId, revision, held], [OTHER_STORE, 2n, token(2n, OTHER_STORE)]);
    assert.deepEqual(providers(), ["providers/z"]);
  });

  const nonsense: Record<string, Message[]> = {
    "a change set of another store": [{ ...changeSet(9n, put("providers/x")), storeId: OTHER_STORE }],
    "a bookmark of another store": [{ ...bookmark(9n), storeId: OTHER_STORE }],
    "a snapshot that goes on in another store": [
      { event: { case: "snapshotChunk", value: { first: true } } },
      { storeId: OTHER_STORE, revision: 9n, event: { case: "snapshotChunk", value: { last: true } } },
    ],
    "a snapshot without its beginning": [{ revision: 9n, event: { case: "snapshotChunk", value: { last: true } } }],
  };
  for (const [what, messages] of Object.entries(nonsense)) {
    it(`keeps its table and connects again after ${what}`, async () => {
      start();
      const stream = await registry.stream(0);
      stream.send(snapshot(5n, ["providers/a"]));
      await router.atRevision(5n);
      stream.send(...messages);
      const { request } = await registry.stream(1);
      assert.equal(request.resumeToken, token(5n));
      assert.deepEqual(providers(), ["providers/a"]);
      await until(() => stream.isOver);
    });
  }

  it("passes over what a newer server says besides", async () => {
    start();
    (await registry.stream(0)).send(snapshot(5n, ["providers/a"]), { revision: 9n }, bookmark(6n));
    await router.atRevision(6n);
    assert.equal(router.table?.revision, 6n);
  });

  it("begins anew when a change comes before any table, or inside a snapshot", async () => {
    start();
    (await registry.stream(0)).send(changeSet(1n, put("providers/x")));
    const first = { first: true, providers: [{ name: "providers/x" }] };
    (await registry.stream(1)).send({ event: { case: "snapshotChunk", value: first } }, changeSet(2n));
    (await registry.stream(2)).send(snapshot(3n, ["providers/a"]));
    await router.atRevision(3n);
    assert.deepEqual(providers(), ["providers/a"]);
  });

  it("gives up a connection that is silent for three bookmark intervals", async () => {
    registry.greeting = [snapshot(5n, [])];
    start({ bookmarkIntervalMs: 60 });
    await until(() => registry.streams.some(({ request }) => request.resumeToken === token(5n)));
    await until(() => registry.streams[0]!.isOver);
  });

  it("stays on a connection that is never silent for so long", async () => {
    registry.greeting = [snapshot(1n, [])];
    start({ bookmarkIntervalMs: 500 });
    await registry.stream(0);
    let revision = 1n;
    for (;;) {
      const opened = registry.streams.length;
      let longestMs = 0;
      for (const end = revision + 19n; revision < end;) {
        const sentMs = performance.now();
        registry.streams[opened - 1]!.send(bookmark(++revision));
        await sleep(100);
        longestMs = Math.max(longestMs, performance.now() - sentMs);
      }
      if (registry.streams.length === opened) break;
      // A machine that paused kept it silent: then once more.
      assert.ok(longestMs > 1_000, `given up after ${longestMs} ms`);
    }
    await router.atRevision(revision);
  });

  it("leaves a server that is about to stop, and resumes", async () => {
    start({ bookmarkIntervalMs: 60_000 });
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, []), bookmark(6n, true));
    const { request } = await registry.stream(1);
    assert.equal(request.resumeToken, token(6n));
    await until(() => stream.isOver);
  });

  it("tells again what it has applied after a reconnect", async () => {
    start({ watcherId: "pod-1" });
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, []));
    await until(() => registry.reports.length === 1);
    stream.fail(Code.Unavailable);
    (await registry.stream(1)).send(bookmark(5n));
    await until(() => registry.reports.length === 2);
    assert.deepEqual(
      registry.reports.map(({ token }) => token),
      [token(5n), token(5n)],
    );
  });

  it("tells what it has applied, at most once a second, and that it stops", async () => {
    const beganMs = performance.now();
    start({ watcherId: "pod-1" });
    const stream = await registry.stream(0);
    stream.send(snapshot(5n, []));
    await until(() => registry.reports.length === 1);
    for (let revision = 6n; revision <= 50n; revision++) stream.send(bookmark(revision));
    await until(() => registry.reports.at(-1)!.token === token(50n));
    // On a machine that pauses, one may arrive late and another between, but none too early.
    registry.reportedMs.forEach((ms, count) => assert.ok(ms - beganMs >= 990 * count, `${count} in ${ms} ms`));
    await router.stop();
    const told = registry.reports.map(({ watcherId, token, stopping }) => [watcherId, token, stopping]);
    assert.deepEqual(told[0], ["pod-1", token(5n), false]);
    assert.deepEqual(told.slice(-2), [
      ["pod-1", token(50n), false],
      ["pod-1", "", true],
    ]);
    const { session } = registry.streams[0]!.request;
    assert.equal(session.length, 16);
    for (const report of registry.reports) assert.deepEqual(report.session, session);
    await until(() => stream.isOver);
  });

  it("tells nothing without a name", async () => {
    start();
    (await registry.stream(0)).send(snapshot(5n, []));
    await router.atRevision(5n);
    await router.stop();
    assert.deepEqual(registry.reports, []);
  });

  it("rejects a wait with the signal's reason, and ends it when it stops", async () => {
    start();
    await assert.rejects(router.atRevision(1n, AbortSignal.timeout(10)), { name: "TimeoutError" });
    const waiting = assert.rejects(router.atRevision(1n), ProvidersError);
    await router.stop();
    await waiting;
    for await (const table of router.tables()) assert.fail(`a table after the end: ${table.revision}`);
  });
});

describe("Registry", { timeout: 120_000 }, () => {
  it("sends what a watch is asked for, and ends it with its reader", async () => {
    const scripted = new ScriptedRegistry();
    scripted.greeting = [snapshot(5n, []), bookmark(6n)];
    await scripted.start();
    const at = { resumeToken: token(4n), resumeRevision: 4n, storeId: STORE };
    const asked = { ...at, strictResume: true, bookmarkIntervalMs: 0, watcherId: "w" };
    for await (const { revision } of scripted.registry().watch(asked)) {
      assert.equal(revision, 5n);
      break;
    }
    const stream = await scripted.stream(0);
    await until(() => stream.isOver);
    const { resumeToken, resumeRevision, storeId, strictResume, bookmarkInterval, watcherId } = stream.request;
    assert.deepEqual(
      {
        resumeToken,
        resumeRevision,
        storeId,
        strictResume,
        watcherId,
        bookmarkIntervalMs: Number(bookmarkInterval?.seconds),
      },
      asked,
    );
    await scripted.close();
  });
  it("sends a token with each call, to this machine or over TLS", async () => {
    const scripted = new ScriptedRegistry();
    await scripted.start();
    let tokens = 0;
    const registry = scripted.registry({ token: () => Promise.resolve(`token-${++tokens}`) });
    await registry.report({ watcherId: "a" });
    await registry.report({ watcherId: "a" });
    assert.deepEqual(scripted.authorizations, ["Bearer token-1", "Bearer token-2"]);
    await scripted.close();
  });
  it("sends no token in the clear to another machine", async () => {
    for (const address of ["registry.example:443", "127.0.0.1.example:1", "10.0.0.1:50051"]) {
      assert.throws(() => new Registry(address, { token: () => "secret" }), RangeError);
    }
  });
});
