"""The bill: what was spent, cut in the ways people ask for. It reads sums that every charge adds itself to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Connection

from amasia.database import budgets, egress, grants, storage, users
from amasia.database import costs as rows
from amasia.database.costs import Promised
from amasia.database.engine import Database
from amasia.database.machines import WARM
from amasia.models.base import Page, now
from amasia.models.budgets import MAIN, Charge
from amasia.models.calendars import midnight, today
from amasia.models.costs import MOST, CostLine, Costs, Cut, Span, bounded
from amasia.models.permissions import Permission, Role, may
from amasia.models.storage import StorageLine
from amasia.models.users import Principal
from amasia.models.workspaces import Workspace

DAYS = 31
"""Of the whole bill; every day is in the pages of that cut."""


def whose(who: Principal, role: Role) -> str | None:
    """The user whose costs somebody sees: None for everybody's, which those do who manage the workspace."""
    return None if may(role, Permission.budget) else who.user


def span(zone: str, since: date | datetime | None, until: date | datetime | None) -> Span:
    """Whole days of a workspace's calendar; a moment stands for the day that it is in."""
    return Span(since=_day(since, zone), until=_day(until, zone))


def moments(days: Span, zone: str) -> tuple[datetime | None, datetime | None]:
    """When the first of the days begins and the last one ends."""
    begin = midnight(days.since, zone) if days.since else None
    return begin, midnight(days.until + timedelta(days=1), zone) if days.until else None


def charges(db: Database, who: Principal, role: Role, workspace: str, after: int, limit: int = 500) -> list[Charge]:
    with db.read() as tx:
        return budgets.page(tx, workspace, whose(who, role), after, limit)


def get(
    db: Database,
    who: Principal,
    role: Role,
    workspace: str,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
) -> Costs:
    """The whole bill of some days: the largest lines of each cut."""
    with db.read() as tx:
        bill = _Bill.of(tx, who, role, workspace, since, until)
        (main,) = (one for one in budgets.counted(tx, workspace, now()) if one.name == MAIN)
        stored, left = bill.stored(), bill.egress(MOST)
        reserved = sum(one.amount for one in bill.promised)
        return Costs(
            workspace=workspace,
            currency=bill.workspace.currency,
            milliseconds=bill.milliseconds,
            amount=bill.amount,
            reserved=reserved if bill.user or not bill.running else main.reserved,
            limit=main.limit,
            user=bill.user or "",
            since=bill.span.since,
            until=bill.span.until,
            by_user=bounded(bill.cut(Cut.user)),
            by_group=bounded(bill.cut(Cut.group)),
            by_cluster=tuple(bill.clusters(MOST)),
            by_view=bounded(bill.cut(Cut.view)),
            by_repository=bounded(bill.cut(Cut.repository)),
            by_tag=bounded(bill.cut(Cut.tag)),
            by_location=bounded(bill.cut(Cut.location)),
            by_machine_type=bounded(bill.cut(Cut.machine_type)),
            by_day=tuple(rows.by_day(tx, workspace, bill.span, bill.user, DAYS)),
            storage=tuple(stored),
            storage_amount=sum(line.amount for line in stored),
            egress=tuple(left),
            egress_amount=sum(line.amount for line in left),
        )


def find(
    db: Database,
    who: Principal,
    role: Role,
    workspace: str,
    cut: Cut,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    after: int = 0,
    limit: int = 500,
) -> Page[CostLine]:
    """Every line of one cut, page after page; ``after`` counts the lines that were seen."""
    with db.read() as tx:
        bill = _Bill.of(tx, who, role, workspace, since, until)
        if cut is Cut.cluster:
            return bill.cluster_page(after, limit)
        if cut is Cut.egress:
            return bill.egress_page(after, limit)
        lines = bill.cut(cut)
    more = str(after + limit) if len(lines) > after + limit else ""
    return Page(items=tuple(lines[after : after + limit]), next=more)


