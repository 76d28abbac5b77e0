import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import {
  CredentialCorrupt,
  type ErrorClass,
  fromCall,
  fromStatus,
  InvalidRequest,
  KmsUnavailable,
  NoStoredCredential,
  NotAllowed,
  NotFound,
  ProvidersError,
  RegistryUnavailable,
  ResumeRefused,
} from "../src/errors.js";
import { KeySidecar } from "../src/sidecar.js";
import { ScriptedRegistry } from "./scripted.js";

const ANSWERS: readonly [code: Code, reason: string, kind: ErrorClass][] = [
  [Code.InvalidArgument, "INVALID_FILTER", InvalidRequest],
  [Code.OutOfRange, "STORE_CHANGED", ResumeRefused],
  [Code.NotFound, "RESOURCE_NOT_FOUND", NotFound],
  [Code.FailedPrecondition, "NO_STORED_CREDENTIAL", NoStoredCredential],
  [Code.FailedPrecondition, "what is not known yet", ProvidersError],
  [Code.FailedPrecondition, "constructor", ProvidersError],
  [Code.PermissionDenied, "ROLE_REQUIRED", NotAllowed],
  [Code.Unauthenticated, "UNAUTHENTICATED", NotAllowed],
  [Code.DataLoss, "CREDENTIAL_CORRUPT", CredentialCorrupt],
  [Code.Unavailable, "KMS_UNAVAILABLE", KmsUnavailable],
  [Code.Unavailable, "RATE_LIMITED", RegistryUnavailable],
  [Code.ResourceExhausted, "TOO_MANY_WATCHERS", ProvidersError],
];

describe("an answer of the API", () => {
  for (const [code, reason, kind] of ANSWERS) {
    it(`${Code[code]}, ${reason} is ${kind.name}`, () => {
      const info = create(ErrorInfoSchema, { reason, metadata: { current_revision: "7" } });
      const ofItem = fromStatus(
        create(StatusSchema, { code, message: "why", details: [anyPack(ErrorInfoSchema, info)] }),
        RegistryUnavailable,
      );
      const detail = { desc: ErrorInfoSchema, value: info };
      const ofCall = fromCall(
        new ConnectError("why", code, { "grpc-status": String(code) }, [detail]),
        RegistryUnavailable,
      );
      for (const error of [ofItem, ofCall]) {
        assert.equal(error.constructor, kind);
        assert.deepEqual(
          [error.name, error.message, error.reason, error.metadata],
          [kind.name, "why", reason, { current_revision: "7" }],
        );
      }
    });
  }

  it("without details has the word of its class", () => {
    const error = fromStatus(create(StatusSchema, { code: Code.NotFound }), RegistryUnavailable);
    assert.deepEqual([error.constructor, error.reason], [NotFound, "RESOURCE_NOT_FOUND"]);
  });

  it("with details that cannot be read is told by its code", () => {
    const garbled = { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: Uint8Array.of(0xff) };
    const error = fromStatus(create(StatusSchema, { code: Code.DataLoss, details: [garbled] }), RegistryUnavailable);
    assert.deepEqual([error.constructor, error.reason], [CredentialCorrupt, "CREDENTIAL_CORRUPT"]);
  });
});

describe("no answer", { timeout: 120_000 }, () => {
  it("of a sidecar that has no socket is KmsUnavailable", async () => {
    await assert.rejects(new KeySidecar("/nonexistent/router.sock").deploymentId(), KmsUnavailable);
  });

  it("of a registry that is cut off is RegistryUnavailable", async () => {
    const scripted = new ScriptedRegistry();
    await scripted.start();
    const registry = scripted.registry();
    const reading = assert.rejects(registry.watch().next(), RegistryUnavailable);
    await scripted.stream(0);
    await scripted.close();
    await reading;
    await assert.rejects(registry.list(), RegistryUnavailable);
  });

  it("in time is RegistryUnavailable", async () => {
    const scripted = new ScriptedRegistry();
    scripted.seal = () => new Promise(() => undefined);
    await scripted.start();
    const registry = scripted.registry({ deadlineMs: 50 });
    await assert.rejects(registry.sealedCredential("providers/p"), RegistryUnavailable);
    await scripted.close();
  });

  it("that is waited for no longer is the signal's reason", async () => {
    const scripted = new ScriptedRegistry();
    await scripted.start();
    const registry = scripted.registry();
    const reason = new Error("enough");
    const giveUp = new AbortController();
    const reading = assert.rejects(registry.watch({ signal: giveUp.signal }).next(), reason);
    await scripted.stream(0);
    giveUp.abort(reason);
    await reading;
    await assert.rejects(registry.list({ signal: giveUp.signal }), reason);
    await scripted.close();
  });
});
