"""The filter language of the list RPCs: a subset of AIP-160, by recursive descent.

    filter      = [ expression ]
    expression  = sequence { "AND" sequence }
    sequence    = factor { factor }              factors in a row mean AND
    factor      = term { "OR" term }             OR binds tighter than AND: AIP-160 has it so
    term        = [ "NOT" | "-" ] simple
    simple      = "(" expression ")" | restriction | word
    restriction = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) literal
    literal     = text without spaces, or "…" or '…' with a backslash before quotes, backslashes and "*"

A text that ends in ``*`` matches the beginning of a STRING or a NAME. Keywords are in capitals. A word that
only looks like one (``and``), or that is the name of a field, is refused, unless in quotes, since it would
silently be searched for. Messages name the column and never repeat the filter: a secret may be in it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from service.domain.errors import FieldViolation, InvalidArgument, Reason
from service.domain.filters import (
    OPERATORS,
    And,
    Comparison,
    Expression,
    FilterField,
    FilterSchema,
    FilterType,
    Not,
    Op,
    Or,
    Value,
    Word,
)
from service.domain.ids import fold

MAX_FILTER_LENGTH = 1024
MAX_DEPTH = 16
MAX_TERMS = 64

_SPACES = " \t\r\n"
_OPERATOR = re.compile(r"!=|<=|>=|[=<>:]")
# "~" is an operator elsewhere: read as a word it would quietly find nothing.
_TEXT = re.compile(r"""[^\s()"'<>=!:,~\\]+""")
_LITERAL = re.compile(r"""[^\s()"'<>=!,\\]+""")
"""Unquoted literals may hold colons, as times and upstream model ids do."""
_QUOTED = re.compile(r""""((?:[^"\\]|\\["'*\\])*)"|'((?:[^'\\]|\\["'*\\])*)\'""")
_ESCAPE = re.compile(r"\\(.)")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_INT = re.compile(r"-?[0-9]{1,19}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6}0{0,3})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_KEYWORDS = frozenset({"AND", "OR", "NOT"})
_LABEL_KEY_RULE = "a label key has lower-case letters, digits, - and _, and starts with a letter"
_EXAMPLES = {
    FilterType.STRING: '{} = "text"',
    FilterType.NAME: '{} = "text"',
    FilterType.ENUM: "{} = VALUE",
    FilterType.INT: "{} = 1",
    FilterType.BOOL: "{} = true",
    FilterType.TIME: "{} > 2026-04-15T00:00:00Z",
    FilterType.PRESENCE: "{}:*",
    FilterType.MEMBERS: "{}:VALUE",
    FilterType.PATHS: "{}:*",
    FilterType.LABELS: "{}.key = value",
}
"""How a field is used, for callers who wrote its name alone."""


def parse_filter(
    text: str, schema: FilterSchema, *, max_length: int = MAX_FILTER_LENGTH
) -> Expression | None:
    """The tree of a filter, or None for an empty one, which keeps every row.

    Raises:
        InvalidArgument: reason INVALID_FILTER on ``filter``, with the column; for an unknown field also the
            allowed ones. More than 1,024 characters, 64 terms or 16 nested parentheses are refused.
    """
    if len(text) > max_length:
        raise _invalid(f"must have at most {max_length} characters", "length", {"maximum": str(max_length)})
    return _Parser(text, schema).parse()


@dataclass(frozen=True, slots=True)
class _Literal:
    """A text as the caller meant it. In ``pattern``, of the same length, escaped characters are NUL."""

    text: str
    pattern: str
    quoted: bool


class _Parser:
    """Reads ``_text`` from left to right; ``_at`` is the offset of the first unread character."""

    __slots__ = ("_at", "_depth", "_schema", "_terms", "_text")

    def __init__(self, text: str, schema: FilterSchema) -> None:
        self._text = text
        self._schema = schema
        self._at = 0
        self._depth = 0
        self._terms = 0

    def parse(self) -> Expression | None:
        for at, character in enumerate(self._text):
            if unicodedata.category(character) in ("Cc", "Cs") and character not in _SPACES:
                self._fail("control characters are not allowed", "characters", at)
        self._skip_spaces()
        if self._ended():
            return None
        expression = self._expression()
        if not self._ended():
            self._fail("this parenthesis was never opened", "syntax")
        return expression

    def _expression(self) -> Expression:
        sequences = [self._sequence()]
        while self._take_keyword("AND"):
            sequences.append(self._sequence())
        return _all_of(sequences)

    def _sequence(self) -> Expression:
        factors = [self._factor()]
        while not self._ended() and self._text[self._at] != ")" and self._keyword() not in ("AND", "OR"):
            factors.append(self._factor())
        return _all_of(factors)

    def _factor(self) -> Expression:
        terms = [self._term()]
        while self._take_keyword("OR"):
            terms.append(self._term())
        if len(terms) == 1:
            return terms[0]
        return Or(
            tuple(inner for term in terms for inner in (term.terms if isinstance(term, Or) else (term,)))
        )

    def _term(self) -> Expression:
        if self._take_keyword("NOT"):
            return Not(self._simple())
        if self._text.startswith("-", self._at):
            self._at += 1
            return Not(self._simple())
        return self._simple()

    def _simple(self) -> Expression:
        simple = self._group() if self._text.startswith("(", self._at) else self._leaf()
        if not self._ended() and self._text[self._at] not in _SPACES + ")":
            self._fail("expected a space between two terms", "syntax")
        self._skip_spaces()
        return simple

    def _group(self) -> Expression:
        if self._depth == MAX_DEPTH:
            self._fail(f"parentheses may be nested {MAX_DEPTH} deep at most", "depth")
        opened_at = self._at
        self._depth += 1
        self._at += 1
        self._skip_spaces()
        expression = self._expression()
        if self._ended():
            self._fail("this parenthesis is never closed", "syntax", opened_at)
        self._at += 1
        self._depth -= 1
        return expression

    def _leaf(self) -> Expression:
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._fail(f"there may be {MAX_TERMS} terms at most", "terms")
        started_at = self._at
        quoted = self._take_quoted()
        if quoted is not None:
            return self._word(quoted, started_at)
        text = _TEXT.match(self._text, self._at)
        if text is None or text[0] in _KEYWORDS or text[0].startswith("-"):
            self._fail("expected a word, a quoted text, field = value, or a parenthesis", "syntax")
        self._at = text.end()
        operator_at = len(self._text) - len(self._text[self._at :].lstrip(_SPACES))
        operator = _OPERATOR.match(self._text, operator_at)
        if operator is not None:
            self._at = operator.end()
            self._skip_spaces()
            return self._comparison(text[0], Op(operator[0]), started_at, operator_at)
        if text[0].upper() in _KEYWORDS:
            self._fail("write AND, OR and NOT in capitals, or put the word in quotes", "syntax", started_at)
        field = self._schema.find(text[0])
        if field is not None:
            self._fail(
                f"write {_EXAMPLES[field.type].format(field.name)}, or put the word in quotes",
                "syntax",
                started_at,
            )
        return self._word(_Literal(text[0], text[0], quoted=False), started_at)

    def _word(self, literal: _Literal, at: int) -> Comparison | Word:
        field = self._schema.word_field
        if "*" in literal.pattern:
            return self._prefix(field, Op.HAS, literal, at)
        return Word(field, self._folded(literal.text, at))

    def _comparison(self, path: str, op: Op, path_at: int, operator_at: int) -> Comparison:
        field, key = self._field(path, path_at)
        if op not in OPERATORS[field.type]:
            allowed = " ".join(known for known in Op if known in OPERATORS[field.type])
            self._fail(f"this field takes {allowed}", "operator", operator_at)
        literal_at = self._at
        literal = self._take_literal()
        present = op is Op.HAS and literal.text == "*" and not literal.quoted
        if field.type is FilterType.LABELS:
            return self._label(field, key, op, literal.text, present, literal_at)
        if op is Op.HAS and field.type in (FilterType.TIME, FilterType.PRESENCE):
            if not present:
                self._fail("this field takes : with * only", "value", literal_at)
            return Comparison(field, op, None)
        if present and field.type in (FilterType.MEMBERS, FilterType.PATHS):
            return Comparison(field, op, None)
        if "*" in literal.pattern and field.type in (FilterType.STRING, FilterType.NAME):
            return self._prefix(field, op, literal, literal_at)
        return Comparison(field, op, self._value(field, op, literal.text, literal_at))

    def _prefix(self, field: FilterField, op: Op, literal: _Literal, at: int) -> Comparison:
        """A text with a star. ``*`` alone begins everything."""
        if literal.pattern.index("*") + 1 < len(literal.pattern):
            self._fail('* is allowed only at the end, as in open*; a star itself is "\\*"', "value", at)
        if op not in (Op.EQ, Op.NE, Op.HAS):
            self._fail("a text that ends in * takes = != :", "operator", at)
        beginning = literal.text[:-1]
        if beginning and (op is Op.HAS or field.type is FilterType.NAME):
            beginning = self._folded(beginning, at)
        return Comparison(field, op, beginning, prefix=True)

    def _field(self, path: str, at: int) -> tuple[FilterField, str]:
        field = self._schema.find(path)
        if field is not None:
            return field, ""
        name, _, key = path.partition(".")
        field = self._schema.find(name)
        if field is None or field.type is not FilterType.LABELS:
            names = (
                f"{f.name}.<key>" if f.type is FilterType.LABELS else f.name for f in self._schema.fields
            )
            allowed = ", ".join(names)
            self._fail(f"unknown field; allowed: {allowed}", "unknown_field", at, {"allowed_fields": allowed})
        if not _LABEL_KEY.fullmatch(key):
            self._fail(_LABEL_KEY_RULE, "label_key", at)
        return field, key

    def _label(
        self, field: FilterField, key: str, op: Op, literal: str, present: bool, at: int
    ) -> Comparison:
        if key:
            return (
                Comparison(field, op, None, key) if present else Comparison(field, _equals(op), literal, key)
            )
        if op is not Op.HAS:
            self._fail(f"write {field.name}.<key> {op} value", "label_key", at)
        if not _LABEL_KEY.fullmatch(literal):
            self._fail(_LABEL_KEY_RULE, "label_key", at)
        return Comparison(field, op, None, literal)

    def _value(self, field: FilterField, op: Op, literal: str, at: int) -> Value:
        match field.type:
            case FilterType.STRING | FilterType.NAME | FilterType.LABELS | FilterType.PATHS:
                if op is Op.HAS:
                    return self._folded(literal, at)
                return fold(literal) if field.type is FilterType.NAME else literal
            case FilterType.ENUM | FilterType.MEMBERS:
                return self._enum(field, literal, at)
            case FilterType.INT:
                if not _INT.fullmatch(literal) or not -(2**63) <= int(literal) < 2**63:
                    self._fail("expected a whole number", "value", at)
                return int(literal)
            case FilterType.BOOL:
                if literal not in ("true", "false"):
                    self._fail("expected true or false", "value", at)
                return literal == "true"
            case FilterType.TIME | FilterType.PRESENCE:
                return self._time(literal, at)

    def _enum(self, field: FilterField, literal: str, at: int) -> Value:
        name = literal.upper().replace("-", "_").removeprefix(field.prefix) if literal.isascii() else ""
        members = {member.name: member for member in field.members}
        if name not in members:
            self._fail(f"expected one of {', '.join(members)}", "value", at)
        return members[name]

    def _time(self, literal: str, at: int) -> datetime:
        time = _parse_time(literal.upper()) if literal.isascii() else None
        if time is None:
            self._fail("expected a time such as 2026-04-15T00:00:00Z, to the microsecond", "value", at)
        return time

    def _folded(self, text: str, at: int) -> str:
        """What is searched for: never empty, which would be found everywhere."""
        folded = fold(text)
        if not folded:
            self._fail("expected something to search for", "value", at)
        return folded

    def _take_literal(self) -> _Literal:
        quoted = self._take_quoted()
        if quoted is not None:
            return quoted
        text = _LITERAL.match(self._text, self._at)
        if text is None:
            self._fail("expected a value, in quotes if it has spaces or special characters", "syntax")
        self._at = text.end()
        return _Literal(text[0], text[0], quoted=False)

    def _take_quoted(self) -> _Literal | None:
        if self._ended() or self._text[self._at] not in "\"'":
            return None
        match = _QUOTED.match(self._text, self._at)
        if match is None:
            self._fail("this quote is never closed, or has a backslash before another character", "syntax")
        self._at = match.end()
        raw = match[1] if match[1] is not None else match[2]
        return _Literal(_ESCAPE.sub(r"\1", raw), _ESCAPE.sub("\0", raw), quoted=True)

    def _take_keyword(self, keyword: str) -> bool:
        if self._keyword() != keyword:
            return False
        self._at += len(keyword)
        if not self._ended() and self._text[self._at] not in _SPACES + "(":
            self._fail(f"expected a space after {keyword}", "syntax")
        self._skip_spaces()
        return True

    def _keyword(self) -> str | None:
        text = _TEXT.match(self._text, self._at)
        return text[0] if text is not None and text[0] in _KEYWORDS else None

    def _skip_spaces(self) -> None:
        while not self._ended() and self._text[self._at] in _SPACES:
            self._at += 1

    def _ended(self) -> bool:
        return self._at >= len(self._text)

    def _fail(
        self, description: str, rule: str, at: int | None = None, metadata: dict[str, str] | None = None
    ) -> NoReturn:
        column = str((self._at if at is None else at) + 1)
        raise _invalid(f"column {column}: {description}", rule, {"column": column, **(metadata or {})})


def _all_of(terms: list[Expression]) -> Expression:
    if len(terms) == 1:
        return terms[0]
    return And(tuple(inner for term in terms for inner in (term.terms if isinstance(term, And) else (term,))))


def _parse_time(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _equals(op: Op) -> Op:
    """AIP-160: on one key of a map ``:`` means the same as ``=``."""
    return Op.EQ if op is Op.HAS else op


def _invalid(description: str, rule: str, metadata: dict[str, str]) -> InvalidArgument:
    return InvalidArgument(
        f"filter: {description}",
        reason=Reason.INVALID_FILTER,
        violations=[FieldViolation("filter", description, f"filter.{rule}")],
        metadata={"field": "filter", **metadata},
    )
