"""The table of tests/vectors/kinds: what every implementation derives from a provider's kind and settings.

The registry, the Python library and the clients in Go, TypeScript and Java each read it in their own tests.
Entries are added and never changed: routers in the field derive the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors/kinds/kinds.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Case:
    """Where a credential of this type may go, at a provider with these settings."""

    kind: int
    config: Mapping[str, str]
    credential_type: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindVector:
    """One kind: its word and number, what it calls by default, and the credential types that it takes."""

    kind: str
    number: int
    default_base_url: str
    credential_types: Mapping[str, int]
    cases: tuple[Case, ...]


def _kind(entry: dict[str, Any]) -> KindVector:
    types: dict[str, int] = entry["credential_types"]
    return KindVector(
        kind=entry["kind"],
        number=entry["number"],
        default_base_url=entry["default_base_url"],
        credential_types=types,
        cases=tuple(
            Case(entry["number"], case["config"], types[case["credential_type"]], tuple(case["items"]))
            for case in entry["destinations"]
        ),
    )


KINDS = tuple(_kind(entry) for entry in _TABLE["kinds"])
CASES = tuple(case for kind in KINDS for case in kind.cases)
HOSTS: Mapping[str, str] = _TABLE["hosts"]
"""How far away each host is: public, private, loopback or forbidden."""
