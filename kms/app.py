"""Wires the sidecar: the only place that opens the keyring and the sockets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.audit.key import make_audit_key, public_key_file, read_audit_key, read_public_key
from kms.audit.keyring import AuditedVersions, Principal
from kms.audit.log import Audit, AuditUnavailable
from kms.audit.sink import AuditSink, put_aside
from kms.backends import Surroundings, open_keyrings
from kms.background import upkeep
from kms.installation import initialise, initialise_identity, read_deployment_id
from kms.keyring import Keyring, KeyringUnavailable
from kms.rpc.refusals import RefusedCalls
from kms.rpc.server import serving
from kms.settings import Settings
from runtime.release import release

_OWN_ROLE = "sidecar"  # the principal of what the sidecar does on its own


@dataclass(frozen=True, slots=True)
class Installation:
    """What ``init`` created. ``has_new_keys`` is False if only the audit's key was missing."""

    deployment_id: bytes
    audit_public_key: bytes
    has_new_keys: bool


def initialise_installation(settings: Settings) -> Installation:
    """Create keys, deployment id and directories that are missing.

    Keys in Vault are made in Vault. Raises:
        StartError: there is nothing to make, or something cannot be made.
    """
    identity = settings.keyring_file or settings.deployment_id_file
    audit_key, is_new = make_audit_key(settings.directory, os.urandom)
    if is_new and os.path.lexists(identity):
        deployment_id = read_deployment_id(settings.deployment_id_file, settings.deployment_id)
        return Installation(deployment_id, audit_key.public_key, has_new_keys=False)
    return Installation(_initialise_keys(settings), audit_key.public_key, has_new_keys=True)


def begin_audit(settings: Settings) -> Path | None:
    """Set the audit of a stopped sidecar aside, and return where it is kept; None if there is none.

    Raises:
        StartError: a sidecar writes it, or it cannot be renamed.
    """
    return put_aside(settings.audit_directory, _now())


def audit_public_key(settings: Settings, named: Path | None) -> bytes | None:
    """Return the key that verifies checkpoints: of the named file, or of the data directory, or None.

    Raises:
        AuditKeyError: the file is missing or holds no public key.
    """
    own = public_key_file(settings.directory)
    if named is None and not own.exists():
        return None
    return read_public_key(named or own)


def _initialise_keys(settings: Settings) -> bytes:
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
def build(settings: Settings, logger: FilteringBoundLogger, *, connections: int) -> Iterator[None]:
    """Serve until the context ends; each socket takes so many connections.

    Raises:
        StartError: something is missing, not private, damaged, or taken.
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
        _log_opened(logger, settings, opened.keyring, around.deployment_id)
        audit = _open_audit(settings, around.deployment_id, logger, stack)
        own = AuditedVersions(opened.versions, audit, Principal(_OWN_ROLE, str(settings.directory)))
        refusals = RefusedCalls(audit, logger, time.monotonic)
        stack.callback(_end_audit, refusals.flush, logger)
        stack.enter_context(upkeep(own, (*opened.refreshes, audit.tick, refusals.tick), logger))
        stack.enter_context(
            serving(
                opened,
                settings.sockets,
                connections=connections,
                audit=audit,
                refusals=refusals,
                release=release(),
                clock=_now,
                random=os.urandom,
                logger=logger,
            )
        )
        logger.info(telemetry.SERVING)
        yield
        logger.info(telemetry.STOPPING)


def _open_audit(
    settings: Settings, deployment_id: bytes, logger: FilteringBoundLogger, stack: ExitStack
) -> Audit:
    """Open the audit; the stack closes it with a last checkpoint."""
    key = read_audit_key(settings.directory)
    sink = stack.enter_context(closing(AuditSink(settings.audit_directory, public_key=key.public_key)))
    audit = Audit(sink, key, deployment_id=deployment_id, clock=_now, monotonic=time.monotonic)
    stack.callback(_end_audit, audit.close, logger)
    position = audit.position
    logger.info(
        telemetry.AUDIT_OPENED,
        audit=str(settings.audit_directory),
        audit_seq=position.seq,
        audit_head=position.head.hex(),
        public_key=audit.public_key.hex(),
    )
    return audit


def _end_audit(last: Callable[[], None], logger: FilteringBoundLogger) -> None:
    """Write what is left for the audit, if that can be done."""
    try:
        last()
    except AuditUnavailable as error:
        logger.warning(telemetry.AUDIT_NOT_CLOSED, failure=error.message)


def _log_opened(
    logger: FilteringBoundLogger, settings: Settings, keyring: Keyring, deployment_id: bytes
) -> None:
    """Log what was opened. A keyring in Vault may not be reachable yet."""
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


def _now() -> datetime:
    return datetime.now(UTC)
