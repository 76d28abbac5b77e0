/** The frozen envelopes of tests/vectors/envelope, and what a correct opener knows of each. */
import { readdirSync, readFileSync } from "node:fs";

import { fromJson, type JsonObject } from "@bufbuild/protobuf";

import { ProviderConfigSchema, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import { type Configured, derive } from "../src/destinations.js";
import type { Expected, Sealed } from "../src/sealed.js";

const FOLDER = new URL("../../../../tests/vectors/envelope/", import.meta.url);

interface VectorFile {
  opens: boolean;
  deployment_id: string;
  provider_uid: string;
  credential_version: string;
  kind: number;
  type: number;
  config: JsonObject;
  destinations: string[];
  dek: string;
  fields: Record<string, string>;
  context: string;
  commitment: string;
  envelope: string;
}

export interface Vector {
  readonly name: string;
  readonly opens: boolean;
  readonly provider: Configured;
  readonly sealed: Sealed;
  readonly expected: Expected;
  readonly dek: Uint8Array;
  readonly fields: Readonly<Record<string, string>>;
}

export const VECTORS: readonly Vector[] = readdirSync(FOLDER).sort().map(read);

export function vector(name: string): Vector {
  const found = VECTORS.find((each) => each.name === name);
  if (!found) throw new RangeError(`no vector ${name}`);
  return found;
}

function read(file: string): Vector {
  const value = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as VectorFile;
  const { opens, kind, type, fields } = value;
  const config = fromJson(ProviderConfigSchema, { [ProviderKind[kind]!.toLowerCase()]: value.config });
  const provider = { name: "providers/vector", kind, credentialType: type, config };
  const identity = {
    providerUid: value.provider_uid,
    kind,
    type,
    credentialVersion: BigInt(value.credential_version),
  };
  return {
    name: file.replace(/\.json$/, ""),
    opens,
    provider,
    sealed: {
      ...identity,
      envelope: Buffer.from(value.envelope, "hex"),
      context: Buffer.from(value.context, "hex"),
      commitment: Buffer.from(value.commitment, "hex"),
      destinations: value.destinations,
    },
    expected: {
      ...identity,
      deploymentId: Buffer.from(value.deployment_id, "hex"),
      destinations: derive(provider).map(({ item }) => item),
    },
    dek: Buffer.from(value.dek, "hex"),
    fields,
  };
}
