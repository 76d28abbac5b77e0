"""How values of the API are written for people: times, sizes, prices, states, kinds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from codevector.providers.v1 import (
    catalog_pb2,
    model_pb2,
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
    system_service_pb2,
)
from google.protobuf.timestamp_pb2 import Timestamp

UNKNOWN = "\N{EN DASH}"
_STEPS = ((60, "minute", 3600), (3600, "hour", 86400), (86400, "day", 30 * 86400), (30 * 86400, "month", 0))


@dataclass(frozen=True, slots=True)
class Status:
    """A state in words. ``tone`` (good, warn, off) also decides the shape of its mark."""

    word: str
    tone: str
    why: str = ""


def time_of(stamp: Timestamp) -> datetime:
    """Return a time of the API in UTC."""
    return datetime.fromtimestamp(stamp.seconds, UTC)


def exact(stamp: Timestamp) -> str:
    """Return e.g. ``2026-04-12 09:14:03 UTC``."""
    return time_of(stamp).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(stamp: Timestamp) -> str:
    """Return a time for machines, e.g. ``2026-04-12T09:14:03Z``."""
    return time_of(stamp).strftime("%Y-%m-%dT%H:%M:%SZ")


def date(stamp: Timestamp) -> str:
    """Return e.g. ``12 Apr 2026``."""
    return time_of(stamp).strftime("%-d %b %Y")


def ago(stamp: Timestamp, now: datetime) -> str:
    """Return how long ago a time was, in its largest unit, e.g. ``3 days ago``."""
    seconds = (now - time_of(stamp)).total_seconds()
    if seconds < 60:
        return "just now"
    for size, unit, limit in _STEPS:
        if not limit or seconds < limit:
            return f"{plural(int(seconds // size), unit)} ago"
    raise AssertionError("the last step has no limit")


def plural(count: int, noun: str, many: str = "") -> str:
    """Return e.g. ``1 model`` or ``1,284 models``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def tokens(count: int) -> str:
    """Return a number of tokens as it is spoken of: ``128K``, ``1M``; an unknown one is a dash."""
    if count == 0:
        return UNKNOWN
    for size, letter in ((1_000_000, "M"), (1000, "K")):
        if count >= size:
            text = f"{count / size:.1f}".removesuffix(".0") if count < 10 * size else f"{count / size:.0f}"
            return f"{text}{letter}"
    return str(count)


def price(amount: str) -> str:
    """Return a decimal with at least two places: ``2.5`` is ``2.50``, ``0.0375`` stays."""
    whole, _, fraction = amount.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def prices(pricing: provider_model_pb2.Pricing) -> str:
    """Return the prices of input and output, e.g. ``$2.50 / $10.00``; an unknown one is a dash."""
    if not pricing.currency_code:
        return UNKNOWN
    sign = "$" if pricing.currency_code == "USD" else f"{pricing.currency_code} "

    def one(name: str, amount: str) -> str:
        return f"{sign}{price(amount)}" if pricing.HasField(name) else UNKNOWN

    given = one("input_per_million_tokens", pricing.input_per_million_tokens)
    return f"{given} / {one('output_per_million_tokens', pricing.output_per_million_tokens)}"


def last_part(name: str) -> str:
    """Return the id at the end of a resource's name."""
    return name.rpartition("/")[2]


def summary(details: str) -> str:
    """Return a provider's details without what every URL has."""
    parts = urlsplit(details)
    return parts.netloc + parts.path.rstrip("/") if parts.scheme in ("http", "https") else details


def corrupt_status(fields: Iterable[str]) -> Status:
    """Return the state of a resource that the registry cannot read, with what mends it."""
    if set(fields) == {"credential"}:
        return Status("corrupt", "bad", "routes nothing: set its credential again")
    return Status("corrupt", "bad", f"routes nothing ({', '.join(fields)}): delete it and create it again")


def provider_status(provider: provider_pb2.Provider) -> Status:
    """Return whether a provider routes and, where it does not, why and what mends it."""
    if provider.state == provider_pb2.Provider.STATE_CORRUPT:
        return corrupt_status(provider.corrupt_fields)
    if provider.state == provider_pb2.Provider.STATE_DISABLED:
        return Status("disabled", "off")
    if provider.unroutable_reason == provider_pb2.Provider.UNROUTABLE_REASON_NO_CREDENTIAL:
        return Status("active", "warn", "routes nothing: add a credential")
    if not provider.active_model_count:
        return Status("active", "warn", "routes nothing: add or enable a model")
    return Status("active", "good")


class KindNames:
    """What kinds are called, and which need a credential."""

    def __init__(self, kinds: Iterable[catalog_pb2.ProviderKindInfo]) -> None:
        self._by_kind = {info.kind: info for info in kinds}

    def __getitem__(self, kind: provider_pb2.ProviderKind) -> str:
        info = self._by_kind.get(kind)
        return info.display_name if info else slug(kind)

    def needs_credential(self, kind: provider_pb2.ProviderKind) -> bool:
        """Return whether a provider of this kind routes nothing without a credential."""
        info = self._by_kind.get(kind)
        return info is None or info.credential_required


