"""Discovery: which models an upstream offers, through all pages of its listing, within limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from upstreams.authorisation import Authorise, Refused, authorisation
from upstreams.exchange import Call, Exchange, with_query
from upstreams.guard import Guard, Unreached
from upstreams.judgement import judge
from upstreams.offers import Discovered, Shelf, shelves
from upstreams.outcome import Outcome, Reason, outcome, reason_of
from upstreams.target import Identity, Target

LISTING_SECONDS: Final = 60.0
MAX_IDS: Final = 10_000
MAX_PAGES: Final = 50
_PROFILE_OF = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,8})?\.(?P<base>.+)")
"""A profile is named after its base model, with a group of regions first (us., eu., us-gov., global.)."""
_MISSING_SHELF = frozenset(
    {Reason.WRONG_REGION, Reason.MISSING_PERMISSION, Reason.NOT_THE_API, Reason.UNEXPECTED_ANSWER}
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found. Models are in the upstream's order, each ID once.

    ``complete`` is False where a page is missing: an error (``outcome`` says which), a limit reached, or a
    part that the credential may not see. What is not in an incomplete listing may still be offered.
    """

    outcome: Outcome
    models: Sequence[Discovered] = ()
    skipped_count: int = 0
    complete: bool = False


def list_models(
    target: Target,
    identity: Identity | None,
    *,
    guard: Guard,
    now: Callable[[], datetime],
    seconds: float = LISTING_SECONDS,
) -> Listing:
    """Return all models of the upstream: at most 10,000 IDs from 50 pages of 5 MiB, within ``seconds`` in
    all.

    ``identity`` is None for a provider without a credential. ``now`` dates signatures, and is in UTC.
    """
    begun = guard.monotonic()
    with Exchange(guard, seconds=seconds) as exchange:
        reading = _Reading(target, exchange, with_credential=identity is not None)
        try:
            reading.read_all(authorisation(target, identity, exchange, now))
        except Refused as refused:
            reading.stop(refused.reason, refused.http_status_code)
        except Unreached as unreached:
            reading.stop(reason_of(unreached.obstacle), 0)
    latency_ms = round((guard.monotonic() - begun) * 1000)
    models = tuple(reading.models.values())
    return Listing(
        outcome(reading.reason, target.kind, http_status_code=reading.status, latency_ms=latency_ms),
        _with_base_models(models) if target.kind == "bedrock" else models,
        reading.skipped_count,
        reading.complete,
    )


class _Reading:
    """One walk through the shelves of a target, and what it has found so far."""

    def __init__(self, target: Target, exchange: Exchange, *, with_credential: bool) -> None:
        self.models: dict[str, Discovered] = {}
        self.skipped_count = 0
        self.complete = True
        self.reason = Reason.LISTED
        self.status = 0
        self._target = target
        self._exchange = exchange
        self._with_credential = with_credential
        self._pages_left = MAX_PAGES

    def stop(self, reason: Reason, status: int) -> None:
        self.reason, self.status, self.complete = reason, status, False

    def read_all(self, authorise: Authorise) -> None:
        for shelf in shelves(self._target):
            if not self._read_shelf(shelf, authorise):
                return

    def _read_shelf(self, shelf: Shelf, authorise: Authorise) -> bool:
        """Raises Unreached. False where reading ends for good."""
        cursor, seen = "", {""}
        while True:
            if not self._pages_left or len(self.models) >= MAX_IDS:
                self.complete = False
                return False
            self._pages_left -= 1
            parameters = {**shelf.parameters, shelf.cursor_parameter: cursor} if cursor else shelf.parameters
            answer = self._exchange.send(authorise(Call("GET", with_query(shelf.url, parameters))))
            reason = judge(
                self._target.kind, answer, with_credential=self._with_credential, member=shelf.member
            )
            if shelf.optional and reason in _MISSING_SHELF:
                # A publisher without a list has no models; a list that may not be seen is a gap.
                self.complete = self.complete and answer.status == 404
                return True
            if reason is not Reason.LISTED:
                self.stop(reason, answer.status)
                return False
            self.status = answer.status
            page = shelf.read(answer.document())
            self.skipped_count += page.skipped_count
            known = len(self.models)
            self._add(page.models)
            cursor = page.cursor
            if not cursor or not shelf.cursor_parameter:
                return True
            if cursor in seen or (len(self.models) == known and page.models):
                self.complete = False  # the upstream's cursor runs in circles
                return True
            seen.add(cursor)

    def _add(self, models: Iterable[Discovered]) -> None:
        for model in models:
            if len(self.models) >= MAX_IDS:
                self.complete = False
                return
            self.models.setdefault(model.upstream_model_id, model)


def _with_base_models(models: Sequence[Discovered]) -> Sequence[Discovered]:
    """Give inference profiles the kind and lifecycle of their base models."""
    by_id = {model.upstream_model_id: model for model in models}
    result = []
    for model in models:
        match = _PROFILE_OF.fullmatch(model.upstream_model_id)
        base = by_id.get(match["base"]) if match else None
        if base is None:
            result.append(model)
        else:
            result.append(
                replace(model, kind=base.kind, retire_time=base.retire_time, deprecated=base.deprecated)
            )
    return tuple(result)
