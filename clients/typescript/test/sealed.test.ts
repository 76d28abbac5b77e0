import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CredentialType, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import { CredentialCorrupt } from "../src/errors.js";
import { check, type Expected, openSealed, type Sealed } from "../src/sealed.js";
import { vector, VECTORS } from "./vectors.js";

const OPENING = VECTORS.filter(({ opens }) => opens);
const REFUSED = VECTORS.filter(({ opens }) => !opens);

function refuses(sealed: Sealed, expected: Expected, dek: Uint8Array): void {
  assert.throws(() => openSealed(sealed, expected, dek), CredentialCorrupt);
}

function flipped(octets: Uint8Array, index: number, mask = 1): Uint8Array {
  const copy = Buffer.from(octets);
  copy[index]! ^= mask;
  return copy;
}

describe("the shared vectors", () => {
  it("are all there", () => {
    assert.equal(OPENING.length, 20);
    assert.equal(REFUSED.length, 1);
  });
  for (const { name, sealed, expected, dek, fields } of OPENING) {
    it(`${name} opens`, () => {
      assert.deepEqual(Object.fromEntries(openSealed(sealed, expected, dek)), fields);
    });
  }
  for (const { name, sealed, expected, dek } of REFUSED) {
    it(`${name} is refused`, () => refuses(sealed, expected, dek));
  }
});

describe("a garbled credential is refused", () => {
  const { sealed, expected, dek } = vector("bedrock-aws-access-key");

  it("whichever bit of the envelope is flipped", () => {
    for (let bit = 0; bit < sealed.envelope.length * 8; bit++) {
      refuses({ ...sealed, envelope: flipped(sealed.envelope, bit >> 3, 1 << (bit & 7)) }, expected, dek);
    }
  });
  it("whichever byte of context, commitment or data key is changed", () => {
    for (const part of ["context", "commitment"] as const) {
      for (let index = 0; index < sealed[part].length; index++) {
        refuses({ ...sealed, [part]: flipped(sealed[part], index) }, expected, dek);
      }
    }
    for (let index = 0; index < dek.length; index++) refuses(sealed, expected, flipped(dek, index));
  });
  it("wherever it is cut, and when it is longer than it was", () => {
    for (let length = 0; length < sealed.envelope.length; length++) {
      refuses({ ...sealed, envelope: sealed.envelope.subarray(0, length) }, expected, dek);
    }
    refuses({ ...sealed, envelope: Buffer.concat([sealed.envelope, Buffer.alloc(256)]) }, expected, dek);
    refuses({ ...sealed, context: new Uint8Array() }, expected, dek);
    refuses({ ...sealed, commitment: new Uint8Array() }, expected, dek);
    refuses(sealed, expected, new Uint8Array());
  });

  const claims: Record<string, Partial<Sealed>> = {
    "another provider": { providerUid: "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" },
    "another kind": { kind: ProviderKind.AZURE },
    "another type": { type: CredentialType.API_KEY },
    "another version": { credentialVersion: sealed.credentialVersion + 1n },
    "no destinations": { destinations: [] },
    "other destinations": { destinations: ["api https://evil.example"] },
    "a destination more": { destinations: [...sealed.destinations, "token https://z.example"] },
    "destinations in another order": { destinations: sealed.destinations.toReversed() },
    "a destination twice": { destinations: [sealed.destinations[0]!, ...sealed.destinations] },
    "a destination that is not ASCII": { destinations: [...sealed.destinations, "token https://ö.example"] },
    "too many destinations": { destinations: [...sealed.destinations, ..."bcdefgh"].sort() },
  };
  for (const [what, claim] of Object.entries(claims)) {
    it(`when it claims ${what}`, () => refuses({ ...sealed, ...claim }, expected, dek));
  }

  const knowledge: Record<string, Partial<Expected>> = {
    "another deployment": { deploymentId: Buffer.alloc(16, 9) },
    "a deployment of another length": { deploymentId: Buffer.alloc(15) },
    "nowhere to send it": { destinations: [] },
    "a destination that it was not sealed for": { destinations: ["api https://evil.example"] },
  };
  for (const [what, known] of Object.entries(knowledge)) {
    it(`when the router knows ${what}`, () => refuses(sealed, { ...expected, ...known }, dek));
  }
  it("when claim and table agree on what was not sealed", () => {
    const lies = [
      { providerUid: "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" },
      { providerUid: "nonsense" },
      { kind: ProviderKind.VERTEX },
      { kind: 99 as ProviderKind },
      { type: CredentialType.API_KEY },
      { type: CredentialType.GCP_SERVICE_ACCOUNT_KEY },
      { type: 99 as CredentialType },
      { credentialVersion: 0n },
      { credentialVersion: -1n },
      { credentialVersion: 1n << 63n },
    ];
    for (const lie of lies) refuses({ ...sealed, ...lie }, { ...expected, ...lie }, dek);
  });
  it("before its wrapper is unwrapped, where that shows", () => {
    assert.throws(() => check({ ...sealed, commitment: Buffer.alloc(32) }, expected), CredentialCorrupt);
  });
});
