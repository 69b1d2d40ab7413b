"""What is to come, from what was: money by the day, and by the days of the week.

The mean of the same weekdays of the last weeks is expected of each day to come (the seasonal mean; Hyndman and
Athanasopoulos, *Forecasting: Principles and Practice*, 3rd edition, chapter 5.2), and the mean of all days where there
are not yet two weeks. The interval holds four times in five, if days differ from their mean as they did.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from math import sqrt
from statistics import fmean

from amasia.models.base import Model, Name

WEEKS = 8
"""That are looked back on."""
ENOUGH = 14
"""Days, for weekdays to be told apart."""
FEW = 3
"""Days, below which no interval is said."""
Z = 1.2816
"""Standard deviations to each side of which four in five lie."""
FARTHEST = 366
"""Days that are looked ahead."""


class Expected(Model):
    """Of one day to come."""

    day: date
    amount: int
    """Micro-units, like all amounts here."""


class BudgetForecast(Model):
    """Where a budget goes."""

    name: Name
    limit: int
    used: int
    """Spent and reserved in the period that it is now."""
    ends: date | None
    """Last day of that period; None for never."""
    expected: int | None
    """At the end of that period, if it goes on like this; None where it has no end."""
    runs_out: date | None
    """The day on which nothing is left; None for not in this period, or not within a year."""


class Forecast(Model):
    """To the end of the month, by the workspace's calendar."""

    workspace: Name
    currency: str
    user: str = ""
    """Whose; empty for the whole workspace's."""
    today: date
    until: date
    """Last day of the month."""
    spent: int
    """In this month so far, storage and egress too."""
    reserved: int
    """Promised to what runs now."""
    rate: int
    """Per hour, of what runs now."""
    expected: int
    """In all of the month."""
    low: int | None
    """Four times in five it is not less; None where too few days are known."""
    high: int | None
    method: str
    """How it was found, in words."""
    days: tuple[Expected, ...] = ()
    """From today on: what is still to come today, and on each later day."""
    budgets: tuple[BudgetForecast, ...] = ()


class Outlook:
    """What days to come are expected to cost, by the days before today.

    Parameters
    ----------
    past
        Micro-units by day; days that are missing between the first and today cost nothing.
    so_far
        What today has cost, and what is promised to what runs.
    """

    def __init__(self, past: Mapping[date, int], today: date, so_far: int) -> None:
        first = max(min(past, default=today), today - timedelta(weeks=WEEKS))
        self.today, self.so_far = today, so_far
        self.days = [first + timedelta(days=number) for number in range((today - first).days)]
        amounts = [past.get(day, 0) for day in self.days]
        self.mean = fmean(amounts) if amounts else 0.0
        self.weekly = len(self.days) >= ENOUGH
        self._weekdays = {
            weekday: fmean(amount for day, amount in zip(self.days, amounts, strict=True) if day.weekday() == weekday)
            for weekday in (range(7) if self.weekly else ())
        }
        misses = [amount - self.of(day) for day, amount in zip(self.days, amounts, strict=True)]
        free = len(misses) - (7 if self.weekly else 1)
        self.deviation = sqrt(sum(miss * miss for miss in misses) / free) if free > 0 else 0.0

    def of(self, day: date) -> float:
        """A whole day."""
        return self._weekdays.get(day.weekday(), self.mean)

    def ahead(self, until: date) -> list[Expected]:
        """What is still to come on each day from today to another, that one included."""
        left = max(0, round(self.of(self.today)) - self.so_far)
        later = [self.today + timedelta(days=number) for number in range(1, (until - self.today).days + 1)]
        return [
            Expected(day=self.today, amount=left),
            *(Expected(day=day, amount=round(self.of(day))) for day in later),
        ]

    def spread(self, days: int) -> int | None:
        """How much the sum of so many days may miss: each by its own, all by what the mean itself is not sure of."""
        if len(self.days) < FEW:
            return None
        return round(Z * self.deviation * sqrt(days + days * days / len(self.days)))

    @property
    def method(self) -> str:
        if not self.days:
            return "nothing is known of days before: what was spent today, and what is promised to what runs"
        if self.weekly:
            return f"the mean of the same weekdays of the last {len(self.days)} days"
        return f"the mean of the last {len(self.days)} {'day' if len(self.days) == 1 else 'days'}"


def runs_out(left: int, ahead: Sequence[Expected]) -> date | None:
    """The day on which so much is used up."""
    if left <= 0:
        return ahead[0].day if ahead else None
    sums = accumulate(one.amount for one in ahead)
    return next((one.day for one, total in zip(ahead, sums, strict=True) if total >= left), None)
