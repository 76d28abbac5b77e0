"""Whether a credential works: the cheapest call of each kind that needs one and costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from upstreams.authorisation import Authorise, Refused, authorisation
from upstreams.exchange import Call, Exchange, with_query
from upstreams.guard import Guard, Unreached
from upstreams.judgement import judge
from upstreams.outcome import Outcome, Reason, outcome, reason_of
from upstreams.target import AZURE_API_VERSION, Identity, Target

PROBE_SECONDS: Final = 15.0

_PATHS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "anthropic": ("/v1/models", {"limit": "1"}),
    "azure": ("/openai/models", {"api-version": AZURE_API_VERSION}),
    "bedrock": ("/foundation-models", {"byOutputModality": "TEXT"}),
    "google": ("/v1beta/models", {"pageSize": "1"}),
    "vertex": ("/v1beta1/publishers/google/models", {"pageSize": "1"}),
    "vertex_anthropic": ("/v1beta1/publishers/anthropic/models", {"pageSize": "1"}),
    "cohere": ("/v1/models", {"page_size": "1"}),
}
"""The path and query of a test; of all other kinds ``/models``."""


def probe(
    target: Target,
    identity: Identity | None,
    *,
    guard: Guard,
    now: Callable[[], datetime],
    seconds: float = PROBE_SECONDS,
) -> Outcome:
    """Call the upstream, within ``seconds`` in all. Everything that can go wrong there is an outcome.

    ``identity`` is None for a provider without a credential. ``now`` dates signatures, and is in UTC.
    """
    begun = guard.monotonic()
    reason, status = _asked(target, identity, guard, now, seconds)
    latency_ms = round((guard.monotonic() - begun) * 1000)
    return outcome(reason, target.kind, http_status_code=status, latency_ms=latency_ms)


def probe_call(target: Target) -> Call:
    """Return the call of a test, without a credential."""
    path, parameters = _PATHS.get(target.kind, ("/models", {}))
    return Call("GET", with_query(target.api + path, parameters))


def _asked(
    target: Target,
    identity: Identity | None,
    guard: Guard,
    now: Callable[[], datetime],
    seconds: float,
) -> tuple[Reason, int]:
    with Exchange(guard, seconds=seconds) as exchange:
        try:
            authorise = authorisation(target, identity, exchange, now)
            answer = exchange.send(authorise(probe_call(target)))
        except Refused as refused:
            return refused.reason, refused.http_status_code
        except Unreached as unreached:
            return reason_of(unreached.obstacle), 0
        reason = judge(target.kind, answer, with_credential=identity is not None)
        if reason is Reason.LISTED and target.kind == "deepseek" and _is_empty(target, authorise, exchange):
            reason = Reason.NO_FUNDS
        return reason, answer.status


def _is_empty(target: Target, authorise: Authorise, exchange: Exchange) -> bool:
    """DeepSeek lists models for an empty account too and says so only here. No response is no verdict."""
    try:
        answer = exchange.send(authorise(Call("GET", f"{target.api}/user/balance")))
    except Unreached:
        return False
    document = answer.document()
    return answer.status == 200 and isinstance(document, dict) and document.get("is_available") is False
