"""Budgets, charges and reservations.

``spent + reserved <= limit`` holds at every moment in every hard budget, whatever runs and is stored: a machine runs
only on time that was reserved before in all that apply to it. It holds no more where somebody lowers a limit, or a
cloud's bill tells of egress that was spent already; then nothing starts, and nothing goes on.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from amasia.models.base import LARGEST, Day, Model, Name, Time
from amasia.models.calendars import midnight, next_month
from amasia.models.money import show

MAIN = "workspace"
"""Name of the budget that every workspace has: for all that it ever costs."""
OUTSIDE = "outside"
"""Key of the time before and after the days of a grant, when it holds no money."""
Key = tuple[str, str]
"""Of one period of one budget: the budget's id, and the period's name."""
KINDS = ("workspace", "user", "group", "tag", "location")
"""Of scopes."""


def check_tag(value: str) -> str:
    key, equals, word = value.partition("=")
    if not (equals and key.strip() and word.strip()) or len(value) > 200 or not value.isprintable():
        raise ValueError(f"{value!r} is no tag: write it as key=value, with at most 200 characters")
    return value


class BudgetScope(Model):
    """Whose or which spending a budget counts: a kind, and a name of that kind."""

    kind: str = "workspace"
    name: str = Field(default="", max_length=200)
    """User, group, location, or tag as ``key=value``; empty for the workspace as a whole."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else f"the {self.kind}"


class Period(StrEnum):
    total = "total"
    """All that is ever spent."""
    day = "day"
    month = "month"
    grant = "grant"
    """From one day to another, both included, and nothing before or after."""

    @property
    def recurs(self) -> bool:
        return self in (Period.day, Period.month)


class Budget(Model):
    workspace: Name
    name: Name = MAIN
    scope: BudgetScope = BudgetScope()
    period: Period = Period.total
    starts: date | None = None
    """First day of a grant."""
    ends: date | None = None
    """Last day of a grant."""
    hard: bool = True
    """Nothing starts or goes on beyond it; a soft one only tells."""
    limit: int
    """Micro-units that may be spent in one period."""
    spent: int = 0
    """In the period that it is now."""
    reserved: int = 0
    """Promised to the leases of running machines, in this period."""
    currency: str = "EUR"
    time_zone: str = "UTC"
    """Whose midnights its periods turn at."""
    resets_at: Time | None = None
    """When the period that it is now ends; None for never."""
    owner: str = ""
    """Who made it."""

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.reserved

    def overdrawn(self, day: date) -> bool:
        """Whether it holds more than it has room for on a day, and lets nothing go on that it counts."""
        key = self.key(day)
        used = self.reserved + (0 if key == OUTSIDE else self.spent)
        return self.hard and used > self.room(key)

    def key(self, day: date) -> str:
        """Names the period that a day is in."""
        match self.period:
            case Period.day:
                return day.isoformat()
            case Period.month:
                return day.isoformat()[:7]
            case Period.grant:
                inside = (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)
                return "" if inside else OUTSIDE
            case _:
                return ""

    def first(self, day: date) -> date:
        """First day of the period that a day is in; the first of all days where there is none before."""
        match self.period:
            case Period.day:
                return day
            case Period.month:
                return day.replace(day=1)
            case _:
                return date.min

    def turns(self, day: date) -> Time | None:
        """When the period that a day is in is over."""
        match self.period:
            case Period.day:
                return midnight(day + timedelta(days=1), self.time_zone)
            case Period.month:
                return midnight(next_month(day), self.time_zone)
            case Period.grant if self.ends is not None and day <= self.ends:
                return midnight(self.ends + timedelta(days=1), self.time_zone)
            case _:
                return None

    def room(self, key: str) -> int:
        """All that may be spent in a period."""
        return 0 if key == OUTSIDE else self.limit

    def __str__(self) -> str:
        each = {Period.total: "in all", Period.day: "a day", Period.month: "a month"}
        span = each.get(self.period) or f"from {self.starts} to {self.ends}"
        money = f"{show(self.limit, self.currency)} {span}{'' if self.hard else ', soft'}"
        return f"of {self.workspace!r} ({money})" if self.name == MAIN else f"{self.name!r} ({self.scope}, {money})"


Money = Annotated[int, Field(ge=0, le=LARGEST // 2)]


class BudgetRequest(Model):
    """The limit of a budget."""

    limit: Money
    confirmed: bool = False
    """Whoever asks knows that it ends what runs; needed where a hard budget holds more already."""


def check_kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"{value!r} cannot have a budget: it is one of {', '.join(KINDS)}")
    return value


class NewScope(BudgetScope):
    kind: Annotated[str, AfterValidator(check_kind)] = "workspace"

    @model_validator(mode="after")
    def named(self) -> "NewScope":
        if (self.kind == "workspace") != (not self.name):
            raise ValueError("a budget of a user, group, tag or location says which, and that of the workspace not")
        if self.kind == "tag":
            check_tag(self.name)
        return self


class NewBudget(Model):
    """A budget as it is to be; what was spent in its period so far counts."""

    name: Name
    scope: NewScope = NewScope()
    period: Period = Period.total
    starts: Day | None = None
    ends: Day | None = None
    hard: bool = True
    limit: Money
    confirmed: bool = False
    """As where a limit is set: whoever asks knows that it ends what runs."""

    @model_validator(mode="after")
    def dated(self) -> "NewBudget":
        if self.period is not Period.grant:
            if self.starts or self.ends:
                raise ValueError("only a grant has a first and a last day")
        elif self.starts is None or self.ends is None or self.ends < self.starts:
            raise ValueError("a grant has a first day, and a last one that is not before it")
        return self


class Count(Model):
    """What one period of a budget holds."""

    spent: int = 0
    reserved: int = 0
    told: int = 0
    """The highest mark of which people were told; see `models.alerts`."""


class Charge(Model):
    """Append-only: one stretch of a machine's life."""

    id: int
    workspace: Name
    user: Name
    cluster_id: str | None
    machine_id: str
    machine_type: str
    group: str = ""
    """Worker group that it was in; empty for none."""
    location: str = ""
    tags: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    """Of members, that its user was in when the machine was asked for."""
    day: str = ""
    """Of the workspace's calendar, as 2026-11-25: a charge never spans a midnight."""
    start: Time
    end: Time
    milliseconds: int
    amount: int
