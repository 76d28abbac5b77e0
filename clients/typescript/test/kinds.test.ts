/** The table of tests/vectors/kinds: what every implementation derives from a provider's kind and settings. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { create, fromJson } from "@bufbuild/protobuf";

import { CredentialType, ProviderConfigSchema, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import { derive } from "../src/destinations.js";

interface Table {
  kinds: {
    kind: string;
    number: number;
    credential_types: Record<string, number>;
    destinations: { config: Record<string, string>; credential_type: string; items: string[] }[];
  }[];
  hosts: Record<string, string>;
}

const FILE = new URL("../../../../tests/vectors/kinds/kinds.json", import.meta.url);
const TABLE = JSON.parse(readFileSync(FILE, "utf8")) as Table;

describe("the table of kinds", () => {
  it("has every kind", () => {
    const numbers = Object.values(ProviderKind).filter((each) => typeof each === "number" && each !== 0);
    assert.deepEqual(
      TABLE.kinds.map(({ number }) => number),
      numbers,
    );
  });
  for (const { kind, number, credential_types: types, destinations } of TABLE.kinds) {
    it(`names ${kind} and its credential types as the API does`, () => {
      assert.equal(ProviderKind[number], kind.toUpperCase());
      for (const [word, type] of Object.entries(types)) assert.equal(CredentialType[type], word.toUpperCase());
    });
    for (const { config: settings, credential_type: word, items } of destinations) {
      it(`leads ${kind} ${JSON.stringify(settings)} with ${word} to ${items[0]}`, () => {
        const config = fromJson(ProviderConfigSchema, { [kind]: settings });
        const derived = derive({ name: "providers/p", kind: number, credentialType: types[word]!, config });
        assert.deepEqual(
          derived.map(({ item }) => item),
          items,
        );
      });
    }
  }
  for (const [host, reach] of Object.entries(TABLE.hosts)) {
    it(`finds ${host} ${reach === "loopback" ? "on this machine" : "elsewhere"}`, () => {
      const config = create(ProviderConfigSchema, {
        kind: { case: "openaiCompatible", value: { baseUrl: `https://${host}` } },
      });
      const kind = ProviderKind.OPENAI_COMPATIBLE;
      const [destination] = derive({ name: "providers/p", kind, credentialType: CredentialType.API_KEY, config });
      assert.equal(destination!.isLoopback, reach === "loopback");
    });
  }
});