def slug(kind: provider_pb2.ProviderKind) -> str:
    """Return a kind's name in addresses, e.g. ``vertex-anthropic``."""
    return provider_pb2.ProviderKind.Name(kind).removeprefix("PROVIDER_KIND_").lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test of a credential came to; ``tone`` is good, warn or bad."""

    tone: str
    text: str
    note: str = ""
    request_id: str = ""


_TONES = {
    provider_pb2.ProviderValidation.OUTCOME_SUCCEEDED: "good",
    provider_pb2.ProviderValidation.OUTCOME_CREDENTIAL_REJECTED: "bad",
}


def outcome(validation: provider_pb2.ProviderValidation, note: str) -> Outcome:
    """Return the registry's sentence, with how long the upstream took where it answered."""
    text = validation.message
    if validation.latency_ms:
        text = f"{text.rstrip('.')} ({validation.latency_ms / 1000:.1f} s)."
    return Outcome(_TONES.get(validation.outcome, "warn"), text, note.strip())


def trimmed_sentence(labels: Iterable[str]) -> str:
    """Return what is said of blanks that were cut off around values; empty where there were none."""
    fields = ", ".join(labels)
    return f" Blanks around it were removed: {fields}." if fields else ""


@dataclass(frozen=True, slots=True)
class Spread:
    """How many routers have applied a revision, and some of those that have not.

    ``complete`` says that all have it, at all replicas: ``waiting`` names what that waits for.
    """

    revision: int
    applied: int
    routers: int
    complete: bool
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in words."""

    when: Timestamp
    text: str


def model_status(model: provider_model_pb2.ProviderModel, provider_routes: bool) -> Status:
    """Return whether a provider model routes and, where its provider keeps it from that, says so."""
    if model.state == provider_model_pb2.ProviderModel.STATE_CORRUPT:
        return corrupt_status(model.corrupt_fields)
    if model.state == provider_model_pb2.ProviderModel.STATE_DISABLED:
        return Status("disabled", "off")
    return Status("active", "good" if provider_routes else "warn")


def source(model: provider_model_pb2.ProviderModel) -> str:
    """Return where a model came from: ``Catalog 2026.04.15`` or ``Custom``."""
    return f"Catalog {model.catalog_version}" if model.catalog_version else "Custom"


def retiring(stamp: Timestamp, now: datetime) -> str:
    """Return when a model goes, in days: ``retires in 45 days``, ``retired 3 days ago``."""
    days = (time_of(stamp).date() - now.date()).days
    if days < 0:
        return f"retired {plural(-days, 'day')} ago"
    return f"retires in {plural(days, 'day')}" if days else "retires today"


@dataclass(frozen=True, slots=True)
class Losses:
    """What a deletion takes from user-facing models: those that stop working, and what the others keep."""

    broken: tuple[str, ...]
    lessened: tuple[tuple[str, int], ...]


def losses(impact: provider_service_pb2.DeletionImpact) -> Losses:
    """Return the models that lose backends, those that stop working first."""
    broken = tuple(last_part(name) for name in impact.models_left_unroutable)
    kept: dict[str, int] = {}
    for backend in impact.backends:
        kept[last_part(backend.model)] = backend.remaining_routable_backends
    return Losses(broken, tuple((name, count) for name, count in kept.items() if name not in broken))


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A user-facing model in words: its state, and the one thing whose loss takes it down, if any."""

    status: Status
    breaks: str


def model_row(model: model_pb2.Model) -> ModelRow:
    """Return whether a model works, and what it hangs on."""
    routable = [backend for backend in model.backends if backend.routable]
    if model.state == model_pb2.Model.STATE_CORRUPT:
        return ModelRow(corrupt_status(model.corrupt_fields), "")
    if model.state == model_pb2.Model.STATE_DISABLED:
        return ModelRow(Status("disabled", "off"), "")
    if not model.backends:
        return ModelRow(Status("active", "warn", "answers nothing: wire a backend"), "")
    if not routable:
        return ModelRow(Status("active", "warn", "answers nothing: no backend routes"), "")
    if len(routable) == 1:
        return ModelRow(Status("active", "good"), routable[0].provider_model)
    providers = {backend.provider_model.partition("/models/")[0] for backend in routable}
    return ModelRow(Status("active", "good"), providers.pop() if len(providers) == 1 else "")


def sweep(status: system_service_pb2.GetEncryptionStatusResponse) -> Status:
    """Return how the moving of data keys to the primary key version stands."""
    states = system_service_pb2.GetEncryptionStatusResponse
    if not status.data_key_count:
        return Status("no credential is stored yet", "off")
    return {
        states.SWEEP_STATE_DONE: Status("all under the primary version", "good"),
        states.SWEEP_STATE_RUNNING: Status("moving", "warn"),
        states.SWEEP_STATE_WAITING: Status("waiting for the key sidecar", "warn"),
        states.SWEEP_STATE_BLOCKED: Status("some could not be moved", "bad"),
    }.get(status.sweep_state, Status("unknown", "off"))


def short(name: str) -> str:
    """Return a provider model as the command line takes it, e.g. ``openai-prod/gpt-4o``."""
    return name.removeprefix("providers/").replace("/models/", "/", 1)


def wire(name: str, form: str = "") -> str:
    """Return the provider of a provider model's name: its id, or its own name where ``form`` is ``full``."""
    provider = name.partition("/models/")[0]
    return provider if form == "full" else last_part(provider)
