"""The filter language: what it means, what it refuses, and that nothing breaks it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from service.domain.errors import InvalidArgument, Reason
from service.domain.filter_parser import MAX_DEPTH, MAX_FILTER_LENGTH, MAX_TERMS, parse_filter
from service.domain.filters import (
    And,
    Comparison,
    Expression,
    FilterField,
    FilterSchema,
    FilterType,
    Not,
    Op,
    Or,
    Word,
)
from service.domain.model import ModelCapability, ProviderKind, State
from tests.support.values.filter_text import to_string

UPSTREAM = FilterField("upstream_model_id", FilterType.STRING)
DISPLAY_NAME = FilterField("display_name", FilterType.NAME)
KIND = FilterField("kind", FilterType.ENUM, ProviderKind, "PROVIDER_KIND_")
STATE = FilterField("state", FilterType.ENUM, State, "STATE_")
WINDOW = FilterField("context_window", FilterType.INT)
ROUTABLE = FilterField("routable", FilterType.BOOL)
EXPIRES = FilterField("credential.expire_time", FilterType.TIME)
CREDENTIAL = FilterField("credential", FilterType.PRESENCE)
CAPABILITIES = FilterField("capabilities", FilterType.MEMBERS, ModelCapability, "MODEL_CAPABILITY_")
LABELS = FilterField("labels", FilterType.LABELS)
SCHEMA = FilterSchema(
    (UPSTREAM, DISPLAY_NAME, KIND, STATE, WINDOW, ROUTABLE, EXPIRES, CREDENTIAL, CAPABILITIES, LABELS),
    DISPLAY_NAME,
)

FUZZ_INPUTS = 10_000
FUZZ_SEED = 20260415


def word(text: str) -> Word:
    return Word(DISPLAY_NAME, text)


A, B, C = word("a"), word("b"), word("c")


class TestGrammar:
    @pytest.mark.parametrize("text", ["", " ", "\t\r\n "])
    def test_empty_keeps_everything(self, text: str) -> None:
        assert parse_filter(text, SCHEMA) is None

    @pytest.mark.parametrize(
        ("text", "tree"),
        [
            pytest.param("a", A, id="word"),
            pytest.param("\uff21", A, id="word folded"),
            pytest.param('"and"', word("and"), id="keyword in quotes"),
            pytest.param("gpt-4o", word("gpt-4o"), id="dash inside"),
            pytest.param("a b", And((A, B)), id="sequence"),
            pytest.param("a AND b", And((A, B)), id="and"),
            pytest.param("a OR b", Or((A, B)), id="or"),
            pytest.param("a AND b OR c", And((A, Or((B, C)))), id="or binds tighter"),
            pytest.param("a b OR c", And((A, Or((B, C)))), id="or binds tighter than sequence"),
            pytest.param("a b AND c", And((A, B, C)), id="sequence and and"),
            pytest.param("(a AND b) OR c", Or((And((A, B)), C)), id="parentheses"),
            pytest.param("((a) AND (b AND c))", And((A, B, C)), id="needless parentheses"),
            pytest.param("a OR (b OR c)", Or((A, B, C)), id="nested or"),
            pytest.param("NOT a", Not(A), id="not"),
            pytest.param("-a", Not(A), id="minus"),
            pytest.param("NOT(a)", Not(A), id="not before a parenthesis"),
            pytest.param("NOT a OR b", Or((Not(A), B)), id="not binds tightest"),
            pytest.param("a -b", And((A, Not(B))), id="minus in a sequence"),
            pytest.param("NOT (NOT a)", Not(Not(A)), id="not not"),
            pytest.param("-(a OR b)", Not(Or((A, B))), id="minus parenthesis"),
            pytest.param(
                "ANDROID ORDER NOTE", And((word("android"), word("order"), word("note"))), id="not keywords"
            ),
            pytest.param(" \t(\r\na ) ", A, id="blanks"),
            pytest.param("A*", Comparison(DISPLAY_NAME, Op.HAS, "a", prefix=True), id="word begins"),
            pytest.param('"a\\*"', word("a*"), id="star in a word"),
            pytest.param("'routable'", word("routable"), id="field in quotes"),
        ],
    )
    def test_tree(self, text: str, tree: Expression) -> None:
        assert parse_filter(text, SCHEMA) == tree

    @pytest.mark.parametrize(
        ("text", "tree"),
        [
            ("kind=OPENAI", Comparison(KIND, Op.EQ, ProviderKind.OPENAI)),
            ("kind = provider_kind_openai", Comparison(KIND, Op.EQ, ProviderKind.OPENAI)),
            ("kind != vertex-anthropic", Comparison(KIND, Op.NE, ProviderKind.VERTEX_ANTHROPIC)),
            ('state = "State_Active"', Comparison(STATE, Op.EQ, State.ACTIVE)),
            ("context_window >= 128000", Comparison(WINDOW, Op.GE, 128_000)),
            ("context_window < -5", Comparison(WINDOW, Op.LT, -5)),
            ("context_window <= 9223372036854775807", Comparison(WINDOW, Op.LE, 2**63 - 1)),
            ("routable = true", Comparison(ROUTABLE, Op.EQ, True)),
            ('upstream_model_id = "a b"', Comparison(UPSTREAM, Op.EQ, "a b")),
            ("upstream_model_id = anthropic.v1:0", Comparison(UPSTREAM, Op.EQ, "anthropic.v1:0")),
            ("upstream_model_id:GPT", Comparison(UPSTREAM, Op.HAS, "gpt")),
            ("upstream_model_id = GPT", Comparison(UPSTREAM, Op.EQ, "GPT")),
            ('display_name = "Große"', Comparison(DISPLAY_NAME, Op.EQ, "grosse")),
            (r'upstream_model_id = "a\"b\\c"', Comparison(UPSTREAM, Op.EQ, 'a"b\\c')),
            (r"upstream_model_id = 'it\'s'", Comparison(UPSTREAM, Op.EQ, "it's")),
            ('upstream_model_id = ""', Comparison(UPSTREAM, Op.EQ, "")),
            (
                "credential.expire_time < 2026-04-15T02:00:00.5+02:00",
                Comparison(EXPIRES, Op.LT, datetime(2026, 4, 15, 0, 0, 0, 500_000, UTC)),
            ),
            (
                'credential.expire_time > "2026-04-15t00:00:00.123456000z"',
                Comparison(EXPIRES, Op.GT, datetime(2026, 4, 15, 0, 0, 0, 123_456, UTC)),
            ),
            ("credential.expire_time:*", Comparison(EXPIRES, Op.HAS, None)),
            ("credential:*", Comparison(CREDENTIAL, Op.HAS, None)),
            ("capabilities:*", Comparison(CAPABILITIES, Op.HAS, None)),
            ("capabilities:tools", Comparison(CAPABILITIES, Op.HAS, ModelCapability.TOOLS)),
            ("display_name = OPEN*", Comparison(DISPLAY_NAME, Op.EQ, "open", prefix=True)),
            ('display_name != "OPEN AI*"', Comparison(DISPLAY_NAME, Op.NE, "open ai", prefix=True)),
            ("upstream_model_id = GPT*", Comparison(UPSTREAM, Op.EQ, "GPT", prefix=True)),
            ("upstream_model_id:GPT*", Comparison(UPSTREAM, Op.HAS, "gpt", prefix=True)),
            ("upstream_model_id:*", Comparison(UPSTREAM, Op.HAS, "", prefix=True)),
            (r'upstream_model_id = "a\*"', Comparison(UPSTREAM, Op.EQ, "a*")),
            (r'upstream_model_id = "a\**"', Comparison(UPSTREAM, Op.EQ, "a*", prefix=True)),
            (r'upstream_model_id = "a\\*"', Comparison(UPSTREAM, Op.EQ, "a\\", prefix=True)),
            ("labels:env", Comparison(LABELS, Op.HAS, None, "env")),
            ("labels.env:*", Comparison(LABELS, Op.HAS, None, "env")),
            ("labels.env:prod", Comparison(LABELS, Op.EQ, "prod", "env")),
            ('labels.env:"*"', Comparison(LABELS, Op.EQ, "*", "env")),
            ("labels.my-team_1 != X", Comparison(LABELS, Op.NE, "X", "my-team_1")),
        ],
    )
    def test_comparison(self, text: str, tree: Expression) -> None:
        parsed = parse_filter(text, SCHEMA)
        assert parsed == tree
        assert isinstance(parsed, Comparison)
        assert type(parsed.value) is type(tree.value)  # type: ignore[union-attr]


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "rule", "column"),
        [
            pytest.param("(a", "syntax", 1, id="open parenthesis"),
            pytest.param("a)", "syntax", 2, id="closing parenthesis"),
            pytest.param("()", "syntax", 2, id="empty parentheses"),
            pytest.param("AND", "syntax", 1, id="only a keyword"),
            pytest.param("a AND", "syntax", 6, id="and last"),
            pytest.param("a OR", "syntax", 5, id="or last"),
            pytest.param("OR a", "syntax", 1, id="or first"),
            pytest.param("a AND AND b", "syntax", 7, id="and twice"),
            pytest.param("NOT", "syntax", 4, id="not last"),
            pytest.param("NOT NOT a", "syntax", 5, id="not twice"),
            pytest.param("--a", "syntax", 2, id="minus twice"),
            pytest.param("- a", "syntax", 2, id="minus and a blank"),
            pytest.param("NOT -a", "syntax", 5, id="not minus"),
            pytest.param("a and b", "syntax", 3, id="small and"),
            pytest.param("a Or b", "syntax", 3, id="small or"),
            pytest.param('a"b"', "syntax", 2, id="no blank before a quote"),
            pytest.param("(a)(b)", "syntax", 4, id="no blank between parentheses"),
            pytest.param('a AND"b"', "syntax", 6, id="no blank behind and"),
            pytest.param("kind =", "syntax", 7, id="no value"),
            pytest.param("= a", "syntax", 1, id="no field"),
            pytest.param("kind == a", "syntax", 7, id="double equals"),
            pytest.param("kind = a = b", "value", 8, id="two comparisons"),
            pytest.param('"kind" = openai', "syntax", 8, id="quoted field"),
            pytest.param('"a', "syntax", 1, id="open quote"),
            pytest.param(r'"a\n"', "syntax", 1, id="unknown escape"),
            pytest.param('"a\\', "syntax", 1, id="open escape"),
            pytest.param("a,b", "syntax", 2, id="comma"),
            pytest.param("f(a)", "syntax", 2, id="function"),
            pytest.param("a\u00a0b", "syntax", 2, id="no-break space"),
            pytest.param("a\x00b", "characters", 2, id="nul"),
            pytest.param('"a\x1b"', "characters", 3, id="escape character in quotes"),
            pytest.param("\ud800", "characters", 1, id="surrogate"),
            pytest.param('""', "value", 1, id="empty word"),
            pytest.param("\u200d", "value", 1, id="word of joiners"),
            pytest.param('display_name:""', "value", 14, id="empty search"),
            pytest.param("secret = a", "unknown_field", 1, id="unknown field"),
            pytest.param("a uid:x", "unknown_field", 3, id="unknown field later"),
            pytest.param("labelsx.a = b", "unknown_field", 1, id="unknown map"),
            pytest.param("display_name.x = b", "unknown_field", 1, id="key of a text"),
            pytest.param("Kind = openai", "unknown_field", 1, id="field in capitals"),
            pytest.param("labels.A = b", "label_key", 1, id="label key in capitals"),
            pytest.param("labels. = b", "label_key", 1, id="no label key"),
            pytest.param("labels = b", "label_key", 10, id="map compared"),
            pytest.param("labels:B", "label_key", 8, id="has key in capitals"),
            pytest.param("labels:*", "label_key", 8, id="has any key"),
            pytest.param("labels.a < b", "operator", 10, id="label less"),
            pytest.param("routable", "syntax", 1, id="field alone"),
            pytest.param("a -labels", "syntax", 4, id="field alone in a sequence"),
            pytest.param("display_name = *ai", "value", 16, id="star first"),
            pytest.param("a*b", "value", 1, id="star inside a word"),
            pytest.param("display_name < open*", "operator", 16, id="less than a beginning"),
            pytest.param("display_name = \u200d*", "value", 16, id="beginning of joiners"),
            pytest.param("credential:x", "value", 12, id="presence of a value"),
            pytest.param("credential = x", "operator", 12, id="presence compared"),
            pytest.param("capabilities = TOOLS", "operator", 14, id="members compared"),
            pytest.param("capabilities:TOOL", "value", 14, id="unknown member"),
            pytest.param("kind : openai", "operator", 6, id="enum has"),
            pytest.param("kind > openai", "operator", 6, id="enum greater"),
            pytest.param("context_window : 1", "operator", 16, id="int has"),
            pytest.param("routable > true", "operator", 10, id="bool greater"),
            pytest.param("kind = acme", "value", 8, id="unknown kind"),
            pytest.param("kind = PROVIDER_KIND_UNSPECIFIED", "value", 8, id="unspecified"),
            pytest.param("kind = 1", "value", 8, id="enum number"),
            pytest.param("state = \u017ftate_active", "value", 9, id="enum in another script"),
            pytest.param("context_window = 1.5", "value", 18, id="fraction"),
            pytest.param("context_window = 1e3", "value", 18, id="exponent"),
            pytest.param("context_window = \u0661", "value", 18, id="other digits"),
            pytest.param("context_window = 9223372036854775808", "value", 18, id="65 bits"),
            pytest.param("context_window = " + "9" * 900, "value", 18, id="900 digits"),
            pytest.param("routable = yes", "value", 12, id="yes"),
            pytest.param("credential.expire_time:2026", "value", 24, id="time has"),
            pytest.param("credential.expire_time > 2026-04-15", "value", 26, id="date"),
            pytest.param("credential.expire_time > 2026-04-15T00:00:00", "value", 26, id="no offset"),
            pytest.param("credential.expire_time > 2026-02-30T00:00:00Z", "value", 26, id="30 February"),
            pytest.param("credential.expire_time > 2026-04-15T00:00:60Z", "value", 26, id="leap second"),
            pytest.param(
                "credential.expire_time > 0001-01-01T00:00:00+01:00", "value", 26, id="before year 1"
            ),
            pytest.param(
                "credential.expire_time > 2026-04-15T00:00:00.1234567Z", "value", 26, id="nanoseconds"
            ),
            pytest.param(
                "credential.expire_time > 2026-04-15T00:00:00000Z", "value", 26, id="zeros without point"
            ),
            pytest.param(
                "credential.expire_time > 2026-04-15T00:00:00+24:00", "value", 26, id="offset of a day"
            ),
        ],
    )
    def test_with_rule_and_column(self, text: str, rule: str, column: int) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_filter(text, SCHEMA)
        error = caught.value
        assert error.reason is Reason.INVALID_FILTER
        assert [(v.field, v.rule) for v in error.violations] == [("filter", f"filter.{rule}")]
        assert error.metadata["column"] == str(column)

    def test_an_unknown_field_is_told_the_known_ones(self) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_filter("sk-canary0123456789=x", SCHEMA)
        expected = "upstream_model_id, display_name, kind, state, context_window, routable, "
        expected += "credential.expire_time, credential, capabilities, labels.<key>"
        assert caught.value.metadata["allowed_fields"] == expected
        assert expected in caught.value.message
        assert "canary" not in caught.value.message

    def test_limits(self) -> None:
        parse_filter("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH, SCHEMA)
        parse_filter(" ".join(["a"] * MAX_TERMS), SCHEMA)
        parse_filter("a" * MAX_FILTER_LENGTH, SCHEMA)
        for text, rule in [
            ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "depth"),
            ("(" * 1000, "depth"),
            ("-(" * 500, "depth"),
            (" ".join(["a"] * (MAX_TERMS + 1)), "terms"),
            ("a" * (MAX_FILTER_LENGTH + 1), "length"),
            ("(" * 1_000_000, "length"),
        ]:
            with pytest.raises(InvalidArgument) as caught:
                parse_filter(text, SCHEMA)
            assert caught.value.violations[0].rule == f"filter.{rule}"


LEAVES = [
    "a",
    "Große",
    "gpt-4o",
    "'x y'",
    '"q\\"\\\\"',
    "kind = openai",
    "kind!=PROVIDER_KIND_AZURE",
    "state=ACTIVE",
    "context_window>=128000",
    "routable = false",
    'display_name : "\uff30rod"',
    'upstream_model_id = "a:b/c"',
    "upstream_model_id<z",
    "credential.expire_time < 2026-04-15T00:00:00.5Z",
    "credential.expire_time:*",
    "credential:*",
    "capabilities:pdf",
    "gpt*",
    "display_name!='Prod*'",
    'upstream_model_id:"a\\**"',
    "labels:env",
    "labels.env = prod",
    "labels.env != 'x'",
    "labels.a:*",
]
FRAGMENTS = [
    *LEAVES,
    *(
        "(",
        ")",
        " ",
        "AND",
        "OR",
        "NOT",
        "-",
        "=",
        "!=",
        "<",
        ":",
        '"',
        "'",
        "\\",
        "*",
        ",",
        ".",
        "\x00",
        "\u200d",
        "\ud800",
    ),
    *(
        "labels.",
        "kind",
        "context_window",
        "99999999999999999999",
        "2026-04-15T",
        "(" * 20,
        "\U0001f600",
        "\ufdfa",
    ),
]


def grammatical(rng: random.Random, depth: int) -> str:
    """A filter of the grammar, over leaves that are known to be right."""
    choice = rng.random()
    if depth == 0 or choice < 0.4:
        return rng.choice(LEAVES)
    if choice < 0.5:
        return f"NOT ({grammatical(rng, depth - 1)})"
    if choice < 0.6:
        return f"-({grammatical(rng, depth - 1)})"
    joint = rng.choice([" ", " AND ", " OR ", "\n"])
    return joint.join(f"({grammatical(rng, depth - 1)})" for _ in range(rng.randint(2, 3)))


def mutated(rng: random.Random, text: str) -> str:
    """The text with one to three cuts, doublings or insertions."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.randint(0, 4))
        text = text[:at] + rng.choice(["", text[at:end] * 2, rng.choice(FRAGMENTS)]) + text[end:]
    return text


