from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.failures import UsageFailure
from cli.line.command import Argument, Command, Group, Option, Takes
from cli.line.parsing import find, parse

SHOW = Command(
    "show",
    "Show a thing.",
    "none:none",
    (Argument("NAME", "The thing."),),
    (
        Option("filter", "Which.", value="FILTER"),
        Option("all", "All.", Takes.NOTHING, short="a"),
        Option("label", "A label.", Takes.TEXTS),
        Option("count", "How many.", Takes.NUMBER, default=3, least=1),
        Option("file", "Where.", Takes.PATH),
        Option("api-key", "Refused.", refused="a secret is never an argument: use --credential-stdin"),
    ),
)
DROP = Command("drop", "Drop things.", "none:none", (Argument("NAME", "Things.", Takes.TEXTS),))
NOW = Command("now", "Do it.", "none:none", options=(Option("since", "When it began.", required=True),))
ROOT = Group("tool", "A tool.", (Group("thing", "Things.", (SHOW, DROP)), NOW))


def values(*words: str) -> dict[str, Any]:
    return dict(parse(ROOT, words).values)


class TestPlaces:
    @pytest.mark.parametrize(
        "line",
        [
            "thing show one -o json --filter x=1 -a",
            "-o json --filter x=1 -a thing show one",
            "thing -o json show --filter=x=1 -a one",
            "-a --filter x=1 thing -ojson show one",
            "thing show -ao json --filter x=1 -- one",
            "--output=json thing --filter x=1 show one --all",
        ],
    )
    def test_options_stand_anywhere(self, line: str) -> None:
        parsed = parse(ROOT, line.split())
        assert parsed.path == ("thing", "show")
        assert (parsed.values["output"], parsed.values["filter_"], parsed.values["all_"]) == (
            "json",
            "x=1",
            True,
        )
        assert parsed.values["name"] == "one"

    def test_after_two_dashes_nothing_is_an_option(self) -> None:
        assert values("thing", "show", "--", "-o")["name"] == "-o"

    def test_a_single_dash_is_a_word(self) -> None:
        assert values("thing", "show", "-")["name"] == "-"

    def test_what_is_not_given_has_a_default(self) -> None:
        found = values("thing", "show", "one")
        assert found["count"] == 3
        assert found["label"] == []
        assert found["file"] is None
        assert (found["filter_"], found["all_"], found["output"], found["home"]) == ("", False, "table", None)

    def test_kinds_of_values(self) -> None:
        found = values("thing", "show", "x", "--label", "a=1", "--label=b=2", "--count", "7", "--file", "/f")
        assert (found["label"], found["count"], found["file"]) == (["a=1", "b=2"], 7, Path("/f"))

    def test_an_argument_for_all_that_remain(self) -> None:
        assert values("thing", "drop", "a", "-q", "b")["name"] == ["a", "b"]


class TestHelpAndVersion:
    @pytest.mark.parametrize(
        "line", ["", "thing", "--help", "-h", "thing show --help", "-h thing show", "thing -h"]
    )
    def test_help(self, line: str) -> None:
        assert parse(ROOT, line.split()).wants_help

    def test_help_asks_for_no_arguments(self) -> None:
        assert parse(ROOT, ["thing", "show", "--help"]).target is SHOW

    def test_version(self) -> None:
        assert parse(ROOT, ["--version"]).wants_version


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("thing shwo", "there is no command 'thing shwo': did you mean 'show'?"),
            ("zzz", "there is no command 'zzz': choose from thing, now"),
            ("thing show", "NAME is missing: see `providerctl thing show --help`"),
            ("thing drop", "NAME is missing: see `providerctl thing drop --help`"),
            ("thing show one --fliter x", "there is no option --fliter: did you mean --filter?"),
            ("thing show one -z", "there is no option -z: see `providerctl thing show --help`"),
            ("thing show one --filter", "--filter needs a value: Which."),
            ("thing show one --all=yes", "--all takes no value"),
            ("thing show one --count few", "--count: 'few' is not a whole number of 1 or more"),
            ("thing show one --count 0", "--count: '0' is not a whole number of 1 or more"),
            ("thing show one -o xml", "--output: 'xml' is not one of table, wide, json, jsonl, yaml, name"),
            ("now", "--since is missing: When it began."),
        ],
    )
    def test_sentences(self, line: str, sentence: str) -> None:
        with pytest.raises(UsageFailure) as refused:
            parse(ROOT, line.split())
        assert refused.value.sentence == sentence

    @pytest.mark.parametrize(
        "line",
        [
            "thing show one --api-key sk-secret",
            "thing show one --api-key=sk-secret",
            "thing show one sk-secret",
            "thing show one --credential=sk-secret",
            "now sk-secret --since x",
        ],
    )
    def test_a_secret_in_the_wrong_place_is_not_repeated(self, line: str) -> None:
        with pytest.raises(UsageFailure) as refused:
            parse(ROOT, line.split())
        assert "sk-secret" not in refused.value.sentence

    def test_the_safe_form_is_named(self) -> None:
        with pytest.raises(
            UsageFailure, match="--api-key: a secret is never an argument: use --credential-stdin"
        ):
            parse(ROOT, ["thing", "show", "one", "--api-key", "sk-secret"])


def test_find_stops_where_the_words_name_nothing() -> None:
    assert find(ROOT, ["thing", "--filter", "now", "sh"])[0] == ("thing",)
