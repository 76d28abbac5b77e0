"""What a check found: one line for each thing that was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cli.terminal.output import Cell, Section, Tone


class Level(Enum):
    """The result of a check. Only FAILED makes a command fail."""

    OK = "ok"
    NOTE = "note"
    FAILED = "FAILED"


_TONES = {Level.OK: Tone.GOOD, Level.NOTE: Tone.WARNING, Level.FAILED: Tone.BAD}


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject`` is what was checked, ``sentence`` what was found and, if it failed, what to do."""

    subject: str
    level: Level
    sentence: str

    def as_json(self) -> dict[str, str]:
        """Return it for printing."""
        return {"subject": self.subject, "level": self.level.name, "sentence": self.sentence}


def section(findings: Sequence[Finding], title: str = "") -> Section:
    """Return the findings as rows."""
    rows = [
        (each.subject, Cell(each.level.value, _TONES[each.level]), Cell(each.sentence)) for each in findings
    ]
    return Section(title, ("check", "result", "finding"), rows)


def has_failed(findings: Sequence[Finding]) -> bool:
    """Return whether any of them failed."""
    return any(each.level is Level.FAILED for each in findings)
