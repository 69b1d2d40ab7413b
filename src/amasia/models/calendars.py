"""Days of a workspace: its money is counted by the calendar of its time zone, and every period ends at a midnight."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from amasia.models.money import cost, milliseconds


def check_zone(value: str) -> str:
    try:
        _zone(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone: write it as UTC or Europe/Zurich") from None
    return value


Zone = Annotated[str, AfterValidator(check_zone)]


class Piece(NamedTuple):
    """A stretch of a machine's life within one day, and what it costs."""

    day: date
    start: datetime
    end: datetime
    milliseconds: int
    amount: int


def today(at: datetime, zone: str) -> date:
    return at.astimezone(_zone(zone)).date()


def midnight(day: date, zone: str) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time(), _zone(zone))


def next_month(day: date) -> date:
    """The first day of the month after that of a day."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def pieces(price: int, born: datetime, begin_ms: int, end_ms: int, zone: str, paid: int = 0) -> list[Piece]:
    """A stretch of the life of a machine cut at midnights; the amounts are differences of its running total.

    Parameters
    ----------
    price
        Micro-units per hour.
    begin_ms, end_ms
        Of its life, in milliseconds since it was born.
    paid
        What its life until then was charged.
    """
    cuts = [begin_ms, *_midnights(born, begin_ms, end_ms, zone), end_ms]
    found = []
    for before, after in pairwise(cuts):
        if after > before:
            start, end = born + timedelta(milliseconds=before), born + timedelta(milliseconds=after)
            total = max(paid, cost(price, after))
            # Its last moment tells the day: a cut is a fraction of a millisecond before its midnight.
            found.append(Piece(today(end - timedelta(microseconds=1), zone), start, end, after - before, total - paid))
            paid = total
    return found


def _midnights(born: datetime, begin_ms: int, end_ms: int, zone: str) -> Iterator[int]:
    """Those inside a life, in milliseconds since its beginning."""
    day = today(born + timedelta(milliseconds=begin_ms), zone)
    while True:
        day += timedelta(days=1)
        cut = milliseconds(born, midnight(day, zone))
        if cut >= end_ms:
            return
        if cut > begin_ms:
            yield cut


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