@dataclass(frozen=True)
class _Bill:
    """What some days have cost one user or all, read once and cut in several ways."""

    tx: Connection
    who: Principal
    workspace: Workspace
    span: Span
    user: str | None
    milliseconds: int
    amount: int
    promised: Sequence[Promised]
    """Empty where the days are over."""
    running: bool
    """Whether the days have today among them."""

    @classmethod
    def of(
        cls,
        tx: Connection,
        who: Principal,
        role: Role,
        name: str,
        since: date | datetime | None,
        until: date | datetime | None,
    ) -> "_Bill":
        workspace = users.get_workspace(tx, name)
        days, user = span(workspace.time_zone, since, until), whose(who, role)
        running = days.holds(today(now(), workspace.time_zone))
        promised = rows.promised(tx, name, user) if running else []
        return cls(tx, who, workspace, days, user, *rows.total(tx, name, days, user), promised, running)

    def cut(self, cut: Cut) -> list[CostLine]:
        """Every line of any cut but that of clusters."""
        match cut:
            case Cut.user | Cut.group | Cut.location | Cut.machine_type | Cut.tag:
                return self._with_reserved(cut)
            case Cut.view:
                return self._with_rest(rows.by_view(self.tx, self.workspace.name, self.span, self.user), "(no view)")
            case Cut.repository:
                begin, end = moments(self.span, self.workspace.time_zone)
                visible = grants.visible(self.who)
                found = rows.by_repository(self.tx, self.workspace.name, begin, end, self.user, visible)
                return self._with_rest(found, "(no commit)")
            case Cut.day:
                return rows.by_day(self.tx, self.workspace.name, self.span, self.user)
            case Cut.storage:
                return [CostLine(key=line.key, milliseconds=0, amount=line.amount) for line in self.stored()]
            case _:
                raise AssertionError(cut)

    def stored(self) -> list[StorageLine]:
        """Of those repositories that they may see."""
        return storage.lines(self.tx, self.workspace.name, self.span, grants.visible(self.who))

    def egress(self, limit: int) -> list[CostLine]:
        """The most costly, then all others as one line."""
        lines = egress.lines(*self._egress, limit)
        rest = egress.total(*self._egress) - sum(line.amount for line in lines)
        return [*lines, CostLine(key="(others)", milliseconds=0, amount=rest)] if rest else lines

    def egress_page(self, after: int, limit: int) -> Page[CostLine]:
        found = egress.lines(*self._egress, limit + 1, after)
        return Page(items=tuple(found[:limit]), next=str(after + limit) if len(found) > limit else "")

    @property
    def _egress(self) -> tuple[Connection, str, Span, str | None, ColumnElement[bool]]:
        return self.tx, self.workspace.name, self.span, self.user, grants.visible(self.who)

    def clusters(self, limit: int) -> list[CostLine]:
        """The newest, then what was kept warm, then all others as one line."""
        lines = self._of_clusters(self._newest(limit, 0)) + self._warm()
        rest = CostLine(
            key="(others)",
            milliseconds=self.milliseconds - sum(line.milliseconds for line in lines),
            amount=self.amount - sum(line.amount for line in lines),
            reserved=sum(one.amount for one in self.promised) - sum(line.reserved for line in lines),
        )
        return [*lines, rest] if rest.milliseconds or rest.amount or rest.reserved else lines

    def cluster_page(self, after: int, limit: int) -> Page[CostLine]:
        """So many clusters, which may be more lines, as each worker group is one; on the last what was kept warm."""
        found = self._newest(limit + 1, after)
        lines = self._of_clusters(dict(list(found.items())[:limit]))
        if len(found) > limit:
            return Page(items=tuple(lines), next=str(after + limit))
        return Page(items=(*lines, *self._warm()))

    def _newest(self, limit: int, skip: int) -> dict[str, str]:
        begin, end = moments(self.span, self.workspace.time_zone)
        return rows.newest_clusters(self.tx, self.workspace.name, begin, end, self.user, limit, skip)

    def _of_clusters(self, names: dict[str, str]) -> list[CostLine]:
        found = self._sums(names)
        lines = [(one, found.get(one, {}), name) for one, name in names.items()]
        return _distinct(
            (one, line.model_copy(update={"key": f"{name}/{group}" if group else name}))
            for one, groups, name in lines
            for group, line in sorted(groups.items())
        )

    def _warm(self) -> list[CostLine]:
        return [line.model_copy(update={"key": WARM}) for line in self._sums([""]).get("", {}).values()]

    def _sums(self, ids: Iterable[str]) -> dict[str, dict[str, CostLine]]:
        """By cluster and worker group, with what is reserved."""
        wanted = set(ids)
        reserved: Counter[tuple[str, str]] = Counter()
        for one in self.promised:
            if one.cluster_id in wanted:
                reserved[one.cluster_id, one.group] += one.amount
        sums = {
            (cluster_id, group): (time, amount)
            for cluster_id, group, time, amount in rows.of_clusters(
                self.tx, self.workspace.name, self.span, self.user, wanted
            )
        }
        found: dict[str, dict[str, CostLine]] = {}
        for key in sorted(sums.keys() | reserved.keys()):
            time, amount = sums.get(key, (0, 0))
            line = CostLine(key="", milliseconds=time, amount=amount, reserved=reserved[key])
            found.setdefault(key[0], {})[key[1]] = line
        return found

    def _with_reserved(self, cut: Cut) -> list[CostLine]:
        """The most costly first, then those that have cost nothing yet."""
        found = {line.key: line for line in rows.lines(self.tx, self.workspace.name, cut, self.span, self.user)}
        for one in self.promised:
            for of, key in rows.keys(one):
                if of is cut:
                    line = found.get(key) or CostLine(key=key, milliseconds=0, amount=0)
                    found[key] = line.model_copy(update={"reserved": line.reserved + one.amount})
        return list(found.values())

    def _with_rest(self, lines: list[CostLine], name: str) -> list[CostLine]:
        rest = CostLine(
            key=name,
            amount=self.amount - sum(line.amount for line in lines),
            milliseconds=self.milliseconds - sum(line.milliseconds for line in lines),
        )
        return [*sorted(lines, key=lambda line: (-line.amount, line.key)), rest]


def _day(given: date | datetime | None, zone: str) -> date | None:
    if not isinstance(given, datetime):
        return given
    return today(given, zone) if given.tzinfo else given.date()


def _distinct(found: Iterable[tuple[str, CostLine]]) -> list[CostLine]:
    """Lines of clusters; those that bore the same name, one after the other, are told apart by their ids."""
    lines = list(found)
    names = Counter(line.key for _, line in lines)
    return [
        line.model_copy(update={"key": f"{line.key} ({cluster_id})"}) if names[line.key] > 1 else line
        for cluster_id, line in lines
    ]
