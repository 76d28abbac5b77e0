"""The frozen envelopes of tests/vectors/envelope, as values. The files never change: they open for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

FOLDER = Path(__file__).parents[2] / "vectors" / "envelope"


@dataclass(frozen=True, slots=True)
class EnvelopeVector:
    """One file. ``opens`` is False for one that a correct opener refuses."""

    name: str
    opens: bool
    deployment_id: bytes
    provider_uid: UUID
    dek_id: UUID
    credential_version: int
    kind: int
    type: int
    config: Mapping[str, str]
    destinations: tuple[str, ...]
    dek: bytes
    nonce: bytes
    fields: Mapping[str, str]
    context: bytes
    commitment: bytes
    aad: bytes
    envelope: bytes


def load(name: str) -> EnvelopeVector:
    """One vector by its file's stem."""
    return _read(FOLDER / f"{name}.json")


def load_all(*, opens: bool) -> list[EnvelopeVector]:
    """All that open, or all that are refused, by name."""
    vectors = [_read(path) for path in sorted(FOLDER.glob("*.json"))]
    return [vector for vector in vectors if vector.opens is opens]


def _read(path: Path) -> EnvelopeVector:
    value: dict[str, Any] = json.loads(path.read_text())
    octets = {
        name: bytes.fromhex(value[name])
        for name in ("deployment_id", "dek", "nonce", "context", "commitment", "aad", "envelope")
    }
    return EnvelopeVector(
        name=path.stem,
        opens=value["opens"],
        provider_uid=UUID(value["provider_uid"]),
        dek_id=UUID(value["dek_id"]),
        credential_version=int(value["credential_version"]),
        kind=value["kind"],
        type=value["type"],
        config=value["config"],
        destinations=tuple(value["destinations"]),
        fields=value["fields"],
        **octets,
    )
