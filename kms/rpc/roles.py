"""Who may call what. The role is that of the socket: grpcio cannot see a Unix-socket peer (grpc#28755)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

MANAGEMENT = "codevector.kms.v1.KeyManagementService"
ADMIN = "codevector.kms.v1.KeyAdminService"


class Role(Enum):
    """One role per socket."""

    REGISTRY = "registry"
    ROUTER = "router"
    ADMIN = "admin"


# Default deny: no role may call a method that is missing here. The registry never unwraps.
ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        f"{MANAGEMENT}.GetStatus": frozenset({Role.REGISTRY, Role.ROUTER}),
        f"{MANAGEMENT}.BatchWrapDataKeys": frozenset({Role.REGISTRY}),
        f"{MANAGEMENT}.BatchUnwrapDataKeys": frozenset({Role.ROUTER}),
        f"{MANAGEMENT}.BatchRewrapDataKeys": frozenset({Role.REGISTRY}),
        f"{MANAGEMENT}.BatchVerifyDataKeys": frozenset({Role.REGISTRY}),
        f"{ADMIN}.ListKeyVersions": frozenset({Role.ADMIN}),
        f"{ADMIN}.CreateKeyVersion": frozenset({Role.ADMIN}),
        f"{ADMIN}.ActivateKeyVersion": frozenset({Role.ADMIN}),
        f"{ADMIN}.DisableKeyVersion": frozenset({Role.ADMIN}),
        f"{ADMIN}.EnableKeyVersion": frozenset({Role.ADMIN}),
        f"{ADMIN}.ScheduleKeyVersionDestruction": frozenset({Role.ADMIN}),
        f"{ADMIN}.CancelKeyVersionDestruction": frozenset({Role.ADMIN}),
        f"{ADMIN}.VerifyAudit": frozenset({Role.ADMIN}),
        f"{ADMIN}.ListExposure": frozenset({Role.ADMIN}),
    }
)


def allowed_roles(method: str) -> frozenset[Role]:
    """Return the roles that may call ``method`` (full name, with dots); none for an unlisted one."""
    return ALLOWED.get(method, frozenset())
