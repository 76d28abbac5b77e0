"""Ids and names: what is derived is always valid, what is refused says which field."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument
from service.domain.ids import (
    check_display_name,
    derive_model_id,
    derive_provider_id,
    display_name_key,
    fold,
    parse_model_name,
    parse_provider_model_name,
    parse_provider_name,
    parse_provider_parent,
    provider_model_name,
    provider_name,
)

ID63 = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
ID128 = re.compile(r"[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?")


def never(_: str) -> bool:
    return False


class TestDeriveProviderId:
    @pytest.mark.parametrize(
        ("display_name", "expected"),
        [
            pytest.param("OpenAI Production", "openai-production", id="words"),
            pytest.param("  Über -- Größe!  ", "uber-grosse", id="accents and runs of punctuation"),
            pytest.param("3rd account", "p-3rd-account", id="digit first"),
            pytest.param("模型", "provider", id="nothing in ASCII"),
            pytest.param("\uff2f\uff50\uff45\uff4e\uff21\uff29", "openai", id="full width"),
            pytest.param("a" * 70, "a" * 63, id="cut"),
            pytest.param("a" * 62 + " b", "a" * 62, id="cut never ends with a dash"),
        ],
    )
    def test_slug(self, display_name: str, expected: str) -> None:
        assert derive_provider_id(display_name, never) == expected

    def test_counts_up_when_taken(self) -> None:
        taken = {"openai", "openai-2"}
        assert derive_provider_id("OpenAI", taken.__contains__) == "openai-3"

    def test_a_cut_id_keeps_room_for_its_number(self) -> None:
        assert derive_provider_id("a" * 70, {"a" * 63}.__contains__) == "a" * 61 + "-2"

    @given(st.text(max_size=200), st.integers(0, 12))
    def test_is_always_a_valid_free_id(self, display_name: str, collisions: int) -> None:
        taken: set[str] = set()
        for _ in range(collisions + 1):
            derived = derive_provider_id(display_name, taken.__contains__)
            assert ID63.fullmatch(derived)
            assert derived not in taken
            taken.add(derived)


class TestDeriveModelId:
    @pytest.mark.parametrize(
        ("upstream", "expected"),
        [
            ("gpt-4o", "gpt-4o"),
            ("anthropic.claude-sonnet-4-6-v1:0", "anthropic.claude-sonnet-4-6-v1-0"),
            ("claude-opus-4@20250514", "claude-opus-4-20250514"),
            ("meta-llama/Llama-3.3-70B__Instruct", "meta-llama-llama-3.3-70b-instruct"),
            ("@@@", "model"),
            (".hidden.", "hidden"),
        ],
    )
    def test_slug(self, upstream: str, expected: str) -> None:
        assert derive_model_id(upstream, never) == expected

    def test_ids_that_differ_by_case_get_numbers(self) -> None:
        assert derive_model_id("GPT-4o", {"gpt-4o"}.__contains__) == "gpt-4o-2"

    @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=256))
    def test_is_always_a_valid_free_id(self, upstream: str) -> None:
        first = derive_model_id(upstream, never)
        second = derive_model_id(upstream, {first}.__contains__)
        assert ID128.fullmatch(first)
        assert ID128.fullmatch(second)
        assert first != second


class TestFold:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param("OpenAI", "openai", id="case"),
            pytest.param("Straße", "STRASSE", id="sharp s"),
            pytest.param("ﬁne", "FINE", id="ligature"),
            pytest.param("e\u0301", "É", id="composed and decomposed"),
            pytest.param("\uff21\uff11", "a1", id="full width"),
            pytest.param("a\u200db", "AB", id="joiner"),
        ],
    )
    def test_equal_names_have_equal_keys(self, one: str, other: str) -> None:
        assert display_name_key(one) == display_name_key(other)

    def test_is_idempotent_on_the_characters_of_two_bytes_in_utf_8(self) -> None:
        """`make torture` takes all of Unicode."""
        assert [n for n in range(0x800) if fold(fold(chr(n))) != fold(chr(n))] == []

    @given(st.text())
    def test_is_idempotent(self, text: str) -> None:
        assert fold(fold(text)) == fold(text)


class TestCheckDisplayName:
    @pytest.mark.parametrize("name", ["OpenAI", "Команда 1", "模型", "👩‍💻 dev", "می‌خواهم", "a  b", "x" * 63])
    def test_accepts(self, name: str) -> None:
        check_display_name(name, field="provider.display_name")

    @pytest.mark.parametrize(
        ("name", "rule"),
        [
            pytest.param("", "display_name.not_blank", id="empty"),
            pytest.param("   ", "display_name.not_blank", id="blank"),
            pytest.param("\u200d", "display_name.not_blank", id="only a joiner"),
            pytest.param(" a", "display_name.trimmed", id="blank before"),
            pytest.param("a\u00a0", "display_name.trimmed", id="no-break space behind"),
            pytest.param("a\tb", "display_name.visible", id="tab"),
            pytest.param("a\nb", "display_name.visible", id="newline"),
            pytest.param("a\x00b", "display_name.visible", id="nul"),
            pytest.param("a\x85b", "display_name.visible", id="next line"),
            pytest.param("a\u2028b", "display_name.visible", id="line separator"),
            pytest.param("a\u202eb", "display_name.visible", id="bidi override"),
            pytest.param("a\u200bb", "display_name.visible", id="zero-width space"),
            pytest.param("a\ufeffb", "display_name.visible", id="byte order mark"),
            pytest.param("a\ud800", "display_name.visible", id="surrogate"),
            pytest.param("\ufdfa" * 63, "display_name.key_length", id="grows eighteenfold"),
        ],
    )
    def test_refuses(self, name: str, rule: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            check_display_name(name, field="provider.display_name")
        (violation,) = caught.value.violations
        assert (violation.field, violation.rule) == ("provider.display_name", rule)

    @given(st.text(max_size=63))
    def test_what_is_accepted_has_no_control_character(self, name: str) -> None:
        try:
            check_display_name(name, field="display_name")
        except InvalidArgument:
            return
        assert not any(unicodedata.category(character) == "Cc" for character in name)


class TestResourceNames:
    @pytest.mark.parametrize("provider_id", ["a", "openai-2", "a" * 63])
    def test_provider_round_trip(self, provider_id: str) -> None:
        assert parse_provider_name(provider_name(provider_id)) == provider_id
        assert parse_provider_parent(provider_name(provider_id)) == provider_id

    def test_provider_model_round_trip(self) -> None:
        assert parse_provider_model_name(provider_model_name("p", "gpt-4.1")) == ("p", "gpt-4.1")

    def test_all_providers(self) -> None:
        assert parse_provider_parent("providers/-") is None

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "providers/",
            "providers/A",
            "providers/-",
            "providers/a-",
            "providers/a\n",
            "providers/a/models",
            "providers/" + "a" * 64,
            "/providers/a",
            "providers//a",
            "providers/1a",
        ],
    )
    def test_malformed_provider_names(self, name: str) -> None:
        with pytest.raises(InvalidArgument, match=r"^provider\.name: must have the form"):
            parse_provider_name(name, field="provider.name")

    @pytest.mark.parametrize(
        "name",
        ["providers/a", "providers/a/models/", "providers/a/models/B", "providers/-/models/b", "models/b"],
    )
    def test_malformed_provider_model_names(self, name: str) -> None:
        with pytest.raises(InvalidArgument):
            parse_provider_model_name(name)

    def test_model_names(self) -> None:
        assert parse_model_name("models/gpt-4.1") == "gpt-4.1"

    @pytest.mark.parametrize("name", ["models/", "models/A", "models/a/b", "providers/a/models/b", "a"])
    def test_malformed_model_names(self, name: str) -> None:
        with pytest.raises(InvalidArgument, match=r"^model: must have the form models/\{model\}"):
            parse_model_name(name, field="model")
