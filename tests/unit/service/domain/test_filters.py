"""What a filter keeps: typed comparison, two-valued logic, absent things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.filter_parser import parse_filter
from service.domain.filters import FilterField, FilterSchema, FilterType, compiled
from service.domain.ids import fold
from service.domain.model import ModelCapability, ProviderKind, State

SCHEMA = FilterSchema.of(
    [
        FilterField("upstream_model_id", FilterType.STRING),
        FilterField("display_name", FilterType.NAME),
        FilterField("kind", FilterType.ENUM, ProviderKind, "PROVIDER_KIND_"),
        FilterField("state", FilterType.ENUM, State, "STATE_"),
        FilterField("context_window", FilterType.INT),
        FilterField("routable", FilterType.BOOL),
        FilterField("create_time", FilterType.TIME),
        FilterField("credential.expire_time", FilterType.TIME),
        FilterField("credential", FilterType.PRESENCE),
        FilterField("capabilities", FilterType.MEMBERS, ModelCapability, "MODEL_CAPABILITY_"),
        FilterField("labels", FilterType.LABELS),
        FilterField("backends.provider_model", FilterType.PATHS),
    ],
    words_in="display_name",
)
ROW: Mapping[str, object] = {
    "upstream_model_id": "GPT-4o",
    "display_name": "Große Straße",
    "kind": ProviderKind.OPENAI,
    "state": State.ACTIVE,
    "context_window": 128_000,
    "routable": True,
    "create_time": datetime(2026, 4, 15, tzinfo=UTC),
    "credential.expire_time": None,
    "credential": object(),
    "capabilities": (ModelCapability.TOOLS, ModelCapability.VISION),
    "labels": {"env": "prod", "empty": ""},
    "backends.provider_model": ("providers/a/models/x", "providers/a-b/models/x.1"),
}


def keeps(text: str) -> bool:
    expression = parse_filter(text, SCHEMA)
    assert expression is not None
    return compiled(expression, dict[str, object].__getitem__)(dict(ROW))


class TestMatches:
    @pytest.mark.parametrize(
        "text",
        [
            'upstream_model_id = "GPT-4o"',
            'upstream_model_id : "gpt-4"',
            'upstream_model_id < "a"',
            'upstream_model_id >= "GPT-4o"',
            'display_name = "GROSSE STRASSE"',
            "display_name : STRASSE",
            'display_name >= "gr"',
            "straße",
            "gro*",
            'display_name = "GROSSE S*"',
            "display_name:große*",
            "upstream_model_id = GPT*",
            "upstream_model_id:gpt*",
            "upstream_model_id != gpt*",
            "upstream_model_id:*",
            "credential:*",
            "capabilities:TOOLS",
            "capabilities:model_capability_vision",
            "capabilities:*",
            "kind = openai",
            "kind != anthropic",
            "state = STATE_ACTIVE",
            "context_window > 127999",
            "context_window <= 128000",
            "context_window != -1",
            "routable = true",
            "routable != false",
            "create_time >= 2026-04-15T00:00:00Z",
            "create_time = 2026-04-15T02:00:00+02:00",
            "create_time:*",
            "labels.env = prod",
            "labels.env != dev",
            "labels.env:prod",
            "labels:env",
            "labels.env:*",
            "labels:empty",
            "backends.provider_model:providers/a/models/x",
            "backends.provider_model:providers/a",
            "backends.provider_model:'providers/a-b'",
            "backends.provider_model:*",
            'labels.empty = ""',
            "große AND state = ACTIVE",
            "nothing OR große",
            "große -nothing",
            "NOT (nothing AND große)",
        ],
    )
    def test_keeps(self, text: str) -> None:
        assert keeps(text)
        assert not keeps(f"NOT ({text})")

    @pytest.mark.parametrize(
        "text",
        [
            'upstream_model_id = "gpt-4o"',
            "display_name = große",
            "stra*",
            "display_name = straße*",
            "upstream_model_id = gpt*",
            "upstream_model_id:pt*",
            "upstream_model_id != GPT*",
            "capabilities:PDF",
            "nothing",
            "kind = VERTEX",
            "context_window < 128000",
            "routable = false",
            "create_time < 2026-04-15T00:00:00Z",
            "labels.env = PROD",
            "labels:team",
            "backends.provider_model:providers/a/models/x.1",
            "backends.provider_model:providers/b",
            "backends.provider_model:prov",
            "backends.provider_model:x",
            "große nothing",
        ],
    )
    def test_drops(self, text: str) -> None:
        assert not keeps(text)
        assert keeps(f"NOT ({text})")


class TestAbsence:
    @pytest.mark.parametrize("operator", ["=", "<", "<=", ">", ">="])
    def test_an_unset_time_compares_as_false(self, operator: str) -> None:
        assert not keeps(f"credential.expire_time {operator} 2026-04-15T00:00:00Z")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("credential.expire_time != 2026-04-15T00:00:00Z", True),
            ("credential.expire_time:*", False),
            ("-credential.expire_time:*", True),
            ("labels.team = x", False),
            ('labels.team = ""', False),
            ("labels.team != x", True),
            ("labels.team:*", False),
        ],
    )
    def test_absent_things_equal_nothing(self, text: str, expected: bool) -> None:
        assert keeps(text) is expected


@given(text=st.text(st.characters(max_codepoint=127)))
def test_plain_text_folds_as_all_text_does(text: str) -> None:
    """The short way gives what the long one gives: a letter outside ASCII in front keeps to the latter."""
    assert fold("é" + text)[1:] == fold(text)


def test_alternatives_are_tried_as_one() -> None:
    """Dozens of words, ids and kinds read and fold each field of a row once."""
    reads: Counter[str] = Counter()

    def get(row: Mapping[str, object], name: str) -> object:
        reads[name] += 1
        return row[name]

    terms = [f"word-{number}" for number in range(18)]
    terms += [f"upstream_model_id = i{number}" for number in range(18)] + ["kind = ANTHROPIC"] * 18
    expression = parse_filter(" OR ".join(terms), SCHEMA)
    assert expression is not None
    assert compiled(expression, get)(ROW) is False
    assert reads == {"display_name": 1, "upstream_model_id": 1, "kind": 1}
