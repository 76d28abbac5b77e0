"""Names of key versions, as far as the registry may read them.

| backend | name                                                       | stem, used once   | tail         |
|---------|------------------------------------------------------------|-------------------|--------------|
| local   | ``keyVersions/local-<keyring>-v<N>-<check value of it>``   | up to ``-v<N>``   | check value  |
| Transit | ``keyVersions/transit-<mount/key>-v<N>-<creation time>``   | up to ``-v<N>``   | created      |

A stem that comes back with another tail is another key under an old name: the key was deleted and made anew,
or an older keyring was restored and rotated again. Nothing may be sealed under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

COLLECTION = "keyVersions/"
_LOCAL = f"{COLLECTION}local-"
_TRANSIT = re.compile(rf"{COLLECTION}(transit-[0-9a-f]+)-v([0-9]+)-[0-9]+")


def recreated(seen: Iterable[str], names: Iterable[str]) -> str | None:
    """The first of ``names`` that stands for another key than the one seen under its stem, or None."""
    tails = {stem: tail for stem, tail in map(_parts, seen) if tail}
    for name in names:
        stem, tail = _parts(name)
        if tail and tails.get(stem, tail) != tail:
            return name
    return None


def shares_local_keyring(seen: Iterable[str], names: Iterable[str]) -> bool:
    """Whether ``names`` are of a local keyring that was seen before, so that its sequence can be compared."""
    return bool(_local_keyrings(seen) & _local_keyrings(names))


def is_late(recorded: str, current: str) -> bool:
    """Whether ``current`` is an older version of the Transit key that ``recorded`` is a version of."""
    (known, last), (key, number) = _transit(recorded), _transit(current)
    return bool(known) and known == key and number < last


def _transit(name: str) -> tuple[str, int]:
    found = _TRANSIT.fullmatch(name)
    return (found[1], int(found[2])) if found else ("", 0)


def _parts(name: str) -> tuple[str, str]:
    stem, _, tail = name.rpartition("-")
    return stem, tail


def _local_keyrings(names: Iterable[str]) -> set[str]:
    return {name.split("-", 2)[1] for name in names if name.startswith(_LOCAL)}
