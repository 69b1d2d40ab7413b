"""Money is integer micro-units of a workspace's currency: 1_000_000 is one euro, dollar or franc.

Nothing here is a float. Time is integer milliseconds, so that sums of charges equal lifetimes exactly.
"""

from datetime import datetime, timedelta
from typing import NewType

Micros = NewType("Micros", int)

HOUR_MS = 3_600_000
LONGEST = 40
"""Digits before the point of an amount that somebody writes; how much it may be, is for what it is an amount of."""


def cost(price_per_hour: int, milliseconds: int) -> Micros:
    """What a machine costs after so many milliseconds, rounded up to a micro-unit.

    Charges are differences of this running total, so any way of cutting a lifetime into charges sums to the same.
    """
    if milliseconds <= 0:
        return Micros(0)
    return Micros(-(-price_per_hour * milliseconds // HOUR_MS))


def milliseconds(start: datetime, end: datetime) -> int:
    return max(0, (end - start) // timedelta(milliseconds=1))


def show(amount: int | None, currency: str = "EUR") -> str:
    """``0.0123 EUR``; small amounts keep their first two digits; ``unknown`` where no price is known."""
    if amount is None:
        return "unknown"
    value = abs(amount) / 1_000_000
    if value == 0 or value >= 0.095:
        text = f"{value:,.2f}"
    elif value >= 0.000_095:
        text = f"{value:.4f}"
    else:
        text = f"{value:.6f}"
    return f"{'-' if amount < 0 else ''}{text} {currency}"


def plain(amount: int) -> str:
    """``12.50``: exactly as much as `parse` reads from it; not for what is below zero."""
    whole, part = divmod(amount, 1_000_000)
    return f"{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}"


def parse(text: str) -> Micros:
    """``"12.50"`` as 12_500_000 micro-units. Exact: read as digits, never as a float."""
    whole, _, part = text.strip().partition(".")
    digits = (part + "000000")[:6]
    figures = f"{whole or '0'}{digits}"
    good = (whole or part) and figures.isascii() and figures.isdecimal()
    if not good or len(part) > 6 or len(whole) > LONGEST:
        raise ValueError(f"{text!r} is no amount of money: write it as 12.50, with at most six decimals")
    return Micros(int(whole or "0") * 1_000_000 + int(digits))
