"""Verifying data keys: each wrapper opens in its context, and what is stored apart belongs together.

Key versions are counted as the wrappers' own bytes name them. A column can be changed by hand, and a version
that is disabled for want of references in a column would take every wrapper under it along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.domain.calls import Call
from service.domain.pages import Position, Query
from service.sealing import envelope
from service.sealing.kms_failures import (
    KEY_VERSION_MISMATCH,
    WRAPPER_MALFORMED,
    ItemFailure,
    item_unavailable,
)
from service.sealing.wrappers import key_version_of
from service.store import DataKeyPair, ReadUnit
from service.usecases.context import Context

METHOD = "VerifyDataKeys"
DEFAULT_PAGE_SIZE = 1024
MAX_PAGE_SIZE = 4096

NO_CREDENTIAL = "NO_CREDENTIAL"
NO_DATA_KEY = "NO_DATA_KEY"
CONTEXT_MISMATCH = "CONTEXT_MISMATCH"
ENVELOPE_MISMATCH = "ENVELOPE_MISMATCH"


@dataclass(frozen=True, slots=True)
class InvalidDataKey:
    """One failure. ``key_version`` is the one the wrapper names, empty if it names none."""

    resource: str
    reason: str
    key_version: str


@dataclass(frozen=True, slots=True)
class Verified:
    """One page: how many are sound, which are not, and how many are under which version."""

    sound: int
    failures: list[InvalidDataKey]
    usage: dict[str, int]
    next_page_token: str


def verify_data_keys(ctx: Context, call: Call, *, page_size: int, page_token: str) -> Verified:
    """Check one page of all data keys, in key order; the last page also looks for credentials without one.

    Raises:
        InvalidArgument: INVALID_PAGE_TOKEN.
        FailedPrecondition: KMS_CANNOT_VERIFY.
        Unavailable: the sidecar or the database is away.
    """
    size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    position = ctx.page_tokens.read(Query(METHOD), page_token)
    after = "" if position is None else str(position.keys[0])

    def work(unit: ReadUnit) -> tuple[list[DataKeyPair], bytes | None, list[str]]:
        pairs = unit.data_keys.pairs(after=after, limit=size)
        bare = unit.data_keys.orphaned_credentials() if len(pairs) < size else []
        return pairs, unit.kms.get().deployment_id, bare

    pairs, deployment_id, bare = ctx.store.read(work)
    reasons = [_mismatch(pair, deployment_id) for pair in pairs]
    _open(ctx, call, pairs, reasons)
    failures = [
        InvalidDataKey(_resource(pair), reason, key_version_of(pair.data_key.wrapped) or "")
        for pair, reason in zip(pairs, reasons, strict=True)
        if reason is not None
    ]
    token = ""
    if len(pairs) == size:
        token = ctx.page_tokens.issue(Query(METHOD), Position((pairs[-1].data_key.dek_id,)))
    named = Counter(filter(None, (key_version_of(pair.data_key.wrapped) for pair in pairs)))
    return Verified(
        sound=len(pairs) - len(failures),
        failures=failures + [InvalidDataKey(f"providers/{one}", NO_DATA_KEY, "") for one in bare],
        usage=dict(sorted(named.items())),
        next_page_token=token,
    )


def _open(ctx: Context, call: Call, pairs: Sequence[DataKeyPair], reasons: list[str | None]) -> None:
    """Let the sidecar open what is right so far; its verdicts go into ``reasons``."""
    asked = [index for index, reason in enumerate(reasons) if reason is None]
    outcomes = ctx.kms.verify(
        [pairs[index].data_key for index in asked],
        timeout_seconds=call.seconds_left(),
        request_id=call.request_id,
    )
    for index, outcome in zip(asked, outcomes, strict=True):
        reasons[index] = _verdict(outcome)


def _verdict(outcome: ItemFailure | None) -> str | None:
    """Return the word for what is wrong. A transient fault says nothing about the wrapper.

    Raises:
        Unavailable: the fault is transient.
    """
    if outcome is None:
        return None
    if outcome.transient:
        raise item_unavailable()
    return outcome.reason


def _mismatch(pair: DataKeyPair, deployment_id: bytes | None) -> str | None:
    """Return what is wrong with the row by itself, the first of the checks that fails."""
    data_key, credential = pair.data_key, pair.credential
    named = key_version_of(data_key.wrapped)
    if named is None:
        return WRAPPER_MALFORMED
    if named != data_key.key_version:
        return KEY_VERSION_MISMATCH
    if credential is None:
        return NO_CREDENTIAL
    if credential.provider_uid is None or credential.version is None:
        return CONTEXT_MISMATCH
    try:
        dek_id = UUID(data_key.dek_id)
        context = envelope.context_of(
            deployment_id or b"", credential.provider_uid, dek_id, credential.version
        )
    except ValueError:
        return CONTEXT_MISMATCH
    if context != data_key.context:
        return CONTEXT_MISMATCH
    if credential.header != envelope.encode_header(dek_id, data_key.commitment):
        return ENVELOPE_MISMATCH
    return None


def _resource(pair: DataKeyPair) -> str:
    if pair.credential is None:
        return f"dataKeys/{pair.data_key.dek_id}"
    return f"providers/{pair.credential.provider_id}"
