"""An opened credential: a value that holds secrets and shows none.

May see: the fields of one credential. Must never: print, format, compare, copy or pickle them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, final

from codevector_providers.destinations import Destination
from codevector_providers.model import CredentialType


@final
class Credential:
    """The fields of an opened credential, returned only by name, or all at once for a signer.

    Which fields there are depends on ``type``: api_key; or access_key_id, secret_access_key and perhaps
    session_token, assume_role_arn; or client_email, private_key, private_key_id, project_id; or tenant_id,
    client_id, client_secret; or none, when ambient.
    """

    __slots__ = ("_destinations", "_fields", "_provider", "_type", "_version")

    def __init__(
        self,
        *,
        provider: str,
        credential_type: CredentialType,
        version: int,
        destinations: tuple[Destination, ...],
        fields: Mapping[str, str],
    ) -> None:
        self._provider = provider
        self._type = credential_type
        self._version = version
        self._destinations = destinations
        self._fields = dict(fields)

    @property
    def provider(self) -> str:
        """The resource name of the provider it belongs to."""
        return self._provider

    @property
    def type(self) -> CredentialType:
        """How it authenticates upstream."""
        return self._type

    @property
    def version(self) -> int:
        """The version of the provider's credential, from 1."""
        return self._version

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Where it may be sent, as derived and permitted when it was opened."""
        return self._destinations

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of its fields, sorted."""
        return tuple(sorted(self._fields))

    def reveal(self, name: str) -> str:
        """Return one field in plain text. Raises KeyError if this credential lacks it."""
        return self._fields[name]

    def reveal_all(self) -> dict[str, str]:
        """Return a copy of all fields in plain text, for an upstream's own signer."""
        return dict(self._fields)

    def __repr__(self) -> str:
        return f"Credential({self._provider!r}, {self._type.name}, version {self._version}, <redacted>)"

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a credential is neither copied nor serialised")
