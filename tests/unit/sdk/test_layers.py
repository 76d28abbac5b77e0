"""A layered mapping is a dict of which older states go on existing."""

from __future__ import annotations

from codevector_providers._layers import GONE, Gone, Layered
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.integers(0, 200)
CHANGES = st.dictionaries(KEYS, st.one_of(st.just(GONE), st.integers()), max_size=40)


def applied(known: dict[int, int], changes: dict[int, int | Gone]) -> dict[int, int]:
    together = {**known, **changes}
    return {key: value for key, value in together.items() if value is not GONE}


@given(base=st.dictionaries(KEYS, st.integers()), history=st.lists(CHANGES, max_size=12))
def test_is_the_dict_that_the_changes_make(
    base: dict[int, int], history: list[dict[int, int | Gone]]
) -> None:
    states = [(Layered(dict(base)), base)]
    for changes in history:
        layered, known = states[-1]
        states.append((layered.changed(changes), applied(known, changes)))
    for layered, known in states:
        assert dict(layered) == known
        assert len(layered) == len(known)
        assert sorted(layered) == sorted(known)
        for key in range(201):
            assert layered.get(key) == known.get(key)
            assert (key in layered) == (key in known)


def test_many_changes_are_folded_in() -> None:
    layered = Layered(dict.fromkeys(range(10_000), 0))
    longest = 0
    for key in range(5000):
        layered = layered.changed({key: GONE} if key % 2 else {key: 1})
        longest = max(longest, len(layered._changes))
    assert longest < 200
    assert len(layered) == 7500
    assert sum(layered.values()) == 2500
