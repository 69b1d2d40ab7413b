"""The budgets of a workspace while money moves: all that apply must agree, and either all of it moves or none."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets
from amasia.models.alerts import USED_UP, mark
from amasia.models.base import now
from amasia.models.budgets import MAIN, OUTSIDE, Budget, Count, Key
from amasia.models.calendars import Piece, today
from amasia.models.money import show
from amasia.services import alerts


class Spender(NamedTuple):
    """Whose spending it is, and which: what decides on the budgets that apply. Empty for the workspace's own."""

    user: str = ""
    location: str = ""
    tags: Mapping[str, str] = {}
    groups: Sequence[str] = ()
    """Of members, that the user is in."""


class Shortage(NamedTuple):
    """A budget that does not agree."""

    budget: Budget
    """With what it holds in the period in question."""
    id: str
    key: str
    needed: int

    @property
    def left(self) -> int:
        return self.budget.room(self.key) - self.budget.spent - self.budget.reserved


@dataclass(frozen=True)
class Move:
    """What is added to one period of one budget."""

    spent: int = 0
    reserved: int = 0


class Ledger:
    """The budgets of one workspace, held until the end of the transaction.

    Whoever needs those of several workspaces in one transaction takes them in the order of their names; machines are
    locked before, and clusters changed after. With ``lock=False`` for a look only, which may be too old.
    """

    def __init__(self, tx: Connection, workspace: str, *, lock: bool = True) -> None:
        self._tx = tx
        self.workspace = budgets.workspace(tx, workspace, lock=lock)
        self.zone = self.workspace.time_zone
        self.budgets = budgets.of_workspace(tx, workspace)

    @property
    def today(self) -> date:
        return today(now(), self.zone)

    def keys(self, spender: Spender, day: date) -> list[Key]:
        """The periods of all budgets that apply on a day."""
        return [(one, budget.key(day)) for one, budget in self.budgets.items() if _applies(budget, spender)]

    def hold(self, spender: Spender, stretch: Iterable[Piece]) -> budgets.Held:
        """What a stretch of a machine's life takes of each budget."""
        found: Counter[Key] = Counter()
        for piece in stretch:
            for key in self.keys(spender, piece.day):
                found[key] += piece.amount
        return dict(found)

    def left(self, spender: Spender) -> int:
        """The least that any hard budget has left today; 0 where there is none at all."""
        keys = self.keys(spender, self.today)
        counts = budgets.read(self._tx, keys)
        left = [
            self.budgets[key[0]].room(key[1]) - counts[key].spent - counts[key].reserved
            for key in keys
            if self.budgets[key[0]].hard
        ]
        return min(left, default=0)

    def post(self, moves: Mapping[Key, Move], spenders: Iterable[Spender] = ()) -> list[Shortage]:
        """Do all of it, or nothing and say which budgets do not agree. What does not grow is never refused.

        Where a budget passes a mark, its owner and the spenders that it counts are told.
        """
        counts = budgets.read(self._tx, moves)
        if short := self._short(counts, moves):
            return short
        self._move(counts, moves, spenders)
        return []

    def book(self, moves: Mapping[Key, Move]) -> list[Shortage]:
        """Do all of it, whatever budgets say: it was spent before anybody here could be asked.

        Those that it takes past their limits today let nothing go on, of which their owners are told.
        """
        short = self._short(budgets.read(self._tx, moves), moves)
        passed = [one for one in short if one.key == one.budget.key(self.today) != OUTSIDE]
        for one in passed:
            self.use_up(one, Spender())
        self._move(budgets.read(self._tx, moves), moves, ())
        return passed

    def use_up(self, short: Shortage, spender: Spender) -> None:
        """Tell that something had to be refused."""
        key = (short.id, short.key)
        count = budgets.read(self._tx, [key])[key]
        if count.told < USED_UP:
            alerts.tell(self._tx, short.budget, short.key, USED_UP, [spender.user])
            budgets.write(self._tx, key, count.model_copy(update={"told": USED_UP}))

    def begin_anew(self, budget_id: str) -> None:
        """Its limit is another: marks that are not reached any more are told of again."""
        key = (budget_id, self.budgets[budget_id].key(self.today))
        count = budgets.read(self._tx, [key])[key]
        told = mark(count.spent + count.reserved, self.budgets[budget_id].room(key[1]))
        budgets.write(self._tx, key, count.model_copy(update={"told": told}))

    def _short(self, counts: Mapping[Key, Count], moves: Mapping[Key, Move]) -> list[Shortage]:
        short = []
        for key, move in moves.items():
            budget, more = self.budgets[key[0]], move.spent + move.reserved
            filled = budget.model_copy(update={"spent": counts[key].spent, "reserved": counts[key].reserved})
            if budget.hard and more > 0 and filled.spent + filled.reserved + more > budget.room(key[1]):
                short.append(Shortage(filled, *key, more))
        return short

    def _move(self, counts: Mapping[Key, Count], moves: Mapping[Key, Move], spenders: Iterable[Spender]) -> None:
        for key, move in sorted(moves.items()):
            if move != Move():
                count = counts[key]
                more_of = {"spent": count.spent + move.spent, "reserved": count.reserved + move.reserved}
                self._write(key, count.model_copy(update=more_of), spenders)

    def _write(self, key: Key, count: Count, spenders: Iterable[Spender]) -> None:
        budget = self.budgets[key[0]]
        # Of a period that is over nothing can be done any more, and of a later one is told when it has come.
        now_is = key[1] == budget.key(self.today) != OUTSIDE
        reached = mark(count.spent + count.reserved, budget.room(key[1])) if now_is else count.told
        if reached > count.told:
            filled = budget.model_copy(update={"spent": count.spent, "reserved": count.reserved})
            alerts.tell(self._tx, filled, key[1], reached, [one.user for one in spenders if _applies(budget, one)])
        budgets.write(self._tx, key, count.model_copy(update={"told": max(count.told, reached)}))


