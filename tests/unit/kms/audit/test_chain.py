"""Verifying: whatever is done to the files, the first changed line is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms.audit.chain import Fault, FaultReason, Segment, verify
from kms.audit.key import AuditKey
from kms.audit.lines import CHECKPOINT, Position, checkpoint_statement, encode, genesis, parse
from tests.support.servers.audits import AUDIT_KEY, now, open_audit

Lines = list[bytes]
VECTORS = Path(__file__).parents[3] / "vectors" / "kms"
_OF_EVERY_LINE = frozenset({"event", "prev", "seq", "time"})


def written(directory: Path, count: int = 10) -> Lines:
    """The lines of a small audit: start, checkpoint, ``count`` uses, stop, checkpoint."""
    with closing(open_audit(directory)) as audit:
        for number in range(count):
            audit.record("use", {"number": number}, synced=False)
    return (directory / "audit-000000000001.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return written(tmp_path / "audit")


def fault_of(lines: Lines, *expected: Position, key: bytes = AUDIT_KEY.public_key) -> Fault | None:
    return verify([Segment("a.jsonl", lines)], public_key=key, expected=expected).fault


def edited(line: bytes, old: bytes, new: bytes) -> bytes:
    assert old in line
    return line.replace(old, new)


class TestFirstBadLine:
    @pytest.mark.parametrize("index", range(1, 13))
    def test_deleted(self, lines: Lines, index: int) -> None:
        fault = fault_of(lines[:index] + lines[index + 1 :])
        assert fault is not None
        assert (fault.reason, fault.line, fault.seq) == (FaultReason.CHAIN_BROKEN, index + 1, index + 1)
        assert f"line {index + 2} is where line {index + 1} should be" in fault.description

    @pytest.mark.parametrize("index", range(2, 12))
    def test_edited(self, lines: Lines, index: int) -> None:
        lines[index] = edited(lines[index], b'"event":"use"', b'"event":"uze"')
        fault = fault_of(lines)
        assert fault is not None
        assert (fault.reason, fault.line, fault.seq) == (FaultReason.CHAIN_BROKEN, index + 1, index + 1)

    @pytest.mark.parametrize("index", range(2, 12))
    def test_edited_in_its_hash(self, lines: Lines, index: int) -> None:
        lines[index] = edited(lines[index], parse(lines[index][:-1]).prev.hex().encode(), b"0" * 64)
        fault = fault_of(lines)
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.CHAIN_BROKEN, index + 1)

    @pytest.mark.parametrize("index", range(1, 12))
    def test_swapped(self, lines: Lines, index: int) -> None:
        lines[index], lines[index + 1] = lines[index + 1], lines[index]
        fault = fault_of(lines)
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.CHAIN_BROKEN, index + 1)

    def test_doubled(self, lines: Lines) -> None:
        fault = fault_of([*lines[:5], lines[4], *lines[5:]])
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.CHAIN_BROKEN, 6)

    def test_the_very_first(self, lines: Lines) -> None:
        lines[0] = edited(lines[0], b'"deployment_id":"01', b'"deployment_id":"02')
        fault = fault_of(lines)
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.CHAIN_BROKEN, 1)

    @pytest.mark.parametrize("octets", [b"\n", b"{}\n", b"null\n", b"\xff\n", b"[" * 9999 + b"\n"])
    def test_no_audit_line(self, lines: Lines, octets: bytes) -> None:
        fault = fault_of([*lines[:4], octets, *lines[4:]])
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.MALFORMED, 5)

    def test_cut_in_the_middle(self, lines: Lines) -> None:
        lines[4] = lines[4][:-10]
        fault = verify([Segment("a", lines[:5]), Segment("b", lines[5:])], public_key=None).fault
        assert fault is not None
        assert (fault.reason, fault.file, fault.line) == (FaultReason.MALFORMED, "a", 5)

    def test_edited_before_a_file_s_end(self, lines: Lines) -> None:
        lines[4] = edited(lines[4], b'"event":"use"', b'"event":"uze"')
        fault = verify([Segment("a", lines[:5]), Segment("b", lines[5:])], public_key=None).fault
        assert fault is not None
        assert (fault.file, fault.line, fault.seq) == ("a", 5, 5)

    def test_the_line_being_written_is_no_fault(self, lines: Lines) -> None:
        found = verify([Segment("a", [*lines, b'{"event":"u'])], public_key=AUDIT_KEY.public_key)
        assert (found.fault, found.unfinished, found.last.seq) == (None, b'{"event":"u', len(lines))


class TestCutTail:
    @pytest.mark.parametrize("kept", range(1, 14))
    def test_shows_against_what_was_recorded(self, lines: Lines, kept: int) -> None:
        last = verify([Segment("a", lines)], public_key=None).last
        assert fault_of(lines, last) is None
        assert fault_of(lines[:kept]) is None, "nothing in the file itself tells"
        fault = fault_of(lines[:kept], last)
        assert fault is not None
        assert (fault.reason, fault.line, fault.seq) == (FaultReason.CUT_TAIL, kept + 1, kept + 1)

    def test_everything_gone(self) -> None:
        fault = fault_of([], Position(7, bytes(32)))
        assert fault is not None
        assert fault.reason is FaultReason.CUT_TAIL

    def test_another_line_in_its_place(self, lines: Lines) -> None:
        fault = fault_of(lines, Position(5, bytes(32)))
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.UNEXPECTED_HEAD, 5)

    def test_older_than_what_is_left_is_passed_over(self, lines: Lines) -> None:
        assert fault_of(lines[5:], Position(2, bytes(32))) is None


class TestForgery:
    """An attacker who can write the files but does not have the sidecar's key."""

    def forged(self, lines: Lines, sign: Callable[[bytes], bytes] | None) -> Lines:
        """The chain rewritten without its fourth line, its checkpoints signed with ``sign``, or left out."""
        position, result = genesis(b"\1" * 16), []
        for octets in (*lines[:3], *lines[4:]):
            fields = json.loads(octets)
            event = fields.pop("event")
            for name in ("seq", "prev", "time"):
                del fields[name]
            if event == CHECKPOINT and sign is None:
                continue
            if event == CHECKPOINT and sign is not None:
                statement = checkpoint_statement(b"\1" * 16, position, "2026-11-23T12:00:00.000Z")
                fields["signature"] = sign(statement).hex()
            line, position = encode(position, event, now(), fields)
            result.append(line)
        return result

    def test_the_next_checkpoint_tells(self, lines: Lines) -> None:
        unsigned = self.forged(lines, lambda _: bytes(64))
        fault = fault_of(unsigned)
        assert fault is not None
        assert fault.reason is FaultReason.BAD_SIGNATURE
        assert fault_of(self.forged(lines, AUDIT_KEY.sign)) is None

    def test_another_key_is_another_key(self, lines: Lines) -> None:
        other = Ed25519PrivateKey.generate()
        fault = fault_of(lines, key=other.public_key().public_bytes_raw())
        assert fault is not None
        assert (fault.reason, fault.line) == (FaultReason.BAD_SIGNATURE, 2)

    def test_leaving_checkpoints_out_tells_too(self, tmp_path: Path) -> None:
        many = written(tmp_path / "audit", 1200)
        fault = fault_of(self.forged(many, None))
        assert fault is not None
        assert fault.reason is FaultReason.CHECKPOINT_MISSING


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_any_flipped_bit_shows(lines: Lines, data: st.DataObject) -> None:
    """The chain alone covers the lines up to the last checkpoint; the recorded position covers all."""
    octets = bytearray(b"".join(lines))
    last = verify([Segment("a", lines)], public_key=None).last
    index = data.draw(st.integers(0, len(octets) - 2))
    octets[index] ^= 1 << data.draw(st.integers(0, 7))
    assert fault_of(bytes(octets).splitlines(keepends=True), last) is not None


