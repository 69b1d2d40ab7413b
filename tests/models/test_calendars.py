from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amasia.models.calendars import check_zone, midnight, pieces, today
from amasia.models.money import cost

ZONES = st.sampled_from(["UTC", "Europe/Zurich", "America/Havana", "Asia/Beirut", "Asia/Kathmandu", "Atlantic/Azores"])
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(price=st.integers(0, 10**9), born=TIMES, begin=st.integers(0, 10**9), more=st.integers(0, 10**9), zone=ZONES)
def test_pieces_of_a_life_sum_to_it_and_none_spans_a_midnight(price, born, begin, more, zone):
    found = pieces(price, born, begin, begin + more, zone, cost(price, begin))
    assert sum(piece.milliseconds for piece in found) == more
    assert sum(piece.amount for piece in found) == cost(price, begin + more) - cost(price, begin)
    for piece in found:
        first, after = midnight(piece.day, zone), midnight(piece.day + timedelta(days=1), zone)
        assert first - timedelta(milliseconds=1) <= piece.start
        assert piece.end <= after


@given(at=TIMES, zone=ZONES)
def test_a_day_begins_before_it_ends_whatever_its_clocks_do(at, zone):
    day = today(at, zone)
    assert midnight(day, zone).astimezone(UTC) <= at < midnight(day + timedelta(days=1), zone).astimezone(UTC)


def test_a_day_of_25_hours_is_one_day():
    born = datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Zurich")).astimezone(UTC)
    assert [piece.day for piece in pieces(10, born, 0, 25 * 3_600_000, "Europe/Zurich")] == [date(2026, 10, 25)]


def test_what_is_no_time_zone_is_refused():
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="is no time zone"):
            check_zone(name)
