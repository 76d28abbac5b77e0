"""Verify an audit: walk the chain to its end, or to the first line that is wrong.

Pure, over lines: for the sidecar itself, or an auditor with copies of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from kms.audit.lines import (
    CHECKPOINT,
    CHECKPOINT_LINES,
    REPAIRED,
    Line,
    LineMalformed,
    Position,
    genesis,
    is_signed,
    parse,
)

_STARTS = 24  # lines of starts and repairs after crashes, which come before their checkpoint


class FaultReason(Enum):
    """What is wrong with a line."""

    MALFORMED = "malformed"
    CHAIN_BROKEN = "chain broken"
    BAD_SIGNATURE = "bad signature"
    CUT_TAIL = "cut tail"
    UNEXPECTED_HEAD = "unexpected head"
    CHECKPOINT_MISSING = "checkpoint missing"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first fault: file and line (from 1), and which line of the chain should be there."""

    reason: FaultReason
    file: str
    line: int
    seq: int
    description: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: its name and its lines in order, with line ends; the last may lack one."""

    name: str
    lines: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Verification:
    """The result. ``last`` is the last good line, ``signed_seq`` the last checkpoint.

    ``first_seq`` above 1 means that older files are elsewhere; the next checkpoint then vouches for the first
    line. ``unfinished`` holds what follows the last line end: a line being written, or cut by a crash.
    """

    first_seq: int
    last: Position
    signed_seq: int
    checkpoints: int
    repairs: int
    unfinished: bytes
    fault: Fault | None


def verify(
    segments: Iterable[Segment], *, public_key: bytes | None, expected: Sequence[Position] = ()
) -> Verification:
    """Walk all lines, oldest file first.

    Args:
        public_key: Of the sidecar's Ed25519 key, 32 bytes; None leaves signatures unchecked.
        expected: Positions recorded elsewhere. Those before the first line here are ignored.
    """
    walk = _Walk(public_key, expected)
    for place, following in _pairs(_places(segments)):
        if not walk.goes_on(place, following):
            break
    return walk.result()


@dataclass(frozen=True, slots=True)
class _Place:
    """A line and its place in a file."""

    file: str
    number: int
    octets: bytes


class _Walk:
    """The chain as far as it has been read."""

    def __init__(self, public_key: bytes | None, expected: Sequence[Position]) -> None:
        self._public_key = public_key
        self._expected = expected
        self._first_seq = 0
        self._last = Position(0, b"")
        self._signed_seq = 0
        self._checkpoints = 0
        self._repairs = 0
        self._unfinished = b""
        self._fault: Fault | None = None
        self._here = _Place("", 0, b"")
        self._before = self._here

    def goes_on(self, place: _Place, following: _Place | None) -> bool:
        """Read one line. Returns False at the end and at a fault."""
        self._before, self._here = self._here, place
        if not place.octets.endswith(b"\n"):
            self._unfinished = place.octets if following is None else b""
            self._fault = self._malformed() if following is not None else None
            return False
        try:
            line = parse(place.octets[:-1])
        except LineMalformed:
            self._fault = self._malformed()
            return False
        if self._first_seq == 0:
            self._begin(line)
        self._fault = self._discontinuity(line, following) or self._unsigned(line) or self._unexpected(line)
        if self._fault is not None:
            return False
        self._last = line.position
        self._repairs += line.event == REPAIRED
        if line.event == CHECKPOINT:
            self._checkpoints += 1
            self._signed_seq = line.position.seq
        return True

    def result(self) -> Verification:
        """Return what was found so far."""
        longest = max((position.seq for position in self._expected), default=0)
        if self._fault is None and longest > self._last.seq:
            self._fault = Fault(
                FaultReason.CUT_TAIL,
                self._here.file,
                self._here.number + (not self._unfinished),
                self._last.seq + 1,
                f"the audit ends at line {self._last.seq}, but line {longest} was recorded elsewhere",
            )
        return Verification(
            first_seq=self._first_seq,
            last=self._last,
            signed_seq=self._signed_seq,
            checkpoints=self._checkpoints,
            repairs=self._repairs,
            unfinished=self._unfinished,
            fault=self._fault,
        )

    def _begin(self, line: Line) -> None:
        """Line 1 follows the genesis; the first line of what is left follows whatever it names."""
        self._first_seq = line.position.seq
        self._last = Position(line.position.seq - 1, line.prev)
        if self._first_seq == 1:
            try:
                self._last = genesis(bytes.fromhex(line.fields["deployment_id"]))
            except (KeyError, TypeError, ValueError):
                self._last = Position(0, b"")

    def _discontinuity(self, line: Line, following: _Place | None) -> Fault | None:
        wanted = self._last.seq + 1
        if line.position.seq != wanted:
            text = (
                f"line {line.position.seq} is where line {wanted} should be: "
                "lines are missing, repeated or out of order"
            )
            return self._at_here(FaultReason.CHAIN_BROKEN, text)
        if line.prev == self._last.head:
            return None
        # The hash of each line is in the next. If the next line vouches for this one, the line before was
        # changed; otherwise this one was.
        if wanted > self._first_seq and _vouches(following, line):
            text = f"line {self._last.seq} was changed after it was written"
            return Fault(
                FaultReason.CHAIN_BROKEN, self._before.file, self._before.number, self._last.seq, text
            )
        return self._at_here(FaultReason.CHAIN_BROKEN, f"line {wanted} was changed after it was written")

    def _unsigned(self, line: Line) -> Fault | None:
        if line.event != CHECKPOINT:
            since = max(self._signed_seq, self._first_seq - 1)
            if line.position.seq - since < CHECKPOINT_LINES + _STARTS:
                return None
            text = f"no checkpoint since line {since}: the lines after it may be forged"
            return self._at_here(FaultReason.CHECKPOINT_MISSING, text)
        if self._public_key is None or is_signed(line, self._public_key):
            return None
        text = (
            "the checkpoint is not signed by the sidecar's key: the lines since the one before may be forged"
        )
        return self._at_here(FaultReason.BAD_SIGNATURE, text)

    def _unexpected(self, line: Line) -> Fault | None:
        heads = {position.head for position in self._expected if position.seq == line.position.seq}
        if not heads or heads == {line.position.head}:
            return None
        text = f"line {line.position.seq} is not the one that was recorded elsewhere"
        return self._at_here(FaultReason.UNEXPECTED_HEAD, text)

    def _malformed(self) -> Fault:
        return self._at_here(
            FaultReason.MALFORMED, f"line {self._last.seq + 1} is not an audit line, or is cut short"
        )

    def _at_here(self, reason: FaultReason, description: str) -> Fault:
        return Fault(reason, self._here.file, self._here.number, self._last.seq + 1, description)


def _vouches(following: _Place | None, line: Line) -> bool:
    """Return whether the next line holds this line's hash; nothing can contradict the last line."""
    if following is None:
        return True
    try:
        return parse(following.octets.rstrip(b"\n")).prev == line.position.head
    except LineMalformed:
        return False


def _places(segments: Iterable[Segment]) -> Iterator[_Place]:
    for segment in segments:
        for number, octets in enumerate(segment.lines, start=1):
            yield _Place(segment.name, number, octets)


def _pairs(places: Iterator[_Place]) -> Iterator[tuple[_Place, _Place | None]]:
    """Yield each line with the one after it."""
    previous: _Place | None = None
    for place in places:
        if previous is not None:
            yield previous, place
        previous = place
    if previous is not None:
        yield previous, None