def moves(spent: Mapping[Key, int], before: Iterable[budgets.Held], after: Iterable[budgets.Held]) -> dict[Key, Move]:
    """What is spent and reserved more, by what machines held before and what they hold after."""
    reserved: Counter[Key] = Counter()
    for one in after:
        reserved.update(one)
    for one in before:
        reserved.subtract(one)
    return {key: Move(spent.get(key, 0), reserved[key]) for key in sorted(reserved.keys() | spent.keys())}


def exceeded(workspace: str, short: Sequence[Shortage], what: str) -> errors.BudgetExceeded:
    """The refusal: which budget, what is left of it, what was asked and what to do; the one with the least left."""
    if not short:
        return errors.BudgetExceeded(f"The workspace {workspace!r} has no budget.", cure="An admin can set one.")
    worst = min(short, key=lambda one: one.left - one.needed)
    budget, money = worst.budget, worst.budget.currency
    others = f" {len(short) - 1} more budgets say no too." if len(short) > 1 else ""
    text = (
        f"The budget {budget} has {show(worst.left, money)} left ({show(budget.spent, money)} spent, "
        f"{show(budget.reserved, money)} promised to what runs), and {what} needs {show(worst.needed, money)}.{others}"
    )
    detail = {"budget": budget.name, "left": worst.left, "needed": worst.needed, "period": worst.key}
    return errors.BudgetExceeded(text, cure=_cure(budget, worst.key), **detail)


def _cure(budget: Budget, key: str) -> str:
    name = "" if budget.name == MAIN else f" --name {budget.name}"
    turns = budget.turns(today(now(), budget.time_zone)) if key else None
    wait = f"wait until {turns:%Y-%m-%d %H:%M} ({budget.time_zone}), " if turns and budget.period.recurs else ""
    return f"Stop something, ask for less, {wait}or have an admin raise it: `amasia budget set AMOUNT{name}`."


def _applies(budget: Budget, spender: Spender) -> bool:
    match budget.scope.kind:
        case "workspace":
            return True
        case "user":
            return budget.scope.name == spender.user
        case "group":
            return budget.scope.name in spender.groups
        case "location":
            return budget.scope.name == spender.location
        case "tag":
            return budget.scope.name in {f"{key}={word}" for key, word in spender.tags.items()}
        case _:
            return False
