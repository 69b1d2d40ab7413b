"""Pictures: plain functions from data to SVG. Widths are per cent, so that text keeps its size on a phone."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html import escape

from amasia.models.budgets import Budget
from amasia.models.forecasts import Expected
from amasia.models.money import show

HIGH = 120
"""Pixels of the day that cost most."""
GAP = 0.25
"""Of a day's width."""


def budget(found: Budget) -> str:
    """Spent and reserved as parts of the limit."""
    label = (
        f"{show(found.spent, found.currency)} spent and {show(found.reserved, found.currency)} reserved "
        f"of {show(found.limit, found.currency)}"
    )
    spent = _percent(found.spent, found.limit)
    reserved = min(100 - spent, _percent(found.reserved, found.limit))
    return (
        f'<svg class="bar" role="img" width="100%" height="8" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>"
        '<rect class="bar-all" width="100%" height="8" rx="4" fill="#d0d7de"/>'
        f'<rect class="bar-reserved" width="{spent + reserved:.2f}%" height="8" rx="4" fill="#d29922"/>'
        f'<rect class="bar-spent" width="{spent:.2f}%" height="8" rx="4" fill="#0969da"/></svg>'
    )


def share(part: int, whole: int) -> str:
    """One part of a whole, as a thin bar; decoration beside the figure itself."""
    return (
        '<svg class="part" aria-hidden="true" width="100%" height="4">'
        '<rect class="bar-all" width="100%" height="4" rx="2" fill="#d0d7de"/>'
        f'<rect class="bar-spent" width="{_percent(part, whole):.2f}%" height="4" rx="2" fill="#0969da"/></svg>'
    )


def days(spent: Mapping[date, int], first: date, ahead: Sequence[Expected], currency: str) -> str:
    """A bar for each day from the first to today, and paler ones for what is expected of the days to come."""
    today = ahead[0].day
    expected = {one.day: one.amount for one in ahead}
    count = (ahead[-1].day - first).days + 1
    whole = [first + timedelta(days=number) for number in range(count)]
    most = max((spent.get(day, 0) + expected.get(day, 0) for day in whole), default=0)
    width, bars = 100 / count, []
    for number, day in enumerate(whole):
        left = number * width
        past = HIGH * max(0, spent.get(day, 0)) / most if most else 0.0
        more = HIGH * max(0, expected.get(day, 0)) / most if most else 0.0
        said = f"{day}: {show(spent.get(day, 0), currency)}" if day <= today else f"{day}:"
        said += f" {show(expected[day], currency)} expected" if day in expected else ""
        bars += [
            _bar("bar-reserved", left, width, HIGH - past - more, more, "#d29922"),
            _bar("bar-spent", left, width, HIGH - past, past, "#0969da"),
            f'<rect x="{left:.3f}%" width="{width:.3f}%" y="18" height="{HIGH}" fill="transparent">'
            f"<title>{escape(said)}</title></rect>",
        ]
    total = sum(amount for day, amount in spent.items() if first <= day <= today)
    label = f"{show(total, currency)} from {first} to {today}, at most {show(most, currency)} a day"
    return (
        f'<svg class="days" role="img" width="100%" height="{HIGH + 40}" aria-label="{escape(label)}">'
        f'<text x="0" y="12" font-size="12">{escape(show(most, currency))} a day</text>{"".join(bars)}'
        f'<line class="ground" x1="0" x2="100%" y1="{HIGH + 18.5}" y2="{HIGH + 18.5}" stroke="#d0d7de"/>'
        f'<text x="0" y="{HIGH + 35}" font-size="12">{first:%d %b %Y}</text>'
        f'<text x="100%" y="{HIGH + 35}" font-size="12" text-anchor="end">{ahead[-1].day:%d %b %Y}</text></svg>'
    )


def _bar(look: str, left: float, width: float, top: float, height: float, colour: str) -> str:
    if height <= 0:
        return ""
    return (
        f'<rect class="{look}" x="{left + width * GAP / 2:.3f}%" y="{top + 18:.2f}" '
        f'width="{width * (1 - GAP):.3f}%" height="{height:.2f}" fill="{colour}"/>'
    )


def _percent(part: int, whole: int) -> float:
    return min(100.0, 100 * max(0, part) / whole) if whole > 0 else 0.0
