from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.times import epoch_ms

NOW = 1_767_607_200_000  # 2026-01-05T10:00:00Z


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", NOW),
        ("2h", NOW - 7_200_000),
        ("-2h", NOW - 7_200_000),
        ("1d12h", NOW - 129_600_000),
        ("90s ago", NOW - 90_000),
        ("2026-01-05", NOW - 36_000_000),
        ("2026-01-05T09:30", NOW - 1_800_000),
        ("2026-01-05 09:30:00.250Z", NOW - 1_799_750),
        ("2026-01-05T09:30:00+02:00", NOW - 9_000_000),
        ("9:30", NOW - 1_800_000),
        ("1767607200000", NOW),
        (1767607200000, NOW),
    ],
)
def test_points_in_time(text: str | float, ms: int) -> None:
    assert epoch_ms(text, now=NOW) == ms


@pytest.mark.parametrize("text", ["", "tomorrow", "2x", "25:00", "2026-13-01", "12345", "2h30"])
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no point in time"):
        epoch_ms(text, now=NOW)


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2200, 1, 1)))
def test_a_datetime_is_taken_as_utc_to_the_millisecond(moment: dt.datetime) -> None:
    ms = epoch_ms(moment)
    back = dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=ms)
    assert dt.timedelta() <= moment - back < dt.timedelta(milliseconds=1)
    assert epoch_ms(moment.isoformat()) == ms
