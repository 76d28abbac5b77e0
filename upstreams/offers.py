"""What each kind's listing holds: where its pages are, and what is taken from an entry.

Nothing in a page is trusted: an entry without a usable ID is skipped and counted, a number that makes no
sense is unknown, and a name is cut to what can be stored.

Source: the vendors' references of their listing calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from upstreams.target import AZURE_API_VERSION, Target

MAX_DISPLAY_NAME: Final = 63
MAX_TOKENS: Final = 100_000_000
MAX_CURSOR: Final = 4096
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_DATED = re.compile(r"[0-9]{8}")
_LAST_YEAR: Final = 9000
_FIRST_MILLISECONDS: Final = 100_000_000_000
"""As seconds this is 3,000 years ahead, as milliseconds 1973."""

VERTEX_PUBLISHERS: Final = (
    "google",
    "meta",
    "mistralai",
    "ai21",
    "deepseek-ai",
    "qwen",
    "openai",
    "moonshotai",
    "minimaxai",
    "zai-org",
)
_BARE_PUBLISHERS: Final = frozenset({"google", "anthropic", "mistralai", "ai21"})
"""Their models are called by the ID alone, all others by ``publisher/id``."""


class ModelKind(StrEnum):
    """What a model is for, where the upstream says."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A model that the upstream offers. What the upstream leaves out is 0, empty, None or UNKNOWN.

    Azure lists base models. Calls name a deployment, which no listing has.
    """

    upstream_model_id: str
    display_name: str = ""
    kind: ModelKind = ModelKind.UNKNOWN
    context_window: int = 0
    max_output_tokens: int = 0
    retire_time: datetime | None = None
    deprecated: bool = False
    callable_by_id: bool = True
    """False where it takes a deployment, an inference profile or provisioned capacity to call it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its models, how many entries were junk, and the cursor of the next page ("" for none)."""

    models: Sequence[Discovered]
    skipped_count: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One list of an upstream, which may have pages.

    An optional one may be missing: the publisher has nothing in this location, or the listing needs a
    permission that the main one does not. ``member`` names the entries where that is not as in `judge`.
    """

    url: str
    parameters: Mapping[str, str]
    read: Callable[[Any], Page]
    cursor_parameter: str = ""
    optional: bool = False
    member: str = ""


def shelves(target: Target) -> list[Shelf]:
    """Return all lists of a target, in the order in which they are read."""
    api = target.api
    match target.kind:
        case "anthropic":
            return [Shelf(f"{api}/v1/models", {"limit": "1000"}, _anthropic_page, "after_id")]
        case "azure":
            return [Shelf(f"{api}/openai/models", {"api-version": AZURE_API_VERSION}, _azure_page)]
        case "bedrock":
            profiles = {"maxResults": "1000", "type": "SYSTEM_DEFINED"}
            return [
                Shelf(f"{api}/foundation-models", {}, _bedrock_models),
                Shelf(
                    f"{api}/inference-profiles",
                    profiles,
                    _bedrock_profiles,
                    "nextToken",
                    optional=True,
                    member="inferenceProfileSummaries",
                ),
            ]
        case "google":
            url = f"{api}/v1beta/models"
            return [Shelf(url, {"pageSize": "1000"}, _google_page, "pageToken")]
        case "vertex":
            return [_vertex_shelf(api, publisher) for publisher in VERTEX_PUBLISHERS]
        case "vertex_anthropic":
            return [_vertex_shelf(api, "anthropic")]
        case "cohere":
            return [
                _cohere_shelf(api, "chat", ModelKind.CHAT),
                _cohere_shelf(api, "embed", ModelKind.EMBEDDING),
            ]
        case "openai_compatible":
            return [Shelf(f"{api}/models", {}, _compatible_page, "after")]
        case _:
            return [Shelf(f"{api}/models", {}, _plain_page)]


def _plain_page(document: Any) -> Page:
    """Read the one list of kinds that speak the OpenAI protocol: IDs, and whatever limits the vendor adds."""
    return _page(document["data"], _plain_model)


def _plain_model(entry: Mapping[str, Any]) -> Discovered | None:
    return _discovered(
        entry.get("id"),
        context_window=_first(entry, "context_window", "context_length", "max_model_len"),
        max_output_tokens=_tokens(entry.get("max_completion_tokens")),
        deprecated=entry.get("active") is False,
    )


def _compatible_page(document: Any) -> Page:
    """Some servers return the bare list; few have pages, and then the last ID is the cursor."""
    if isinstance(document, list):
        return _page(document, _plain_model)
    page = _plain_page(document)
    last_id = document.get("last_id") or (page.models[-1].upstream_model_id if page.models else "")
    return replace(page, cursor=_cursor(last_id) if document.get("has_more") is True else "")


def _anthropic_page(document: Any) -> Page:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        return _discovered(
            entry.get("id"),
            display_name=entry.get("display_name"),
            kind=ModelKind.CHAT,
            context_window=_tokens(entry.get("max_input_tokens")),
            max_output_tokens=_tokens(entry.get("max_tokens")),
        )

    page = _page(document["data"], read)
    return replace(page, cursor=_cursor(document.get("last_id")) if document.get("has_more") is True else "")


def _azure_page(document: Any) -> Page:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        capabilities = _mapping(entry.get("capabilities"))
        kind = ModelKind.UNKNOWN
        if capabilities.get("chat_completion") is True:
            kind = ModelKind.CHAT
        elif capabilities.get("embeddings") is True:
            kind = ModelKind.EMBEDDING
        return _discovered(
            entry.get("id"),
            kind=kind,
            retire_time=_time(_mapping(entry.get("deprecation")).get("inference")),
            deprecated=str(entry.get("lifecycle_status")).startswith("deprecat"),
            callable_by_id=False,
        )

    return _page(document["data"], read)


