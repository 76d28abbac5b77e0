"""Opens a provider's stored credential as a router does, and asks the upstream with it.

May see: one credential in plain, for the length of one command. Must never: print any of it. It is passed to
the room that calls upstreams and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codevector.providers.v1 import provider_pb2

from cli.failures import ExitCode, Failure, UsageFailure
from cli.providers.commands import read
from cli.session import Session

if TYPE_CHECKING:
    import codevector_providers

    from upstreams.guard import Guard
    from upstreams.listing import Listing
    from upstreams.outcome import Outcome
    from upstreams.target import Identity, Target

_TRIES = 3
_SWITCHES = {"": False, "0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True)
class Opened:
    """A provider as routers see it, with its credential; ``identity`` is None if it has none."""

    name: str
    target: Target
    identity: Identity | None
    credential_version: int


def test_stored(session: Session, name: str) -> tuple[Outcome, int]:
    """Return whether the stored credential works upstream, and its version.

    Raises:
        Failure: it cannot be opened here.
    """
    opened, guard = _opened(session, name)
    from upstreams.probe import probe

    return probe(opened.target, opened.identity, guard=guard, now=session.world.now), (
        opened.credential_version
    )


def list_offered(session: Session, name: str) -> tuple[Listing, str]:
    """Return what the upstream lists for the stored credential, and the provider's kind.

    Raises:
        Failure: it cannot be opened here.
    """
    opened, guard = _opened(session, name)
    from upstreams.listing import list_models

    return list_models(opened.target, opened.identity, guard=guard, now=session.world.now), (
        opened.target.kind
    )


def _opened(session: Session, name: str) -> tuple[Opened, Guard]:
    allow_loopback = _switch(session.world.environment, "CODEVECTOR_ALLOW_LOOPBACK_HTTP")
    allow_private = _switch(session.world.environment, "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS")
    # Routers see neither an unknown provider nor a disabled one, and the SDK sees what routers see.
    if read(session, name).state == provider_pb2.Provider.STATE_DISABLED:
        raise Failure(
            f"{name} is disabled, so its credential is not opened: enable it first",
            code=ExitCode.CONFLICT,
            lines=["reason: PROVIDER_DISABLED"],
        )
    import codevector_providers

    from upstreams.addresses import AddressPolicy
    from upstreams.guard import Guard

    with codevector_providers.connect(
        session.settings.registry,
        kms_socket=session.settings.router_socket,
        allow_loopback_http=allow_loopback,
    ) as client:
        try:
            opened = _open(client, name)
        except codevector_providers.ProvidersError as error:
            raise _failure(error, name) from None
    return opened, Guard(AddressPolicy(allow_loopback_http=allow_loopback, allow_private=allow_private))


def _open(client: codevector_providers.Client, name: str) -> Opened:
    from codevector_providers import CredentialType

    from upstreams.target import Identity, Target

    for _ in range(_TRIES):
        provider = client.provider(name)
        target = Target(kind=provider.kind.name.lower(), config=provider.config, headers=provider.headers)
        if provider.credential_type is CredentialType.UNSPECIFIED:
            return Opened(name, target, None, 0)
        credential = client.credential(provider)
        # A credential replaced meanwhile may be meant for other destinations than these settings lead to.
        if credential.version == provider.credential_version:
            identity = Identity(credential.type.name.lower(), credential.reveal_all())
            return Opened(name, target, identity, credential.version)
    raise Failure(f"{name} kept changing while its credential was opened", code=ExitCode.CONFLICT)


def _failure(error: codevector_providers.ProvidersError, name: str) -> Failure:
    import codevector_providers as sdk

    codes: Mapping[type[Exception], ExitCode] = {
        sdk.RegistryUnavailable: ExitCode.UNAVAILABLE,
        sdk.KmsUnavailable: ExitCode.UNAVAILABLE,
        sdk.ProviderNotFound: ExitCode.NOT_FOUND,
        sdk.NotAllowed: ExitCode.AUTH,
        sdk.InvalidRequest: ExitCode.USAGE,
        sdk.ProviderDisabled: ExitCode.CONFLICT,
        sdk.NoStoredCredential: ExitCode.CONFLICT,
        sdk.KeyVersionUnavailable: ExitCode.CONFLICT,
    }
    code = codes.get(type(error), ExitCode.ERROR)
    return Failure(f"{name}: {error.message}", code=code, lines=[f"reason: {error.reason}"])


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").lower()
    if text not in _SWITCHES:
        raise UsageFailure(f"{name} must be 0 or 1")
    return _SWITCHES[text]
