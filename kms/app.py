"""Wires the sidecar: the only place that opens the keyring and the sockets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.backends import Surroundings, open_keyrings
from kms.installation import initialise, initialise_identity, read_deployment_id
from kms.keyring import Keyring, KeyringUnavailable
from kms.rpc.server import serving
from kms.settings import Settings
from kms.upkeep import upkeep

_DISTRIBUTION = "codevector-provider-service"


def initialise_installation(settings: Settings) -> bytes:
    """Makes keys, deployment id and directories where they are missing; answers the deployment id.

    Keys in Vault are made in Vault. Raises:
        StartRefused: there is a keyring already, or something cannot be made.
    """
    if settings.keyring_file is None:
        return initialise_identity(
            deployment_id_file=settings.deployment_id_file,
            declared_deployment_id=settings.deployment_id,
            random=os.urandom,
        )
    return initialise(
        keyring=settings.keyring_file,
        deployment_id_file=settings.deployment_id_file,
        declared_deployment_id=settings.deployment_id,
        unlock_source=settings.unlock,
        clock=_now,
        random=os.urandom,
    )


@contextmanager
def build(settings: Settings, logger: FilteringBoundLogger) -> Iterator[None]:
    """A serving sidecar for as long as the context lasts.

    Raises:
        StartRefused: something is missing, not private, damaged, or taken.
    """
    with ExitStack() as stack:
        around = Surroundings(
            directory=settings.directory,
            deployment_id=read_deployment_id(settings.deployment_id_file, settings.deployment_id),
            unlock=settings.unlock,
            vault=settings.vault,
            clock=_now,
            monotonic=time.monotonic,
            random=os.urandom,
        )
        opened = open_keyrings(settings.keyrings, around, stack)
        _tell(logger, settings, opened.keyring, around.deployment_id)
        stack.enter_context(upkeep(opened.keyring, opened.refreshes, logger))
        stack.enter_context(
            serving(
                opened.keyring,
                settings.sockets,
                release=_release(),
                clock=_now,
                random=os.urandom,
                logger=logger,
            )
        )
        logger.info(telemetry.SERVING)
        yield
        logger.info(telemetry.STOPPING)


def _tell(logger: FilteringBoundLogger, settings: Settings, keyring: Keyring, deployment_id: bytes) -> None:
    """One line about what was opened; a keyring in Vault may not be reachable yet."""
    fields: dict[str, object] = {
        "keyring": ",".join(map(str, settings.keyrings)),
        "unlocked_by": str(settings.unlock),
        "deployment_id": deployment_id.hex(),
    }
    try:
        status = keyring.status()
        fields |= {"primary_key_version": status.primary, "keyring_seq": status.seq}
    except KeyringUnavailable as error:
        fields["failure"] = error.message
    logger.info(telemetry.KEYRING_OPENED, **fields)


def _release() -> str:
    """The installed release; a checkout that is run without being installed has none."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unreleased"


def _now() -> datetime:
    return datetime.now(UTC)
