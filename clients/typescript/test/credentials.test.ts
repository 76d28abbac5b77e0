import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import { ProviderConfigSchema } from "../gen/codevector/providers/v1/provider_pb.js";
import {
  type RoutingProvider,
  RoutingProviderSchema,
  type SealedCredential,
  SealedCredentialSchema,
  SnapshotChunk_Reason,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
import {
  CredentialCorrupt,
  DestinationRefused,
  KeyVersionUnavailable,
  KmsUnavailable,
  NotFound,
  RegistryRolledBack,
} from "../src/errors.js";
import { Router } from "../src/router.js";
import { refusal, ScriptedRegistry, ScriptedSidecar, type Stream, until } from "./scripted.js";
import { vector } from "./vectors.js";

const VECTOR = vector("openai-base-url"); // version 2, for https://gateway.example.com/tenant-a/v1
const NAME = "providers/p";
const KEY = VECTOR.fields["api_key"];

/** What a message is made from, none of it being one already. */
type Fields<T extends DescMessage> = Exclude<MessageInitShape<T>, Message>;

function provider(changes: Fields<typeof RoutingProviderSchema> = {}): RoutingProvider {
  const { providerUid, kind, type, credentialVersion } = VECTOR.expected;
  const own = { name: NAME, uid: providerUid, kind, credentialType: type, credentialVersion };
  return create(RoutingProviderSchema, { ...own, config: VECTOR.provider.config!, ...changes });
}

function sealed(changes: Fields<typeof SealedCredentialSchema> = {}): SealedCredential {
  const wrapper = { wrappedDataKey: Buffer.from("wrapper"), keyVersion: "keyVersions/1" };
  return create(SealedCredentialSchema, { provider: NAME, ...VECTOR.sealed, ...wrapper, ...changes });
}

describe("credentials", { timeout: 120_000 }, () => {
  let registry: ScriptedRegistry;
  let sidecar: ScriptedSidecar;
  let router: Router;
  let stream: Stream;
  let revision: bigint;
  let skewMs: number;

  beforeEach(async () => {
    registry = new ScriptedRegistry();
    sidecar = new ScriptedSidecar(VECTOR.expected.deploymentId);
    await Promise.all([registry.start(), sidecar.start()]);
    registry.seal = () => sealed();
    sidecar.unwrap = () => VECTOR.dek;
    const now = performance.now.bind(performance);
    skewMs = 0;
    mock.method(performance, "now", () => now() + skewMs);
    router = new Router({ registry: registry.registry(), sidecar: sidecar.sidecar(), maxReconnectDelayMs: 10 });
    stream = await registry.stream(0);
    revision = 1n;
    await load([provider()]);
  });
  afterEach(async () => {
    mock.restoreAll();
    await router.stop();
    await Promise.all([registry.close(), sidecar.close()]);
  });

  async function load(providers: RoutingProvider[], reason = SnapshotChunk_Reason.COMPACTED): Promise<void> {
    const chunk = { first: true, last: true, providers, reason };
    stream.send({ revision, event: { case: "snapshotChunk", value: chunk } });
    await once(router, "reset");
  }

  async function change(next: { put: RoutingProvider } | { removed: string }): Promise<void> {
    const entry =
      "put" in next
        ? ({ case: "provider", value: next.put } as const)
        : ({ case: "removed", value: next.removed } as const);
    stream.send({ revision: ++revision, event: { case: "changeSet", value: { changes: [{ change: entry }] } } });
    await router.atRevision(revision);
  }

  async function bookmark(): Promise<void> {
    stream.send({ revision: ++revision, event: { case: "bookmark", value: {} } });
    await router.atRevision(revision);
  }

  async function open(): Promise<string> {
    return (await router.credential(NAME)).reveal("api_key");
  }

  it("are opened once for all who ask at the same time, and kept", async () => {
    assert.deepEqual(await Promise.all([open(), open(), open()]), [KEY, KEY, KEY]);
    assert.equal(await open(), KEY);
    assert.deepEqual([registry.sealings, sidecar.unwrappings], [1, 1]);
  });

  it("tell where they may go", async () => {
    const credential = await router.credential(NAME);
    assert.deepEqual([credential.provider, credential.version], [NAME, 2n]);
    assert.deepEqual(
      credential.destinations.map(({ item }) => item),
      ["api https://gateway.example.com/tenant-a/v1"],
    );
    const url = "https://gateway.example.com/tenant-a/v1/models";
    assert.deepEqual(router.destinationOf(NAME, url), credential.destinations[0]);
    assert.throws(() => router.destinationOf(NAME, "https://gateway.example.com/tenant-b/v1"), DestinationRefused);
    assert.throws(() => router.destinationOf("providers/none", url), NotFound);
  });

  it("are good for 300 s while the watch is live, and use does not extend that", async () => {
    await open();
    for (const ageMs of [100_000, 200_000, 280_000]) {
      skewMs = ageMs;
      await bookmark();
      await open();
    }
    assert.equal(registry.sealings, 1);
    skewMs = 301_000;
    await bookmark();
    await open();
    assert.equal(registry.sealings, 2);
  });

  it("are good for 60 s without a live watch", async () => {
    await open();
    skewMs = 50_000;
    await open();
    assert.equal(registry.sealings, 1);
    skewMs = 61_000;
    await open();
    assert.equal(registry.sealings, 2);
  });

  it("serve for 600 s when neither watch nor sidecar answers, and no longer", async () => {
    await open();
    sidecar.unwrap = () => {
      throw refusal(Code.Unavailable, "KMS_UNAVAILABLE");
    };
    for (const ageMs of [61_000, 580_000]) {
      skewMs = ageMs;
      assert.equal(await open(), KEY);
    }
    skewMs = 601_000;
    await assert.rejects(open(), KmsUnavailable);
  });

  it("end at 300 s when the sidecar is away while the watch is live", async () => {
    await open();
    sidecar.unwrap = () => {
      throw refusal(Code.Unavailable, "KMS_UNAVAILABLE");
    };
    skewMs = 301_000;
    await bookmark();
    await assert.rejects(open(), KmsUnavailable);
  });

  it("are gone when the registry refuses to hand them out again", async () => {
    await open();
    skewMs = 61_000;
    registry.seal = () => {
      throw refusal(Code.FailedPrecondition, "PROVIDER_DISABLED");
    };
    await assert.rejects(open(), { reason: "PROVIDER_DISABLED" });
    registry.seal = () => {
      throw refusal(Code.Unavailable, "STORE_UNAVAILABLE");
    };
    await assert.rejects(open(), { reason: "STORE_UNAVAILABLE" });
  });

  it("are dropped at once when the provider goes, and opened anew when it is back", async () => {
    await open();
    await change({ removed: NAME });
    await assert.rejects(open(), NotFound);
    await change({ put: provider() });
    await open();
    assert.equal(registry.sealings, 2);
  });

  it("are dropped when a snapshot comes without their provider", async () => {
    await open();
    await load([]);
    await load([provider()]);
    await open();
    assert.equal(registry.sealings, 2);
  });

  it("outlive a change of labels, and a snapshot with the same provider", async () => {
    await open();
    await change({ put: provider({ displayName: "another name", labels: { team: "blue" } }) });
    await load([provider()]);
    await open();
    assert.equal(registry.sealings, 1);
  });

  for (const reason of ["STORE_CHANGED", "REVISION_AHEAD"] as const) {
    it(`are opened again in another history, where version numbers repeat: ${reason}`, async () => {
      await open();
      const said = mock.method(console, "error", () => undefined);
      await load([provider()], SnapshotChunk_Reason[reason]);
      assert.match(String(said.mock.calls[0]!.arguments[0]), /another history/);
      await open();
      assert.equal(registry.sealings, 2);
    });
  }

  it("are opened again where another history comes while they are opened", async () => {
    mock.method(console, "error", () => undefined);
    registry.seal = async () => {
      if (registry.sealings === 1) await load([provider()], SnapshotChunk_Reason.STORE_CHANGED);
      return sealed();
    };
    assert.equal(await open(), KEY);
    assert.equal(registry.sealings, 2);
  });

  it("do not open for a provider that is aimed elsewhere", async () => {
    await open();
    const elsewhere = { kind: { case: "openai", value: { baseUrl: "https://evil.example" } } } as const;
    await change({ put: provider({ config: create(ProviderConfigSchema, elsewhere) }) });
    await assert.rejects(open(), CredentialCorrupt);
    assert.equal(sidecar.unwrappings, 1);
  });

  it("are never handed out past a change that was seen while they were opened", async () => {
    registry.seal = async () => {
      await change({ removed: NAME });
      return sealed();
    };
    await assert.rejects(open(), NotFound);
  });

  it("wait for the table to hear of a replacement", async () => {
    await change({ put: provider({ credentialVersion: 1n }) });
    const late = open();
    await until(() => registry.sealings === 1);
    await change({ put: provider() });
    assert.equal(await late, KEY);
  });

  it("are fetched again when their wrapper has moved to another key version", async () => {
    const unwrap = sidecar.unwrap;
    sidecar.unwrap = () => {
      sidecar.unwrap = unwrap;
      throw refusal(Code.FailedPrecondition, "KEY_VERSION_UNAVAILABLE");
    };
    assert.equal(await open(), KEY);
    assert.equal(registry.sealings, 2);
    sidecar.unwrap = () => {
      throw refusal(Code.FailedPrecondition, "KEY_VERSION_UNAVAILABLE");
    };
    await change({ removed: NAME });
    await change({ put: provider() });
    await assert.rejects(open(), KeyVersionUnavailable);
    assert.equal(registry.sealings, 5);
  });

  it("are not taken back to an older version", async () => {
    await open();
    const older = { credentialVersion: 1n };
    await change({ put: provider(older) });
    registry.seal = () =>
      sealed({ ...older, context: Buffer.concat([VECTOR.sealed.context.subarray(0, -1), Buffer.of(1)]) });
    await assert.rejects(open(), RegistryRolledBack);
    assert.equal(sidecar.unwrappings, 1);
  });

  it("are not given out after the end, not even one that is being opened", async () => {
    await open();
    registry.seal = async () => {
      await router.stop();
      return sealed();
    };
    skewMs = 61_000;
    await assert.rejects(open(), { message: "The router has stopped." });
    await assert.rejects(open(), { message: "The router has stopped." });
  });

  it("are one provider's affair: another's opens", async () => {
    await load([provider(), provider({ name: "providers/bad", uid: "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" })]);
    await assert.rejects(router.credential("providers/bad"), CredentialCorrupt);
    assert.equal(await open(), KEY);
  });
});
