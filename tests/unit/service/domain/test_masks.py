"""Update masks: which fields an update writes, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument, Reason
from service.domain.masks import PROVIDER_MASK, PROVIDER_MODEL_MASK, MaskRules, fields_to_write

RULES = MaskRules(
    mutable=frozenset({"title", "labels"}), immutable=frozenset({"kind"}), output_only=frozenset({"state"})
)
EVERY_FIELD = sorted(RULES.mutable | RULES.immutable | RULES.output_only | {"name", "etag"})


class TestFieldsToWrite:
    @pytest.mark.parametrize(
        ("paths", "populated", "expected"),
        [
            ([], [], set()),
            ([], ["title", "state"], {"title"}),
            ([], ["title", "kind"], {"title", "kind"}),
            (["*"], [], {"title", "labels"}),
            (["*"], ["kind", "state"], {"title", "labels", "kind"}),
            (["labels"], ["title"], {"labels"}),
            (["kind"], [], {"kind"}),
            (["labels", "labels"], [], {"labels"}),
        ],
        ids=[
            "nothing",
            "no-mask-writes-what-is-populated",
            "no-mask-compares-the-immutable",
            "star-clears-what-is-left-out",
            "star-compares-the-immutable-where-sent",
            "mask-clears-what-it-names",
            "immutable-named",
            "twice",
        ],
    )
    def test_are(self, paths: list[str], populated: list[str], expected: set[str]) -> None:
        assert fields_to_write(RULES, paths, populated) == expected

    @pytest.mark.parametrize(
        "paths",
        [
            ["state"],
            ["name"],
            ["etag"],
            ["nope"],
            [""],
            ["title.x"],
            ["Title"],
            ["*", "title"],
            ["title", "nope"],
        ],
        ids=str,
    )
    def test_refused_paths(self, paths: list[str]) -> None:
        with pytest.raises(InvalidArgument) as caught:
            fields_to_write(RULES, paths, [])
        assert caught.value.reason is Reason.INVALID_UPDATE_MASK
        assert [violation.field for violation in caught.value.violations] == ["update_mask"]

    @pytest.mark.parametrize(
        ("paths", "shown", "message"),
        [
            (
                ["displayName"],
                "displayName",
                "unknown field displayName: did you mean display_name?"
                " writable: annotations, config, display_name, labels",
            ),
            (
                ["labels.env"],
                "labels",
                "labels is written as a whole: name it without a sub-field;"
                " writable: annotations, config, display_name, labels",
            ),
            (
                ["labels", "sk-proj-0123"],
                "paths[1]",
                "unknown field at paths[1]; writable: annotations, config, display_name, labels",
            ),
            (["createTime"], "createTime", None),
            (["state"], "state", "state is output only: leave it out of the mask"),
            (["routable"], "routable", "routable is output only: leave it out of the mask"),
            (["*", "labels"], "*", "* cannot be combined with other paths"),
        ],
        ids=lambda value: str(value[0]) if isinstance(value, list) else "",
    )
    def test_a_refusal_names_the_path_and_what_is_writable(
        self, paths: list[str], shown: str, message: str | None
    ) -> None:
        with pytest.raises(InvalidArgument) as caught:
            fields_to_write(PROVIDER_MASK, paths, [])
        assert caught.value.metadata == {"path": shown}
        if message is not None:
            assert caught.value.message == f"update_mask: {message}"

    @given(st.lists(st.text(), min_size=1), st.sets(st.sampled_from(EVERY_FIELD)))
    def test_never_more_than_may_be_sent(self, paths: list[str], populated: set[str]) -> None:
        with suppress(InvalidArgument):
            assert fields_to_write(RULES, paths, populated) <= RULES.mutable | RULES.immutable

    @pytest.mark.parametrize("path", ["sk-proj-0123456789", "a b", "x" * 65, "line\nbreak"])
    def test_what_is_no_field_name_is_not_repeated(self, path: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            fields_to_write(RULES, [path], [])
        assert path not in f"{caught.value.message}{caught.value.metadata}{caught.value.violations}"


@pytest.mark.parametrize("rules", [PROVIDER_MASK, PROVIDER_MODEL_MASK], ids=["provider", "model"])
def test_no_field_is_of_two_sorts(rules: MaskRules) -> None:
    sorts = (rules.mutable, rules.immutable, rules.output_only)
    assert sum(map(len, sorts)) == len(frozenset().union(*sorts))
