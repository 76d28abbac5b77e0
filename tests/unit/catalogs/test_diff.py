"""What a release changes against the one before, on two releases small enough to read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain.model import ProviderKind
from tests.unit.catalogs.test_build import FACTS
from tools.catalog.__main__ import main
from tools.catalog.build import build_release
from tools.catalog.canonical import canonical_bytes
from tools.catalog.diff import ChangeKind, ReleaseDifference, as_table, compare_releases, release_before
from tools.catalog.document import CatalogFileError
from tools.catalog.reader import load_catalogs

OLD, NEW = "2026.05.01", "2026.11.20"

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def catalogs(tmp_path: Path) -> Path:
    """A catalogs folder with the release ``OLD``."""
    root = tmp_path / "catalogs"
    root.mkdir()
    exception = {
        "upstream_model_id": "Odd:1",
        "kind": "openai",
        "rule": "cached-above-input",
        "reason": "test",
    }
    (root / "exceptions.json").write_bytes(canonical_bytes({"schema_version": 1, "exceptions": [exception]}))
    build_release(OLD, FACTS, root, replace=False)
    return root


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """The same facts, gathered for ``NEW``."""
    copied = Path(shutil.copytree(FACTS, tmp_path / "facts"))
    for path in copied.glob("*.json"):
        content = json.loads(path.read_bytes())
        content.update(catalog_version=NEW, as_of=NEW.replace(".", "-"))
        path.write_text(json.dumps(content))
    return copied


def changed(catalogs: Path, facts: Path, edit: Edit) -> ReleaseDifference:
    """The difference that an edit of OpenAI's facts makes."""
    path = facts / "openai.json"
    content = json.loads(path.read_bytes())
    edit(content)
    path.write_text(json.dumps(content))
    build_release(NEW, facts, catalogs, replace=False)
    return compare_releases(catalogs / OLD, catalogs / NEW)


def first(**fields: object) -> Edit:
    return lambda content: content["models"][0].update(fields)


def price(**prices: object) -> Edit:
    return lambda content: content["models"][0]["pricing"].update(prices)


def renamed(content: dict[str, Any]) -> None:
    content["models"][0]["upstream_model_id"] = "wide-2"


CASES: dict[str, tuple[Edit, list[tuple[str, str, str | None, str | None]]]] = {
    "nothing": (lambda _: None, []),
    "added and gone": (
        renamed,
        [("added", "display_name", None, "Wide 1"), ("gone", "display_name", "Wide 1", None)],
    ),
    "a base price": (price(input="2.25"), [("price", "pricing.input", "2.5", "2.25")]),
    "a price that became unknown": (
        price(cache_write=None),
        [("price", "pricing.cache_write", "3.125", None)],
    ),
    "a price in a tier": (
        lambda content: content["models"][0]["pricing"]["tiers"][0].update(input="6"),
        [("price", "pricing.tiers[>64000].input", "5", "6")],
    ),
    "a rarer price": (price(batch_input="1.3"), [("price", "extra_prices.batch_input", "1.25", "1.3")]),
    "another spelling of a price": (price(input="2.50"), []),
    "a window": (first(context_window=256_000), [("window", "context_window", "128000", "256000")]),
    "an unknown window": (first(context_window=None), [("window", "context_window", "128000", None)]),
    "capabilities": (
        first(capabilities=["tools", "vision"]),
        [
            ("capability", "capabilities.streaming", "yes", None),
            ("capability", "capabilities.vision", None, "yes"),
        ],
    ),
    "a lifecycle": (
        first(lifecycle="retired", deprecation_date="2026-12-01"),
        [
            ("lifecycle", "lifecycle", "deprecation_scheduled", "retired"),
            ("lifecycle", "retire_date", "2027-01-31", "2026-12-01"),
        ],
    ),
    "a name": (first(display_name="Wider"), [("other", "display_name", "Wide 1", "Wider")]),
}


