/**
 * Where a provider's credential may be sent, derived from the provider itself and from nothing else.
 *
 * The list sent with a sealed credential is never trusted alone: otherwise anyone who may edit a base URL would get the
 * stored key. Source: docs/formats/envelope.md, "Destinations by kind". The defaults never change in place.
 */
import { isIPv4 } from "node:net";

import { CredentialType, ProviderConfigSchema, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import type { RoutingProvider } from "../gen/codevector/providers/v1/routing_service_pb.js";
import { DestinationRefused } from "./errors.js";

/** `api` gets API keys and minted tokens, `control` lists what the account offers, `token` mints tokens. */
export type Role = "api" | "control" | "token";

/** The part of a provider that decides where its credential goes. */
export type Configured = Pick<RoutingProvider, "name" | "kind" | "config" | "credentialType">;

/** What this router permits, whatever the registry says. */
export interface Rules {
  /** If any, each `api` destination must be at or below one of these URLs. */
  readonly allowedDestinations?: readonly string[];
  /** Allows providers on this machine without TLS. */
  readonly allowLoopbackHttp?: boolean;
}

const URL_FORM =
  /^(https?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9][0-9]{0,4}))?((?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)\/?$/;
const REQUEST_FORM = /^https?:\/\/[^/?#\\@]+(\/[^?#]*)?(?:[?#].*)?$/i;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { https: "443", http: "80" };
const UNQUOTE_ROUNDS = 4;

const DEFAULT_HOSTS: Readonly<Partial<Record<ProviderKind, string>>> = {
  [ProviderKind.OPENAI]: "https://api.openai.com",
  [ProviderKind.ANTHROPIC]: "https://api.anthropic.com",
  [ProviderKind.GOOGLE]: "https://generativelanguage.googleapis.com",
  [ProviderKind.GROQ]: "https://api.groq.com",
  [ProviderKind.COHERE]: "https://api.cohere.com",
  [ProviderKind.DEEPSEEK]: "https://api.deepseek.com",
  [ProviderKind.MOONSHOT]: "https://api.moonshot.ai",
};
const REGION = /^[a-z]{2}(-[a-z]+)+-[0-9]+$/;
const LOCATION = /^(global|us|eu|[a-z]+-[a-z]+[0-9]+)$/;
const AZURE_LOGINS: readonly (readonly [suffix: string, url: string])[] = [
  [".azure.us", "https://login.microsoftonline.us"],
  [".azure.cn", "https://login.partner.microsoftonline.cn"],
  ["", "https://login.microsoftonline.com"],
];

// Only names under which the cloud itself serves: an ambient identity goes nowhere else.
const VERTEX_HOST = /^([a-z0-9-]+-)?aiplatform(\.(us|eu)\.rep)?\.googleapis\.com$/;
const OWN_HOSTS: Readonly<Partial<Record<ProviderKind, RegExp>>> = {
  [ProviderKind.AZURE]: /^[a-z0-9-]+\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$/,
  [ProviderKind.BEDROCK]:
    /^(bedrock-runtime(-fips)?\.[a-z0-9-]+|vpce-[a-z0-9-]+\.bedrock-runtime\.[a-z0-9-]+\.vpce)\.amazonaws\.com$/,
  [ProviderKind.VERTEX]: VERTEX_HOST,
  [ProviderKind.VERTEX_ANTHROPIC]: VERTEX_HOST,
};

/** Scheme, host, port and, if the administrator set the base URL, a path prefix without a trailing slash. */
export class Destination {
  private constructor(
    readonly role: Role,
    readonly scheme: string,
    readonly host: string,
    readonly port: string,
    readonly path: string,
  ) {}

  /** Reads a URL in the one spelling that the registry accepts; throws DestinationRefused for any other. */
  static parse(role: Role, url: string, options: { withPath: boolean }): Destination {
    const [matched, scheme = "", host = "", port, path = ""] = URL_FORM.exec(url) ?? [];
    if (matched === undefined || path.split("/").some((segment) => segment === "." || segment === "..")) {
      throw new DestinationRefused(
        "A base URL, or one of allowedDestinations, is not in the form https://host[:port][/path].",
      );
    }
    return new Destination(role, scheme, host, port ?? DEFAULT_PORTS[scheme] ?? "", options.withPath ? path : "");
  }

  /** `scheme://host[:port][path]`, a default port left out. */
  get url(): string {
    const port = this.port === DEFAULT_PORTS[this.scheme] ? "" : `:${this.port}`;
    return `${this.scheme}://${this.host}${port}${this.path}`;
  }

  /** The form that is sealed: role, a space, URL. */
  get item(): string {
    return `${this.role} ${this.url}`;
  }

  /** Whether the host, as spelled, is this machine. */
  get isLoopback(): boolean {
    return (
      this.host === "localhost" ||
      this.host.endsWith(".localhost") ||
      this.host === "[::1]" ||
      (isIPv4(this.host) && this.host.startsWith("127."))
    );
  }

  /**
   * Whether a request to this URL goes here: same scheme, host and port, and a path at or below the prefix. A path that
   * some server might read as leaving the prefix (dot segments, also encoded, after a backslash or a semicolon) is not
   * below it.
   */
  covers(url: string): boolean {
    const match = REQUEST_FORM.exec(url);
    if (!match || !/^[\x21-\x7e]+$/.test(url) || !URL.canParse(url)) return false;
    const { protocol, hostname, port, pathname } = new URL(url);
    const scheme = protocol.slice(0, -1);
    if (scheme !== this.scheme || hostname !== this.host || (port || DEFAULT_PORTS[scheme]) !== this.port) return false;
    // Both what was spelled and what URL makes of it, which is what fetch() would send.
    return !this.path || [match[1] ?? "/", pathname].every((path) => this.#isAbove(path));
  }

  #isAbove(path: string): boolean {
    return (path === this.path || path.startsWith(`${this.path}/`)) && !mayClimb(path);
  }
}

/** All destinations of a provider as it is configured, the `api` one first. Throws DestinationRefused. */
export function derive(provider: Configured): Destination[] {
  const { kind } = provider;
  const settings = settingsOf(provider);
  const own = (url: string): Destination => Destination.parse("api", url, { withPath: true });
  const bare = (role: Role, url: string): Destination => Destination.parse(role, url, { withPath: false });
  const host = DEFAULT_HOSTS[kind];
  if (host !== undefined) return [settings.baseUrl ? own(settings.baseUrl) : bare("api", host)];
  switch (kind) {
    case ProviderKind.OPENAI_COMPATIBLE:
      return [own(settings.baseUrl ?? "")];
    case ProviderKind.AZURE: {
      const endpoint = own(settings.endpoint ?? "");
      const type = provider.credentialType;
      if (type !== CredentialType.AZURE_CLIENT_SECRET && type !== CredentialType.AMBIENT) return [endpoint];
      const login = AZURE_LOGINS.find(([suffix]) => endpoint.host.endsWith(suffix))?.[1] ?? "";
      return [endpoint, bare("token", login)];
    }
    case ProviderKind.BEDROCK: {
      const region = settings.region ?? "";
      if (!REGION.test(region)) throw new DestinationRefused("The provider's region is not the name of a region.");
      return [
        settings.endpointUrl
          ? own(settings.endpointUrl)
          : bare("api", `https://bedrock-runtime.${region}.amazonaws.com`),
        bare("control", `https://bedrock.${region}.amazonaws.com`),
        bare("token", `https://sts.${region}.amazonaws.com`),
      ];
    }
    case ProviderKind.VERTEX:
    case ProviderKind.VERTEX_ANTHROPIC:
      return [bare("api", vertexUrl(settings.location ?? "")), bare("token", "https://oauth2.googleapis.com")];
    default:
      throw new DestinationRefused("This version of the library does not know the provider's kind: upgrade it.");
  }
}

/** The derived destinations, if this router's own rules allow all of them. Throws DestinationRefused. */
export function permitted(provider: Configured, rules: Rules = {}): Destination[] {
  const derived = derive(provider);
  if (derived.some((item) => item.scheme === "http" && !(rules.allowLoopbackHttp && item.isLoopback))) {
    throw new DestinationRefused(
      `${provider.name} uses plain http: only allowed to this machine, with allowLoopbackHttp.`,
    );
  }
  const allowed = allowedBy(rules);
  for (const item of derived.filter(({ role }) => role === "api")) {
    const isNamed = allowed.some((entry) => entry.covers(item.url));
    if (allowed.length > 0 && !isNamed) {
      throw new DestinationRefused(
        `${provider.name} leads to a destination that is not in this router's allowedDestinations.`,
      );
    }
    const isOfCloud = item.port === "443" && OWN_HOSTS[provider.kind]?.test(item.host);
    if (provider.credentialType === CredentialType.AMBIENT && !isNamed && !isOfCloud) {
      throw new DestinationRefused(
        `${provider.name} asks for this router's own identity at a host outside its cloud: ` +
          "name the destination in allowedDestinations if that is meant.",
      );
    }
  }
  return derived;
}

/** The router's own list. Throws DestinationRefused for an entry that is not such a URL. */
export function allowedBy({ allowedDestinations = [] }: Rules): Destination[] {
  return allowedDestinations.map((url) => Destination.parse("api", url, { withPath: true }));
}

interface Settings {
  readonly baseUrl?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly endpointUrl?: string;
  readonly location?: string;
}

/** The settings of the provider's own kind; those of other kinds are ignored. */
function settingsOf({ kind, config }: Configured): Settings {
  const member = config?.kind;
  // The numbers of the members are those of the kinds.
  return member?.case && ProviderConfigSchema.field[member.case].number === kind ? member.value : {};
}

function vertexUrl(location: string): string {
  if (!LOCATION.test(location)) throw new DestinationRefused("The provider's location is not the name of a location.");
  if (location === "global") return "https://aiplatform.googleapis.com";
  if (location === "us" || location === "eu") return `https://aiplatform.${location}.rep.googleapis.com`;
  return `https://${location}-aiplatform.googleapis.com`;
}

/**
 * Whether a server that decodes more than we do, or in another way, could leave the path. Besides dot segments, such a
 * server might skip control characters, or read `%u002e`, overlong UTF-8 and wide characters as dots: none of them
 * occurs in the API of a provider.
 */
function mayClimb(path: string): boolean {
  for (let round = 0; round < UNQUOTE_ROUNDS; round++) {
    const segments = path.split(/[/\\]/);
    if (segments.some((segment) => segment.startsWith("..") || segment.split(";", 1)[0] === ".")) return true;
    if (/%u|[^ -~]/i.test(path)) return true;
    const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (decoded === path) return false;
    path = decoded;
  }
  return true;
}
