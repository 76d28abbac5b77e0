"""Where a credential may go, by kind, settings and type of credential."""

from __future__ import annotations

from collections.abc import Mapping

from upstreams.kinds.forms import CredentialType, ProviderKind
from upstreams.kinds.table import KINDS


def destinations(
    kind: ProviderKind, config: Mapping[str, str], credential_type: CredentialType | None
) -> tuple[str, ...]:
    """Return where a credential may go: the one to eight items that its envelope is bound to.

    An item is ``role SP destination``. Roles: ``api`` takes requests, ``token`` exchanges an identity for a
    token, ``control`` lists what the account has. A destination is ``scheme://host[:port]`` without the
    default port. It has a path only where an administrator wrote the URL: on shared hosts the path chooses
    the tenant. Items are unique and sorted by their bytes.

    ``config`` is valid: URLs canonical, required fields present.
    """
    rules = KINDS[kind]
    found = rules.origins(config)
    api = found.api if found.api in config.values() else _origin(found.api)
    items = {f"api {api}"}
    if found.control:
        items.add(f"control {found.control}")
    if found.token and (rules.token_types is None or credential_type in rules.token_types):
        items.add(f"token {found.token}")
    return tuple(sorted(items, key=str.encode))


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
