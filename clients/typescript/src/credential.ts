/** An opened credential: a value that holds secrets and shows none, neither printed, formatted nor as JSON. */
import { inspect } from "node:util";

import { CredentialType } from "../gen/codevector/providers/v1/provider_pb.js";
import type { Destination } from "./destinations.js";

export class Credential {
  readonly #fields: ReadonlyMap<string, string>;

  constructor(
    /** The resource name of the provider it belongs to. */
    readonly provider: string,
    readonly type: CredentialType,
    /** The version of the provider's credential, from 1. */
    readonly version: bigint,
    /** Where it may be sent, as derived and permitted when it was opened. */
    readonly destinations: readonly Destination[],
    fields: ReadonlyMap<string, string>,
  ) {
    this.#fields = fields;
  }

  /** The names of its fields, sorted; they depend on `type` (docs/formats/envelope.md). */
  get fieldNames(): string[] {
    return [...this.#fields.keys()];
  }

  /** One field in plain text; throws RangeError if this credential lacks it. */
  reveal(name: string): string {
    const value = this.#fields.get(name);
    if (value === undefined) throw new RangeError(`a credential of type ${CredentialType[this.type]} has no ${name}`);
    return value;
  }

  toString(): string {
    return `Credential(${this.provider}, ${CredentialType[this.type]}, version ${this.version}, <redacted>)`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
