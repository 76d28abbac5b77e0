"""Where a call goes, on whose behalf, and the addresses that follow from it.

Kinds, credential types, settings and credential fields have the names of the API, such as
``vertex_anthropic``. Addresses are the ones that credentials are bound to: no call from here leaves a
provider's destinations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from upstreams.kinds import KINDS, Kind, Origins, ProviderKind

AZURE_API_VERSION: Final = "2024-10-21"
"""For listing models. The version in a provider's settings is for inference and may have no listing."""
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_PEM = re.compile(r"[\x20-\x7e\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A provider: its kind, and its settings as the registry stores them (URLs canonical, valid)."""

    kind: str
    config: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind.upper() not in ProviderKind.__members__:
            raise ValueError("not a kind of provider")

    @property
    def rules(self) -> Kind:
        """What a provider of this kind is."""
        return KINDS[ProviderKind[self.kind.upper()]]

    @property
    def api(self) -> str:
        """What the paths of requests are appended to; for bedrock, where its models are listed."""
        origins = self._origins
        return origins.control or origins.api

    @property
    def token_origin(self) -> str:
        """Where an identity is exchanged for a token; empty where a kind has no such place."""
        return self._origins.token

    @property
    def entra_scope(self) -> str:
        """What an Entra token for azure is requested for: the cloud of the endpoint decides."""
        return self._origins.scope

    @property
    def _origins(self) -> Origins:
        return self.rules.origins(self.config)


@dataclass(frozen=True, slots=True)
class Identity:
    """A plaintext credential: its type and its fields by name. Its repr shows the type alone."""

    type: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def well_formed(self) -> bool:
        """Whether all of it fits into a header; a private key may have several lines.

        What does not fit is never passed to a library, whose error would quote it.
        """
        return all(
            (_PEM if name == "private_key" else _PRINTABLE).fullmatch(value)
            for name, value in self.fields.items()
            if value
        )
