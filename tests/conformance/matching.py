"""What a scenario says about values: words for earlier ones, and what an answer has to look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

_WORD = re.compile(r"\$\{(\w+)([+-]\d+)?\}")


def filled(value: Any, kept: Mapping[str, Any]) -> Any:
    """Return the value with its words replaced by what was kept.

    ``${number+1}`` is that number and one; ``${list}`` the last item of a list, ``${list-1}`` the one before.
    """
    match value:
        case str():
            whole = _WORD.fullmatch(value)
            if whole is None:
                return value
            found, offset = kept[whole[1]], int(whole[2] or 0)
            if isinstance(found, list):
                return found[offset - 1]
            return int(found) + offset if offset else found
        case list():
            return [filled(item, kept) for item in value]
        case dict():
            return {key: filled(item, kept) for key, item in value.items()}
    return value


def differences(expected: Any, actual: Any, where: str = "answer") -> list[str]:
    """Where the answer is not as expected. Of a document only the members that are named have to agree."""
    match expected:
        case {"$sha256": text}:
            same = actual == sha256(text.encode()).hexdigest()
        case {"$length": length}:
            same = isinstance(actual, list | str) and len(actual) == int(length)
        case {"$unordered": items}:
            same = isinstance(actual, list) and sorted(actual) == sorted(items)
        case {"$oneOf": values}:
            same = actual in values
        case dict() if isinstance(actual, dict) and (expected or not actual):
            return [
                found
                for key, value in expected.items()
                for found in differences(value, actual.get(key), f"{where}.{key}")
            ]
        case list() if isinstance(actual, list) and len(expected) == len(actual):
            return [
                found
                for index, value in enumerate(expected)
                for found in differences(value, actual[index], f"{where}[{index}]")
            ]
        case _:
            same = type(expected) is type(actual) and expected == actual
    return [] if same else [f"{where}: expected {expected!r}, was {actual!r}"]
