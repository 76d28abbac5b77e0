"""The canonical spelling of catalog files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.catalog.canonical import canonical_bytes
from tools.catalog.document import CatalogFileError
from tools.catalog.validate import check_canonical

TEXT = st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | TEXT
DOCUMENTS = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=4,
)


@settings(deadline=None)  # the machine may be busy
@given(DOCUMENTS)
def test_holds_the_same_document(document: dict[str, object]) -> None:
    assert json.loads(canonical_bytes(document)) == document


@settings(deadline=None)  # the machine may be busy
@given(DOCUMENTS)
def test_writing_what_was_read_changes_nothing(document: dict[str, object]) -> None:
    written = canonical_bytes(document)

    assert canonical_bytes(json.loads(written)) == written


def test_a_float_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="float"):
        canonical_bytes({"models": [{"input": 2.5}]})


GOOD = b'{\n "schema_version": 1,\n "models": [\n  {"upstream_model_id": "a", "kind": "chat"}\n ]\n}\n'


@pytest.mark.parametrize(
    ("spelt", "line"),
    [
        pytest.param(GOOD + b"\n", 7, id="second newline at the end"),
        pytest.param(GOOD[:-1], 6, id="no newline at the end"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), 1, id="line ends of another system"),
        pytest.param(GOOD.replace(b'"a"', b'"\\u0061"'), 4, id="needless escape"),
        pytest.param(GOOD.replace(b'  {"up', b'   {"up'), 4, id="other indent"),
        pytest.param(
            GOOD.replace(
                b'"upstream_model_id": "a", "kind": "chat"', b'"kind": "chat", "upstream_model_id": "a"'
            ),
            4,
            id="other order of keys",
        ),
    ],
)
def test_any_other_spelling_is_refused_with_its_line(spelt: bytes, line: int, tmp_path: Path) -> None:
    path = tmp_path / "openai.json"
    path.write_bytes(GOOD)
    check_canonical(path)

    path.write_bytes(spelt)
    with pytest.raises(CatalogFileError) as refusal:
        check_canonical(path)
    assert refusal.value.line == line
