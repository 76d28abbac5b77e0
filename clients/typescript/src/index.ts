/** A router's client of the provider registry and of its own key sidecar. */
export { CredentialType, type ProviderConfig, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
export type { ModelBackend } from "../gen/codevector/providers/v1/model_pb.js";
export {
  ModelCapability,
  ModelKind,
  type Pricing,
  type PricingTier,
} from "../gen/codevector/providers/v1/provider_model_pb.js";
export type {
  ActiveModel,
  ActiveProviderModel,
  RoutingProvider,
  WatchRoutingResponse,
} from "../gen/codevector/providers/v1/routing_service_pb.js";
export type { RegistryCredentials } from "./channels.js";
export { Credential } from "./credential.js";
export { derive, Destination, permitted, type Role, type Rules } from "./destinations.js";
export * from "./errors.js";
export { type Listing, type ListOptions, Registry, type RegistryOptions, type WatchOptions } from "./registry.js";
export { Router, type RouterOptions } from "./router.js";
export { KeySidecar } from "./sidecar.js";
export type { RoutingTable } from "./table.js";