class TestCompare:
    @pytest.mark.parametrize("case", CASES)
    def test_tells(self, case: str, catalogs: Path, facts: Path) -> None:
        edit, expected = CASES[case]
        difference = changed(catalogs, facts, edit)

        assert [(str(one.change), one.field, one.before, one.now) for one in difference.changes] == expected
        assert {one.kind for one in difference.changes} <= {"openai"}
        assert sum(difference.counts().values()) == len(expected)

    def test_a_kind_that_is_left_out_loses_no_model(self, catalogs: Path, facts: Path) -> None:
        (facts / "vertex_anthropic.json").unlink()
        difference = changed(catalogs, facts, lambda _: None)

        assert (difference.kinds_added, difference.kinds_left_out) == ((), ("vertex-anthropic",))
        assert difference.changes == ()
        newest = load_catalogs(catalogs).newest(ProviderKind.VERTEX_ANTHROPIC)
        assert newest is not None
        assert newest.version == OLD

    def test_a_kind_that_is_new(self, catalogs: Path, facts: Path) -> None:
        build_release(NEW, facts, catalogs, replace=False)
        (facts / "openai.json").unlink()
        for path in facts.glob("*.json"):
            path.write_text(path.read_text().replace(NEW, "2026.12.01"))
        build_release("2026.12.01", facts, catalogs, replace=False)
        difference = compare_releases(catalogs / "2026.12.01", catalogs / NEW)

        assert difference.kinds_added == ("openai",)
        assert difference.counts()[ChangeKind.ADDED] == 3

    def test_the_release_before(self, catalogs: Path, facts: Path) -> None:
        build_release(NEW, facts, catalogs, replace=False)
        assert [release_before(catalogs, one) for one in (OLD, NEW, "2027.01.01")] == [None, OLD, NEW]

    def test_a_damaged_release_is_refused(self, catalogs: Path, facts: Path) -> None:
        build_release(NEW, facts, catalogs, replace=False)
        path = catalogs / OLD / "openai.json"
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(CatalogFileError, match="is not the hash"):
            compare_releases(catalogs / OLD, catalogs / NEW)

    def test_releases_lie_side_by_side_and_the_newest_is_the_default(
        self, catalogs: Path, facts: Path
    ) -> None:
        changed(catalogs, facts, first(context_window=256_000))
        loaded = load_catalogs(catalogs)

        assert loaded.versions(ProviderKind.OPENAI) == (NEW, OLD)
        assert loaded.newest(ProviderKind.OPENAI) == loaded.get(ProviderKind.OPENAI, NEW)
        assert loaded.get(ProviderKind.OPENAI, OLD) != loaded.get(ProviderKind.OPENAI, NEW)


class TestShown:
    def test_as_a_table(self, catalogs: Path, facts: Path) -> None:
        table = as_table(changed(catalogs, facts, price(input="2.25", output="9")))

        assert table.splitlines() == [
            f"{OLD} -> {NEW}: 2 price",
            "",
            "CHANGE  KIND    MODEL   FIELD           BEFORE  NOW",
            "price   openai  wide-1  pricing.input   2.5     2.25",
            "price   openai  wide-1  pricing.output  10      9",
        ]

    def test_by_the_build(self, catalogs: Path, facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["--release", NEW, "--facts", str(facts), "--catalogs", str(catalogs)]

        assert main(["build", *arguments]) == 0
        assert f"{OLD} -> {NEW}: no change" in capsys.readouterr().out

    def test_by_the_command_as_json(
        self, catalogs: Path, facts: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        changed(catalogs, facts, price(input="2.25"))

        assert main(["diff", OLD, NEW, "-o", "json", "--catalogs", str(catalogs)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["before"], told["now"], told["counts"]["price"]) == (OLD, NEW, 1)
        assert told["changes"] == [
            {
                "change": "price",
                "kind": "openai",
                "upstream_model_id": "wide-1",
                "field": "pricing.input",
                "before": "2.5",
                "now": "2.25",
            }
        ]

    def test_a_release_that_is_not_there(self, catalogs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", OLD, NEW, "--catalogs", str(catalogs)]) == 1
        assert "manifest.json: cannot be read" in capsys.readouterr().err
