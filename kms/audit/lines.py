"""The audit line, byte for byte (docs/formats/audit.md): JSON with the hash of the line before.

    line        canonical JSON || "\\n";  hash of a line = SHA-256 of its bytes without the line end
    first prev  SHA-256(LP("codevector/audit/1", deployment_id[16]))
    checkpoint  Ed25519 over LP("codevector/audit-checkpoint/1", deployment_id[16], u64be seq, prev[32], time)

Sees identifiers and outcomes. Must never be given a key, a wrapped key, a plaintext or a token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kms.formats import length_prefixed

START = "start"
STOP = "stop"
CHECKPOINT = "checkpoint"
REPAIRED = "repaired"
RESUMED = "resumed"

OK = "OK"
"""The outcome of what did not fail."""

CHECKPOINT_LINES = 1000
"""The most lines from one checkpoint to the next, including that one."""

_CHAIN_LABEL = b"codevector/audit/1"
_CHECKPOINT_LABEL = b"codevector/audit-checkpoint/1"


class LineMalformed(ValueError):
    """Bytes that are not an audit line."""


@dataclass(frozen=True, slots=True)
class Position:
    """A line of the chain: its number from 1 and its hash; 0 and the genesis hash before the first."""

    seq: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed line. ``fields`` is the whole object, ``position`` that of the line itself."""

    position: Position
    prev: bytes
    event: str
    fields: Mapping[str, Any]

    @property
    def time(self) -> datetime:
        """Return when it was written, by the sidecar's clock. Raises LineMalformed."""
        try:
            return datetime.fromisoformat(self.fields["time"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError):
            raise LineMalformed("no valid time") from None


def genesis(deployment_id: bytes) -> Position:
    """Return the position that the first line of a deployment's audit follows."""
    return Position(0, hashlib.sha256(length_prefixed(_CHAIN_LABEL, deployment_id)).digest())


def time_text(moment: datetime) -> str:
    """Return a time as lines hold it: UTC, milliseconds, ``2026-11-23T12:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """Return a time that has an offset, such as ``2026-11-23T12:00:00Z``. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("must be a time with its offset, such as 2026-11-23T12:00:00Z")
    return moment.astimezone(UTC)


def encode(after: Position, event: str, time: datetime, fields: Mapping[str, Any]) -> tuple[bytes, Position]:
    """Return the line that follows ``after``, with its line end, and its position."""
    body = {
        **fields,
        "event": event,
        "prev": after.head.hex(),
        "seq": after.seq + 1,
        "time": time_text(time),
    }
    octets = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return octets + b"\n", Position(after.seq + 1, hashlib.sha256(octets).digest())


def parse(octets: bytes) -> Line:
    """Parse one line without its line end. Raises LineMalformed."""
    try:
        fields = json.loads(octets)
        seq, prev, event = fields["seq"], bytes.fromhex(fields["prev"]), fields["event"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise LineMalformed("not an audit line") from None
    if type(seq) is not int or seq < 1 or len(prev) != 32 or not isinstance(event, str):
        raise LineMalformed("not an audit line")
    return Line(Position(seq, hashlib.sha256(octets).digest()), prev, event, fields)


def checkpoint_statement(deployment_id: bytes, after: Position, time: str) -> bytes:
    """Return what the signature of the checkpoint after ``after`` covers."""
    seq = (after.seq + 1).to_bytes(8, "big")
    return length_prefixed(_CHECKPOINT_LABEL, deployment_id, seq, after.head, time.encode("ascii"))


def is_signed(line: Line, public_key: bytes) -> bool:
    """Return whether a checkpoint is signed by this key (32 bytes) over the chain before it."""
    try:
        deployment_id = bytes.fromhex(line.fields["deployment_id"])
        signature = bytes.fromhex(line.fields["signature"])
        after = Position(line.position.seq - 1, line.prev)
        statement = checkpoint_statement(deployment_id, after, line.fields["time"])
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidSignature):
        return False
    return True
