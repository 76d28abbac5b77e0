"""Databases of any size, filled by SQL in seconds: the same rows on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from service.domain.json_forms import canonical_json, facts_to_json, pricing_to_json
from service.domain.model import (
    ModelCapability,
    ModelFacts,
    ModelKind,
    ModelSource,
    Pricing,
    ProviderKind,
    State,
)
from service.store import engines
from service.store.columns import to_micros

MODELS_EACH = 10
"""Provider models of a provider; each provider has as many."""
_NOW = to_micros(datetime(2026, 4, 15, tzinfo=UTC))
_UPSTREAM_ID = "vendor/model-"
_FACTS = ModelFacts(
    _UPSTREAM_ID,
    "Model",
    ModelKind.CHAT,
    context_window=128_000,
    max_output_tokens=16_384,
    pricing=Pricing("USD", input="2.50", output="10.00", cached_input="1.25"),
    capabilities=tuple(sorted({ModelCapability.STREAMING, ModelCapability.TOOLS, ModelCapability.VISION})),
)


def fill_by_sql(url: str, provider_models: int, *, models: int = 0) -> None:
    """Add providers with `MODELS_EACH` imported models each, all routable, as one revision.

    ``models`` are others without backends. The database was migrated and is empty.
    """
    engine = engines.create(engines.parse_url(url))
    with engine.execution_options(**engines.WRITE).begin() as connection:
        _insert(connection, "providers", provider_models // MODELS_EACH, _PROVIDER, _PROVIDER_VALUES)
        _insert(connection, "provider_models", provider_models, _PROVIDER_MODEL, _PROVIDER_MODEL_VALUES)
        if models:
            _insert(connection, "models", models, _MODEL, _MODEL_VALUES)
        connection.execute(text("UPDATE revision_counter SET revision = 1, compact_revision = 1"))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def _insert(
    connection: Connection, table: str, count: int, columns: dict[str, str], values: dict[str, object]
) -> None:
    """Insert rows numbered ``n.i``, whose columns are these expressions."""
    # Not from anybody: all of it stands in this module.
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "
        f"SELECT {', '.join(columns.values())} FROM n"
    )
    connection.execute(text(statement), values)


def _digits(number: str, count: int) -> str:
    """Return the expression of a number in so many digits."""
    return f"substr(CAST({10**count} + {number} AS TEXT), 2)"


def _json(value: object) -> str:
    return canonical_json(value).decode()


_PROVIDER = {
    "provider_id": f"'p-' || {_digits('i', 6)}",
    "uid": f"'00000000-0000-4000-8001-' || {_digits('i', 12)}",
    "display_name": f"'Provider ' || {_digits('i', 6)}",
    "display_name_key": f"'provider ' || {_digits('i', 6)}",
    "kind": ":kind",
    "state": ":state",
    "config": ":config",
    "headers": "'{}'",
    "labels": ":labels",
    "annotations": "'{}'",
    "create_time": ":now + i",
    "update_time": ":now + i",
    "revision": "1",
    "etag": "'1-00000000'",
}
_PROVIDER_VALUES: dict[str, object] = {
    "kind": int(ProviderKind.OPENAI_COMPATIBLE),  # one that needs no credential
    "state": int(State.ACTIVE),
    "config": _json({"base_url": "https://bench.example/v1"}),
    "labels": _json({"team": "platform"}),
    "now": _NOW,
}
_PROVIDER_MODEL = {
    "provider_id": f"'p-' || {_digits(f'i / {MODELS_EACH}', 6)}",
    "model_id": f"'vendor.model-' || {_digits('i', 7)}",
    "uid": f"'00000000-0000-4000-8002-' || {_digits('i', 12)}",
    "upstream_model_id": f":upstream || {_digits('i', 7)}",
    "display_name": f"'Model ' || {_digits('i', 7)}",
    "display_name_key": f"'model ' || {_digits('i', 7)}",
    "kind": ":kind",
    "state": ":state",
    "source": ":source",
    "catalog_version": "'2026.11.20'",
    "context_window": ":context_window",
    "max_output_tokens": ":max_output_tokens",
    "embedding_dimensions": "0",
    "pricing": ":pricing",
    "capabilities": ":capabilities",
    "retire_time": f"CASE WHEN i % 1000 = 0 THEN {_NOW} + i END",
    "needs_review": ":no",
    "imported": f":before || :upstream || {_digits('i', 7)} || :after",
    "overridden_fields": "'[]'",
    "labels": ":labels",
    "create_time": ":now + i",
    "update_time": ":now + i",
    "revision": "1",
    "etag": "'1-00000000'",
}
_BEFORE, _AFTER = _json(facts_to_json(_FACTS)).split(_UPSTREAM_ID)
_PROVIDER_MODEL_VALUES: dict[str, object] = {
    "upstream": _UPSTREAM_ID,
    "kind": int(_FACTS.kind),
    "state": int(State.ACTIVE),
    "source": int(ModelSource.CATALOG),
    "context_window": _FACTS.context_window,
    "max_output_tokens": _FACTS.max_output_tokens,
    "pricing": _json(pricing_to_json(_FACTS.pricing)),
    "capabilities": _json(list(_FACTS.capabilities)),
    "no": False,
    "before": _BEFORE,
    "after": _AFTER,
    "labels": _json({"team": "platform", "tier": "gold"}),
    "now": _NOW,
}
_MODEL = {
    "model_id": f"'m-' || {_digits('i', 7)}",
    "uid": f"'00000000-0000-4000-8003-' || {_digits('i', 12)}",
    "display_name": f"'Model ' || {_digits('i', 7)}",
    "display_name_key": f"'model ' || {_digits('i', 7)}",
    "description": "''",
    "kind": ":kind",
    "state": ":state",
    "labels": "'{}'",
    "annotations": "'{}'",
    "create_time": ":now + i",
    "update_time": ":now + i",
    "revision": "1",
    "etag": "'1-00000000'",
}
_MODEL_VALUES: dict[str, object] = {"kind": int(ModelKind.CHAT), "state": int(State.ACTIVE), "now": _NOW}
