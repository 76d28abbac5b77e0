"""The routers' library of the CodeVector provider service; flat, since only names without _ are its API.

with codevector_providers.Router("127.0.0.1:50051", kms_socket="var/kms/router.sock") as router:
    route = router.pick("models/smart")
    with router.http(route.provider.name) as http:
        openai.OpenAI(base_url=str(http.base_url), api_key="unused", http_client=http)
"""

from codevector_providers._follower import ResetReason
from codevector_providers.client import Client, connect
from codevector_providers.credential import Credential
from codevector_providers.destinations import Destination, Role
from codevector_providers.errors import (
    CredentialCorrupt,
    DestinationRefused,
    InvalidRequest,
    KeyVersionUnavailable,
    KmsUnavailable,
    ModelNotFound,
    NoStoredCredential,
    NotAllowed,
    ProviderDisabled,
    ProviderNotFound,
    ProvidersError,
    RegistryRolledBack,
    RegistryUnavailable,
    SignerRequired,
    Unavailable,
)
from codevector_providers.model import (
    ActiveModel,
    ActiveProviderModel,
    CredentialType,
    ModelBackend,
    ModelCapability,
    ModelKind,
    Pricing,
    PricingTier,
    ProviderKind,
    RoutingProvider,
    RoutingSnapshot,
)
from codevector_providers.router import Router, RouterStatus
from codevector_providers.table import Entries, ProviderModels, Route, RoutingTable
from codevector_providers.transport import AsyncCredentialTransport, CredentialTransport

__all__ = [
    "ActiveModel",
    "ActiveProviderModel",
    "AsyncCredentialTransport",
    "Client",
    "Credential",
    "CredentialCorrupt",
    "CredentialTransport",
    "CredentialType",
    "Destination",
    "DestinationRefused",
    "Entries",
    "InvalidRequest",
    "KeyVersionUnavailable",
    "KmsUnavailable",
    "ModelBackend",
    "ModelCapability",
    "ModelKind",
    "ModelNotFound",
    "NoStoredCredential",
    "NotAllowed",
    "Pricing",
    "PricingTier",
    "ProviderDisabled",
    "ProviderKind",
    "ProviderModels",
    "ProviderNotFound",
    "ProvidersError",
    "RegistryRolledBack",
    "RegistryUnavailable",
    "ResetReason",
    "Role",
    "Route",
    "Router",
    "RouterStatus",
    "RoutingProvider",
    "RoutingSnapshot",
    "RoutingTable",
    "SignerRequired",
    "Unavailable",
    "connect",
]
