"""Column types keep values exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.store.columns import from_micros, to_micros


class TestMicros:
    @given(st.datetimes(timezones=st.timezones()))
    def test_keep_every_time_to_the_microsecond(self, moment: datetime) -> None:
        try:
            in_utc = moment.astimezone(UTC)
        except OverflowError:  # within hours of the calendar's ends
            return
        assert from_micros(to_micros(moment)) == in_utc

    @pytest.mark.parametrize(
        ("moment", "micros"),
        [
            pytest.param(datetime(1970, 1, 1, tzinfo=UTC), 0, id="epoch"),
            pytest.param(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1, id="before"),
            pytest.param(
                datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0, id="another time zone"
            ),
            pytest.param(
                datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 253402300799999999, id="end"
            ),
        ],
    )
    def test_are_exact(self, moment: datetime, micros: int) -> None:
        assert to_micros(moment) == micros
        assert from_micros(micros) == moment