def fuzz_input(rng: random.Random, kind: int) -> str:
    match kind:
        case 0:
            return grammatical(rng, 2)
        case 1 | 2:
            return mutated(rng, grammatical(rng, 1))
        case 3:
            return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 8)))
        case _:
            return rng.randbytes(rng.randint(1, 24)).decode(rng.choice(["latin-1", "ascii"]), "replace")


def parsed_or_refused(text: str) -> Expression | InvalidArgument | None:
    try:
        return parse_filter(text, SCHEMA)
    except InvalidArgument as error:
        return error


def accepted_and_refused(seed: int, inputs: int) -> tuple[int, int]:
    """Fuzz the parser: each input gets the typed error, or has a canonical spelling with an equal tree."""
    rng = random.Random(seed)
    accepted = refused = 0
    for number in range(inputs):
        kind = number % 5
        text = fuzz_input(rng, kind)
        tree = parsed_or_refused(text)
        if isinstance(tree, InvalidArgument):
            refused += 1
            assert tree.reason is Reason.INVALID_FILTER, (seed, text)
            assert kind != 0, f"grammatical, but refused: {text} (seed {seed})"
            continue
        accepted += 1
        if tree is None:
            assert not text.strip(" \t\r\n"), (seed, text)
        else:
            assert parse_filter(to_string(tree), SCHEMA, max_length=20_000) == tree, (seed, text)
    return accepted, refused


class TestFuzz:
    def test_nothing_breaks_it_and_nothing_malformed_passes(self) -> None:
        """`make torture` tries a hundred times as many inputs, each time others."""
        accepted, refused = accepted_and_refused(FUZZ_SEED, FUZZ_INPUTS)
        assert accepted > FUZZ_INPUTS // 5
        assert refused > FUZZ_INPUTS // 4
