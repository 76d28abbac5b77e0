"""What an interrupted rotation needs to be resumed, written before each step that cannot be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import proofs
from cli.failures import Failure
from cli.keys.receipt import ProviderRows
from cli.times import parse_stamp, stamp

FORMAT = "codevector/rotation-journal/1"

ORIGIN_NEW = "NEW"
ORIGIN_PENDING = "PENDING"
ORIGIN_UNDER_WAY = "UNDER_WAY"


@dataclass(frozen=True, slots=True)
class Journal:
    """One unfinished rotation.

    ``target`` is empty until the version exists; ``request_id`` is empty where it existed already: pending
    (``ORIGIN_PENDING``), or the primary with data keys still under others (``ORIGIN_UNDER_WAY``).
    """

    origin: str
    start_time: datetime
    run_count: int
    deployment_id: str
    request_id: str
    expected_latest: str
    target: str
    previous_primary: str
    count_before: int
    usage_before: Mapping[str, int]
    rows_before: ProviderRows
    receipt: str

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "start_time": stamp(self.start_time),
            "usage_before": dict(self.usage_before),
            "format": FORMAT,
        }

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Journal:
        """Read what ``as_json`` made. Raises KeyError, TypeError or ValueError on anything else."""
        fields = {name: content[name] for name in cls.__slots__}
        fields["start_time"] = parse_stamp(fields["start_time"])
        fields["rows_before"] = ProviderRows.parse(fields["rows_before"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class JournalFile:
    """The place of a journal."""

    path: Path

    def read(self) -> Journal | None:
        """Return the unfinished rotation, or None.

        Raises:
            Failure: the file is not one of ours.
        """
        content = proofs.read(self.path)
        if content is None:
            return None
        try:
            if content["format"] != FORMAT:
                raise ValueError
            return Journal.parse(content)
        except (KeyError, TypeError, ValueError):
            raise Failure(
                f"{self.path} is not the journal of a rotation: move it away to start a new one"
            ) from None

    def write(self, journal: Journal) -> None:
        """Write the journal; it is on disk when this returns."""
        proofs.write(self.path, journal.as_json())

    def remove(self) -> None:
        """Remove the journal of a finished rotation."""
        proofs.remove(self.path)
