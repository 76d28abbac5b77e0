"""Calls RewrapDataKeys until nothing is left to move; the registry's own sweep may run at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from codevector.providers.v1 import system_service_pb2 as pb

from cli.failures import ExitCode, Failure
from cli.keys.versions import short_name
from cli.session import Session
from cli.terminal.progress import progress
from runtime.calls import CallRefused

BATCH_SIZE = 500
_BATCH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: only quarantined data keys remain."""

    primary: str
    moved_here: int
    quarantined: int
    failures: tuple[pb.RewrapFailure, ...]


def rewrap_all(session: Session, *, target: str, total: int, release_quarantined: bool) -> Outcome:
    """Move every data key to the primary version, which must be ``target`` unless that is empty.

    ``total`` data keys are there, as far as is known. A sidecar or registry that is away is waited for, until
    `AWAY_SECONDS` have passed without anything moving.

    Raises:
        CallRefused: one is away for longer.
        Failure: nothing moves any more, or the registry does not take ``target`` for the primary.
    """
    registry, patience = session.registry, session.patience()
    moved_here, standing = 0, None
    with progress(session.terminal, "rewrap", session.world.monotonic) as meter:
        meter.update(0, total)
        while True:
            request = pb.RewrapDataKeysRequest(batch_size=BATCH_SIZE, release_quarantined=release_quarantined)
            try:
                answer = registry.call(registry.system.RewrapDataKeys, request, seconds=_BATCH_SECONDS)
            except CallRefused as refused:
                if not refused.retryable or not patience.pause():
                    raise
                continue
            release_quarantined = False
            moved_here += answer.rewrapped_count
            there = not target or answer.primary_key_version == target
            left = answer.remaining_count + answer.quarantined_count
            if there:
                total = max(total, left)
                meter.update(total - left, total)
            if there and answer.remaining_count == 0:
                return Outcome(
                    answer.primary_key_version,
                    moved_here,
                    answer.quarantined_count,
                    tuple(answer.failures),
                )
            now_standing = (answer.primary_key_version, answer.remaining_count, answer.quarantined_count)
            if there and (answer.rewrapped_count or now_standing != standing):
                patience.rewarded()
            elif not patience.pause():
                raise _stuck(answer, target)
            standing = now_standing


def failure_lines(failures: tuple[pb.RewrapFailure, ...]) -> list[str]:
    """Return a line for each data key that could not be moved."""
    return [
        f"{each.resource}: {each.reason} under {short_name(each.key_version)} ({each.failed_count} failures)"
        for each in failures
    ]


def _stuck(answer: pb.RewrapDataKeysResponse, target: str) -> Failure:
    if target and answer.primary_key_version != target:
        primary = short_name(answer.primary_key_version) or "none"
        return Failure(
            f"the registry does not move data keys to {short_name(target)}: its primary version is {primary}",
            code=ExitCode.CONFLICT,
        )
    return Failure(
        f"{answer.remaining_count} data keys are not moved, and nothing has moved for a minute",
        lines=failure_lines(tuple(answer.failures)),
    )
