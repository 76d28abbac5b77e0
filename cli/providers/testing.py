"""``provider test`` and ``provider discover``: what they print, and what their exit codes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codevector.providers.v1 import provider_pb2, provider_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from cli.failures import ExitCode, Failure
from cli.messages import as_json
from cli.providers import discovery, opening
from cli.resources.names import provider_name
from cli.session import Session
from cli.terminal.output import Cell, Facts, Section, Tone, Value

if TYPE_CHECKING:
    from upstreams.outcome import Outcome

_EXITS = {
    "SUCCEEDED": (ExitCode.OK, Tone.GOOD),
    "CREDENTIAL_REJECTED": (ExitCode.ERROR, Tone.BAD),
    "UNREACHABLE": (ExitCode.UNAVAILABLE, Tone.BAD),
    "RATE_LIMITED": (ExitCode.UNAVAILABLE, Tone.WARNING),
    "UNSUPPORTED": (ExitCode.CONFLICT, Tone.WARNING),
}


def test(session: Session, *, name: str) -> None:
    """Ask the upstream whether the stored credential works, opening it as a router does."""
    provider = provider_name(name)
    outcome, version = opening.test_stored(session, provider)
    validation = _validation(session, outcome, version)
    session.terminal.show(as_json(validation), _facts(provider, validation))
    _end(provider, outcome)


def discover(session: Session, *, name: str, add: list[str], kind: str) -> None:
    """List what the upstream offers, beside the catalog and what is registered, or register some of it."""
    provider, ids = provider_name(name), add
    listing, provider_kind = opening.list_offered(session, provider)
    known = discovery.beside(session, provider, provider_kind)
    if ids:
        if not listing.models:
            _end(provider, listing.outcome)
        added = discovery.add(session, provider, listing, known, ids, kind)
        session.terminal.show(
            [
                {
                    "upstreamModelId": each.upstream_model_id,
                    "providerModel": each.provider_model,
                    "action": each.action,
                }
                for each in added
            ],
            Section(
                "",
                ("upstream id", "provider model", "action"),
                [(each.upstream_model_id, each.provider_model, each.action) for each in added],
            ),
        )
        return
    answer = discovery.message(listing, known, _validation(session, listing.outcome, 0))
    names = [model.upstream_model_id for model in answer.models]
    session.terminal.show(as_json(answer), *_sections(answer), names=names)
    if listing.models and not listing.complete:
        session.terminal.say("The listing is not complete: more may be offered.", Tone.WARNING)
    _end(provider, listing.outcome)


def _end(provider: str, outcome: Outcome) -> None:
    code = _EXITS[outcome.verdict.name][0]
    if code is ExitCode.OK:
        return
    lines = [f"reason: {outcome.reason.name}"]
    if outcome.reason.name == "ADDRESS_REFUSED":
        lines.append(
            "The command calls the upstream itself: set CODEVECTOR_ALLOW_LOOPBACK_HTTP=1 or "
            "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS=1 for it, as for the registry"
        )
    raise Failure(f"{provider}: {outcome.message}", code=code, lines=lines)


def _validation(session: Session, outcome: Outcome, version: int) -> provider_pb2.ProviderValidation:
    now = Timestamp()
    now.FromDatetime(session.world.now())
    return provider_pb2.ProviderValidation(
        outcome=f"OUTCOME_{outcome.verdict.name}",
        message=outcome.message,
        http_status_code=outcome.http_status_code,
        latency_ms=outcome.latency_ms,
        validate_time=now,
        credential_version=version,
        reason=outcome.reason.name,
    )


def _facts(provider: str, validation: provider_pb2.ProviderValidation) -> Facts:
    word = provider_pb2.ProviderValidation.Outcome.Name(validation.outcome).removeprefix("OUTCOME_")
    return Facts(
        [
            ("provider", provider),
            ("credential version", validation.credential_version),
            ("outcome", Cell(word, _EXITS[word][1])),
            ("reason", validation.reason),
            ("message", validation.message),
            ("HTTP status", validation.http_status_code or "none"),
            ("latency", f"{validation.latency_ms} ms"),
        ]
    )


def _sections(answer: provider_service_pb2.DiscoverProviderModelsResponse) -> list[Section]:
    offered = Section(
        f"{len(answer.models)} offered",
        ("upstream id", "kind", "window", "catalog", "registered as", "note"),
        [_row(model) for model in answer.models],
    )
    if not answer.not_offered_provider_models:
        return [offered]
    rows = [(name,) for name in answer.not_offered_provider_models]
    return [offered, Section("Registered, but not offered", ("provider model",), rows)]


def _row(model: provider_service_pb2.DiscoveredModel) -> tuple[Value, ...]:
    notes = ["deprecated"] if model.deprecated else []
    notes += ["not called by this id"] if model.indirect else []
    notes += [f"retires {model.retire_time.ToDatetime():%Y-%m-%d}"] if model.HasField("retire_time") else []
    return (
        model.upstream_model_id,
        {1: "chat", 2: "embedding"}.get(model.kind, ""),
        str(model.context_window or ""),
        "yes" if model.in_catalog else "",
        model.provider_model,
        ", ".join(notes),
    )
