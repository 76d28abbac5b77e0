"""What a check found: one line for each thing looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cli.terminal.output import Cell, Section, Tone


class Level(Enum):
    """How a thing is. Only FAILED makes a command fail."""

    OK = "ok"
    NOTE = "note"
    FAILED = "FAILED"


_TONES = {Level.OK: Tone.GOOD, Level.NOTE: Tone.WARNING, Level.FAILED: Tone.BAD}


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject`` is what was looked at, ``sentence`` what was seen and, where it failed, what to do."""

    subject: str
    level: Level
    sentence: str

    def as_json(self) -> dict[str, str]:
        """For printing."""
        return {"subject": self.subject, "level": self.level.name, "sentence": self.sentence}


def section(findings: Sequence[Finding], title: str = "") -> Section:
    """The findings as rows."""
    rows = [
        (each.subject, Cell(each.level.value, _TONES[each.level]), Cell(each.sentence)) for each in findings
    ]
    return Section(title, ("check", "result", "what was seen"), rows)


def has_failed(findings: Sequence[Finding]) -> bool:
    """Whether any of them failed."""
    return any(each.level is Level.FAILED for each in findings)
