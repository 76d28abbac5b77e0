import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";

import { CredentialType, ProviderConfigSchema, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import { type Configured, derive, Destination, permitted } from "../src/destinations.js";
import { DestinationRefused } from "../src/errors.js";
import { VECTORS } from "./vectors.js";

type Config = MessageInitShape<typeof ProviderConfigSchema>["kind"];

function provider(kind: ProviderKind, config?: Config, credentialType = CredentialType.API_KEY): Configured {
  const settings = config && { config: create(ProviderConfigSchema, { kind: config }) };
  return { name: "providers/p", kind, credentialType, ...settings };
}

function compatible(baseUrl: string): Configured {
  return provider(ProviderKind.OPENAI_COMPATIBLE, { case: "openaiCompatible", value: { baseUrl } });
}

function items(provider: Configured): string[] {
  return derive(provider).map(({ item }) => item);
}

describe("derive", () => {
  for (const { name, provider, sealed } of VECTORS) {
    it(`finds what ${name} was sealed for`, () => assert.deepEqual(items(provider).sort(), sealed.destinations));
  }
  it("knows the clouds' own hosts", () => {
    const azure = (endpoint: string): string[] =>
      items(provider(ProviderKind.AZURE, { case: "azure", value: { endpoint } }, CredentialType.AZURE_CLIENT_SECRET));
    assert.equal(azure("https://x.openai.azure.us")[1], "token https://login.microsoftonline.us");
    assert.equal(azure("https://x.openai.azure.cn")[1], "token https://login.partner.microsoftonline.cn");
    const vertex = (location: string): string[] =>
      items(provider(ProviderKind.VERTEX, { case: "vertex", value: { location } }));
    assert.equal(vertex("global")[0], "api https://aiplatform.googleapis.com");
    assert.equal(vertex("eu")[0], "api https://aiplatform.eu.rep.googleapis.com");
    assert.equal(vertex("europe-west4")[0], "api https://europe-west4-aiplatform.googleapis.com");
  });
  it("does not read the settings of another kind", () => {
    const odd = provider(ProviderKind.OPENAI, { case: "groq", value: { baseUrl: "https://evil.example" } });
    assert.deepEqual(items(odd), ["api https://api.openai.com"]);
  });
  for (const url of [
    "",
    "ftp://host",
    "https://HOST",
    "https://host/a/../b",
    "https://host/./b",
    "https://host/a?b",
    "https://host/a#b",
    "https://user@host",
    "https://host:0",
    "https://host./",
    "https://host//a",
    "https://host/%61",
    "https://host/a\\b",
    "https://host/a;b",
    "https://höst",
    "https://host\n",
  ]) {
    it(`refuses the base URL ${JSON.stringify(url)}`, () => {
      assert.throws(() => derive(compatible(url)), DestinationRefused);
    });
  }
  it("refuses what no host can be made from", () => {
    const bad = [
      provider(99 as ProviderKind),
      provider(ProviderKind.UNSPECIFIED),
      provider(ProviderKind.AZURE),
      provider(ProviderKind.BEDROCK, { case: "bedrock", value: { region: "evil.example/" } }),
      provider(ProviderKind.VERTEX, { case: "vertex", value: { location: "evil.example/" } }),
    ];
    for (const each of bad) assert.throws(() => derive(each), DestinationRefused);
  });
});

describe("permitted", () => {
  it("lets plain http pass to this machine alone, and only when asked to", () => {
    for (const host of ["127.0.0.1:9", "localhost:9", "x.localhost", "[::1]:9"]) {
      assert.throws(() => permitted(compatible(`http://${host}/v1`)), DestinationRefused);
      assert.equal(permitted(compatible(`http://${host}/v1`), { allowLoopbackHttp: true }).length, 1);
    }
    for (const host of ["10.0.0.1", "127.example", "localhost.example"]) {
      assert.throws(() => permitted(compatible(`http://${host}`), { allowLoopbackHttp: true }), DestinationRefused);
    }
  });
  it("holds to the router's own list", () => {
    const rules = { allowedDestinations: ["https://llm.example/a"] };
    assert.equal(permitted(compatible("https://llm.example/a/v1"), rules).length, 1);
    for (const url of ["https://llm.example/ab", "https://llm.example", "https://evil.example/a"]) {
      assert.throws(() => permitted(compatible(url), rules), DestinationRefused);
    }
  });
  it("lends the router's own identity to its cloud alone, or to what is named", () => {
    const bedrock = (endpointUrl: string): Configured =>
      provider(
        ProviderKind.BEDROCK,
        { case: "bedrock", value: { region: "eu-central-1", endpointUrl } },
        CredentialType.AMBIENT,
      );
    const own = "https://bedrock-runtime.eu-central-1.amazonaws.com";
    assert.equal(permitted(bedrock("")).length, 3);
    assert.equal(permitted(bedrock(own)).length, 3);
    assert.throws(() => permitted(bedrock(`${own}.evil.example`)), DestinationRefused);
    assert.throws(() => permitted(bedrock(`${own}:444`)), DestinationRefused);
    assert.equal(permitted(bedrock(`${own}:444`), { allowedDestinations: [`${own}:444`] }).length, 3);
  });
});

describe("covers", () => {
  const cases: readonly [destination: string, url: string, covers: boolean][] = [
    ["https://api.example", "https://api.example/any/thing?at=all#here", true],
    ["https://api.example", "HTTPS://API.example:443", true],
    ["https://api.example", "http://api.example/v1", false],
    ["https://api.example", "https://api.example:8443/v1", false],
    ["https://api.example", "https://api.example.evil/v1", false],
    ["https://api.example", "https://api.example./v1", false],
    ["https://api.example", "https://user:pw@api.example/v1", false],
    ["https://api.example", "https://api.example\\@evil.example/", false],
    ["https://api.example", "https:api.example/v1", false],
    ["https://api.example", "//api.example/v1", false],
    ["https://api.example", "https://api.example/\nv1", false],
    ["https://api.example", "nonsense", false],
    ["https://[::1]:8443", "https://[0:0::1]:8443/x", true],
    ["https://h.example/t/v1", "https://h.example/t/v1", true],
    ["https://h.example/t/v1", "https://h.example/t/v1/models", true],
    ["https://h.example/t/v1", "https://h.example/t/v1?x=..", true],
    ["https://h.example/t/v1", "https://h.example/t/v1beta", false],
    ["https://h.example/t/v1", "https://h.example/t", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/../v2", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/../v1/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%2e%2e/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%252e%252E/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%2fx", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%5cx", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..;a/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1\\..\\x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%25252525252e", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/models/my%20model", true],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%00/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%20/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%09/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/.%0a./x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%c0%ae%c0%ae/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%u002e%u002e/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/%ef%bc%8e%ef%bc%8e/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/..%23/x", false],
    ["https://h.example/t/v1", "https://h.example/t/v1/.../x", false],
  ];
  for (const [destination, url, covers] of cases) {
    it(`${destination} ${covers ? "covers" : "does not cover"} ${JSON.stringify(url)}`, () => {
      assert.equal(Destination.parse("api", destination, { withPath: true }).covers(url), covers);
    });
  }
});
