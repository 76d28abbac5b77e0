import assert from "node:assert/strict";
import { it } from "node:test";
import { inspect } from "node:util";

import { CredentialType } from "../gen/codevector/providers/v1/provider_pb.js";
import { Credential } from "../src/credential.js";

const SECRET = "sk-canary-0123456789";
const CREDENTIAL = new Credential("providers/p", CredentialType.API_KEY, 7n, [], new Map([["api_key", SECRET]]));

it("gives a field by its name alone", () => {
  assert.deepEqual(CREDENTIAL.fieldNames, ["api_key"]);
  assert.equal(CREDENTIAL.reveal("api_key"), SECRET);
  assert.throws(() => CREDENTIAL.reveal("client_secret"), RangeError);
});

it("shows no secret, however it is shown", () => {
  const shown = [
    String(CREDENTIAL),
    `${CREDENTIAL}`,
    JSON.stringify({ CREDENTIAL }),
    inspect(CREDENTIAL, { depth: null, showHidden: true, customInspect: false }),
    inspect({ CREDENTIAL }, { depth: null, showHidden: true }),
    Object.entries(CREDENTIAL).join(),
  ];
  for (const text of shown) assert.ok(!text.includes(SECRET), "a secret was shown");
  assert.match(String(CREDENTIAL), /^Credential\(providers\/p, API_KEY, version 7, <redacted>\)$/);
});
