"""What a scenario makes up: envelopes that are garbled in every part, and tokens of other histories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from service.domain.history import parse_token
from tests.support.servers.harness import ROOT

_FOLDER = ROOT / "tests" / "vectors" / "envelope"
_HEADER_BYTES = 56
_NONCE_BYTES = 12
_MADE_UP = UUID("00000000-0000-4000-8000-000000000000")


def tokens(token: str) -> dict[str, str]:
    """Return well-formed tokens that differ from this one in one part each, by their names in scenarios."""
    true = parse_token(token)
    assert true is not None
    return {
        "token_of_another_store": str(replace(true, store_id=_MADE_UP)),
        "token_of_another_history": str(replace(true, content_id=_MADE_UP)),
        "token_ahead": str(replace(true, revision=true.revision + 100)),
    }


def openings() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(what, request, expected answer) for each vector and each garbled variant of it."""
    for path in sorted(_FOLDER.glob("*.json")):
        vector = json.loads(path.read_text())
        if not vector["opens"]:
            yield path.stem, _request(vector), _CORRUPT
            continue
        fields = {name: {"$sha256": value} for name, value in vector["fields"].items()}
        destinations = {"$unordered": vector["destinations"]}
        yield path.stem, _request(vector), {"ok": True, "fields": fields, "destinations": destinations}
        for what, changed in _garbled(vector):
            yield f"{path.stem}, {what}", _request(vector, **changed), _CORRUPT


_CORRUPT = {"ok": False, "reason": "CREDENTIAL_CORRUPT"}


def _request(vector: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"do": "open_vector", "vector": vector, "changed": changed}


def _garbled(vector: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    envelope = vector["envelope"]
    parts = {
        "magic": 0,
        "format": 4,
        "suite": 5,
        "flags": 7,
        "data key's id": 8,
        "commitment": 24,
        "nonce": _HEADER_BYTES,
        "first byte": _HEADER_BYTES + _NONCE_BYTES,
        "tag": len(envelope) // 2 - 1,
    }
    for part, index in parts.items():
        yield f"{part} flipped", {"envelope": _flipped(envelope, index)}
    yield "cut", {"envelope": envelope[:-2]}
    yield "cut to its header", {"envelope": envelope[: 2 * _HEADER_BYTES]}
    yield "empty", {"envelope": ""}
    yield "a block more", {"envelope": envelope + "00" * 256}
    yield "commitment of the column flipped", {"commitment": _flipped(vector["commitment"], 0)}
    yield "context flipped", {"context": _flipped(vector["context"], -1)}
    yield "context empty", {"context": ""}
    yield "another provider", {"provider_uid": "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22"}
    yield "another kind", {"kind": vector["kind"] % 12 + 1}
    yield "another type", {"type": vector["type"] % 5 + 1}
    yield "another version", {"credential_version": str(int(vector["credential_version"]) + 1)}
    yield "other destinations", {"destinations": ["api https://evil.example"]}
    yield (
        "one destination more",
        {"destinations": sorted([*vector["destinations"], "api https://evil.example"])},
    )
    yield "no destinations", {"destinations": []}


def _flipped(octets: str, index: int) -> str:
    changed = bytearray.fromhex(octets)
    changed[index] ^= 1
    return changed.hex()
