"""Wires the sidecar: the only place that opens the keyring and the sockets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.installation import initialise, read_deployment_id
from kms.keyring_document import DOCUMENT_LIMIT
from kms.keyring_file import KeyringFile
from kms.local_keyring import LocalKeyring
from kms.refusal import StartRefused
from kms.rpc.server import serving
from kms.settings import Settings
from kms.unlock import unlock

_DISTRIBUTION = "codevector-provider-service"


def initialise_installation(settings: Settings) -> bytes:
    """Makes keys, deployment id and directories where they are missing; answers the deployment id.

    Raises:
        StartRefused: there is a keyring already, or something cannot be made.
    """
    return initialise(
        keyring=settings.keyring,
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
    if not os.path.lexists(settings.keyring):
        raise StartRefused(f"the keyring {settings.keyring} is missing: run `python -m kms init`")
    with closing(KeyringFile(settings.keyring, limit=DOCUMENT_LIMIT)) as file:
        keyring = LocalKeyring(
            file,
            unlock=partial(unlock, settings.unlock),
            deployment_id=read_deployment_id(settings.deployment_id_file, settings.deployment_id),
            clock=_now,
            random=os.urandom,
        )
        status = keyring.status()
        logger.info(
            telemetry.KEYRING_OPENED,
            keyring=str(settings.keyring),
            primary_key_version=status.primary,
            keyring_seq=status.seq,
            unlocked_by=str(settings.unlock),
            deployment_id=status.deployment_id.hex(),
        )
        with serving(
            keyring,
            settings.sockets,
            release=_release(),
            clock=_now,
            random=os.urandom,
            logger=logger,
        ):
            logger.info(telemetry.SERVING)
            yield
            logger.info(telemetry.STOPPING)


def _release() -> str:
    """The installed release; a checkout that is run without being installed has none."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unreleased"


def _now() -> datetime:
    return datetime.now(UTC)