def _bedrock_models(document: Any) -> Page:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        outputs = _strings(entry.get("outputModalities"))
        kind = ModelKind.UNKNOWN
        if "EMBEDDING" in outputs:
            kind = ModelKind.EMBEDDING
        elif "TEXT" in outputs:
            kind = ModelKind.CHAT
        lifecycle = _mapping(entry.get("modelLifecycle"))
        return _discovered(
            entry.get("modelId"),
            display_name=entry.get("modelName"),
            kind=kind,
            retire_time=_time(lifecycle.get("endOfLifeTime")),
            deprecated=lifecycle.get("status") == "LEGACY",
            callable_by_id="ON_DEMAND" in _strings(entry.get("inferenceTypesSupported")),
        )

    return _page(document["modelSummaries"], read)


def _bedrock_profiles(document: Any) -> Page:
    """Profile ids are called as models are; listing.py adds what their base models say of themselves."""

    def read(entry: Mapping[str, Any]) -> Discovered | None:
        return _discovered(entry.get("inferenceProfileId"), display_name=entry.get("inferenceProfileName"))

    page = _page(document["inferenceProfileSummaries"], read)
    return replace(page, cursor=_cursor(document.get("nextToken")))


def _google_page(document: Any) -> Page:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        methods = _strings(entry.get("supportedGenerationMethods"))
        kind = ModelKind.UNKNOWN
        if "generateContent" in methods:
            kind = ModelKind.CHAT
        elif "embedContent" in methods:
            kind = ModelKind.EMBEDDING
        return _discovered(
            _text(entry.get("name")).removeprefix("models/"),
            display_name=entry.get("displayName"),
            kind=kind,
            context_window=_tokens(entry.get("inputTokenLimit")),
            max_output_tokens=_tokens(entry.get("outputTokenLimit")),
        )

    page = _page(document.get("models", []), read)
    return replace(page, cursor=_cursor(document.get("nextPageToken")))


def _vertex_shelf(api: str, publisher: str) -> Shelf:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        model = _text(entry.get("name")).rpartition("/models/")[2]
        version = _text(entry.get("versionId"))
        if publisher == "anthropic" and "@" not in model and _DATED.fullmatch(version):
            model = f"{model}@{version}"
        return _discovered(
            model if publisher in _BARE_PUBLISHERS else f"{publisher}/{model}",
            kind=ModelKind.CHAT if publisher == "anthropic" else ModelKind.UNKNOWN,
        )

    def page(document: Any) -> Page:
        entries = _page(document.get("publisherModels", []), read)
        return replace(entries, cursor=_cursor(document.get("nextPageToken")))

    return Shelf(
        f"{api}/v1beta1/publishers/{publisher}/models",
        {"pageSize": "100"},
        page,
        "pageToken",
        optional=publisher not in ("google", "anthropic"),
    )


def _cohere_shelf(api: str, endpoint: str, kind: ModelKind) -> Shelf:
    def read(entry: Mapping[str, Any]) -> Discovered | None:
        return _discovered(
            entry.get("name"),
            kind=kind,
            context_window=_tokens(entry.get("context_length")),
            deprecated=entry.get("is_deprecated") is True,
        )

    def page(document: Any) -> Page:
        return replace(_page(document["models"], read), cursor=_cursor(document.get("next_page_token")))

    parameters = {"page_size": "1000", "endpoint": endpoint}
    return Shelf(f"{api}/v1/models", parameters, page, "page_token")


def _page(entries: Sequence[Any], read: Callable[[Mapping[str, Any]], Discovered | None]) -> Page:
    found = [read(entry) if isinstance(entry, dict) else None for entry in entries]
    models = [model for model in found if model is not None]
    return Page(models, len(found) - len(models))


def _discovered(
    model_id: Any,
    *,
    display_name: Any = "",
    kind: ModelKind = ModelKind.UNKNOWN,
    context_window: int = 0,
    max_output_tokens: int = 0,
    retire_time: datetime | None = None,
    deprecated: bool = False,
    callable_by_id: bool = True,
) -> Discovered | None:
    """Return the model; None where its ID could not be sent back as it is."""
    if not isinstance(model_id, str) or not _ID.fullmatch(model_id):
        return None
    return Discovered(
        upstream_model_id=model_id,
        display_name=_name(display_name),
        kind=kind,
        context_window=context_window,
        max_output_tokens=max_output_tokens,
        retire_time=retire_time,
        deprecated=deprecated,
        callable_by_id=callable_by_id,
    )


def _name(value: Any) -> str:
    """Return the text on one line, without control characters, at most 63 characters long."""
    printable = (character if character.isprintable() else " " for character in _text(value)[:512])
    return " ".join("".join(printable).split())[:MAX_DISPLAY_NAME].rstrip()


def _first(entry: Mapping[str, Any], *names: str) -> int:
    return next((tokens for name in names if (tokens := _tokens(entry.get(name)))), 0)


def _tokens(value: Any) -> int:
    """Return a number of tokens; 0, which some vendors write for unknown, stays 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 < value <= MAX_TOKENS else 0


def _time(value: Any) -> datetime | None:
    """Read seconds or milliseconds since 1970, or an ISO date and time; UTC where it names no zone."""
    moment = None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000 if value >= _FIRST_MILLISECONDS else value, UTC)
        elif isinstance(value, str) and len(value) <= 64:
            moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    if moment is None or not 1970 <= moment.year < _LAST_YEAR:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cursor(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_CURSOR else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> frozenset[str]:
    return frozenset(_each_string(value)) if isinstance(value, list) else frozenset()


def _each_string(values: Sequence[Any]) -> Iterator[str]:
    yield from (value for value in values if isinstance(value, str))