class TestFrozenAudit:
    """Written by a second program from docs/formats/audit.md; must verify, and be reproduced, for ever."""

    @pytest.fixture
    def vector(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((VECTORS / "audit.json").read_text())
        return loaded

    @pytest.fixture
    def frozen(self) -> Lines:
        return (VECTORS / "audit.jsonl").read_bytes().splitlines(keepends=True)

    def test_verifies(self, vector: dict[str, Any], frozen: Lines) -> None:
        public_key = bytes.fromhex(vector["public_key"])
        found = verify([Segment("audit.jsonl", frozen)], public_key=public_key)
        assert (found.fault, found.checkpoints, found.signed_seq) == (None, 2, 6)
        assert {"audit_seq": found.last.seq, "audit_head": found.last.head.hex()}.items() <= vector.items()

    def test_is_written_byte_for_byte(self, vector: dict[str, Any], frozen: Lines) -> None:
        key, deployment_id = AuditKey(bytes.fromhex(vector["seed"])), bytes.fromhex(vector["deployment_id"])
        position = genesis(deployment_id)
        assert position.head.hex() == vector["genesis"]
        for octets in frozen:
            line = parse(octets[:-1])
            fields = {name: value for name, value in line.fields.items() if name not in _OF_EVERY_LINE}
            if line.event == CHECKPOINT:
                statement = checkpoint_statement(deployment_id, position, line.fields["time"])
                fields["signature"] = key.sign(statement).hex()
            written, position = encode(position, line.event, line.time, fields)
            assert written == octets
