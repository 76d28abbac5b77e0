from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.failures import UsageFailure
from cli.times import moment, parse_stamp, span, stamp

NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("36h", NOW - timedelta(hours=36)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-04-14", datetime(2026, 4, 14, tzinfo=UTC)),
        ("2026-04-14T10:00:00Z", datetime(2026, 4, 14, 10, tzinfo=UTC)),
        ("2026-04-14T10:00:00+02:00", datetime(2026, 4, 14, 8, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "36", "h", "2026-13-01", "2027-01-01", "-1h"])
def test_no_moments(text: str) -> None:
    with pytest.raises(UsageFailure):
        moment(text, NOW)


def test_spans() -> None:
    assert span("30d") == timedelta(days=30)
    with pytest.raises(UsageFailure):
        span("a month")


def test_stamps_come_back() -> None:
    assert stamp(NOW) == "2026-04-15T12:00:00.000Z"
    assert parse_stamp(stamp(NOW)) == NOW
