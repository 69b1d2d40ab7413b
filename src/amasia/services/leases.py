"""The money of machines: time is reserved before it runs, charged as it passes, and given back at the end.

A machine's lease is the time that its reservation pays for, in every budget that applies. It ends itself before the
lease does, so what it can cost is reserved at every moment, also while no control plane runs: the worst overspend is
zero.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from amasia.database import budgets, clusters, events, machines
from amasia.database.budgets import Held
from amasia.database.machines import Account
from amasia.models.base import now
from amasia.models.budgets import Charge, Key
from amasia.models.calendars import Piece, pieces
from amasia.models.machines import ALIVE, Machine
from amasia.models.money import HOUR_MS, cost, milliseconds
from amasia.services.ledgers import Ledger, Shortage, Spender, exceeded, moves

MARGIN = timedelta(seconds=10)
"""Before the first lease of a cluster ends that is not renewed, all of it is stopped; a quarter of a short lease."""


class Promise(NamedTuple):
    """What is reserved for one machine: in all, and in each budget."""

    amount: int
    held: Held


def is_due(until: datetime, at: datetime, lease_seconds: int) -> bool:
    """Whether a lease is to be renewed: when a quarter of it has passed, which is seldom enough for a large crowd."""
    return until - at <= timedelta(seconds=lease_seconds * 3 / 4)


def reserve(
    tx: Connection, workspace: str, spender: Spender, prices: Sequence[int], lease_seconds: int
) -> list[Promise]:
    """Reserve the first lease of machines with these prices per hour, all or none; what each has."""
    ledger = Ledger(tx, workspace)
    each = {price: _first(ledger, spender, price, lease_seconds) for price in set(prices)}
    promises = [each[price] for price in prices]
    new = moves({}, [], [promise.held for promise in promises])
    short = ledger.post(new, [spender]) if ledger.budgets else []
    if short or not ledger.budgets:
        raise exceeded(workspace, short, f"starting, paid for {lease_seconds} s ahead,")
    return promises


def shift(
    tx: Connection, machine: Machine, lease_seconds: int, *, price: int | None = None, queued: bool = False
) -> Promise | list[Shortage]:
    """Reserve the first lease of a machine that does not run yet as of now; what it has, or who does not agree.

    Parameters
    ----------
    price
        That it has from now on; None for the one that it has.
    queued
        It may begin at any time until it is looked at again, half a lease from now.
    """
    ledger = Ledger(tx, machine.workspace)
    before = budgets.held(tx, [machine.id])
    spender = _spender(machine)
    promise = _first(ledger, spender, machine.price if price is None else price, lease_seconds, queued=queued)
    after = promise.held
    if price is None and not queued:  # an earlier try may have begun it: what that can cost stays reserved
        had = before[machine.id]
        after = {key: max(had.get(key, 0), after.get(key, 0)) for key in had.keys() | after.keys()}
    short = ledger.post(moves({}, before.values(), [after]), [spender])
    if short:
        return short
    budgets.hold(tx, before, {machine.id: after})
    return Promise(promise.amount, after)


def fitting(tx: Connection, workspace: str, spender: Spender, price: int, lease_seconds: int) -> int:
    """How many machines of this price could be promised a first lease now."""
    left = Ledger(tx, workspace, lock=False).left(spender)
    return max(0, left) // max(1, cost(price, lease_seconds * 1000))


def outstanding(ledger: Ledger, machine: Machine, account: Account) -> Held:
    """What a machine that lives is to hold in the budgets of now, by what is reserved for it in all."""
    return ledger.hold(_spender(machine), _outstanding(ledger, machine, account))


def hand_over(tx: Connection, machine: Machine, taken: Machine) -> bool:
    """Charge what a machine lived to whom it was, and hold the rest of its lease in the budgets of who takes it.

    Returns
    -------
    bool
        False where those do not agree; then nothing changed.
    """
    assert machine.started_at is not None
    assert machine.lease_until is not None
    held = machines.locked(tx, machine.id)
    assert held is not None
    account, ledger, before = held[1], Ledger(tx, machine.workspace), budgets.held(tx, [machine.id])
    lived = _lived(ledger, machine, account, min(now(), machine.lease_until))
    paid = _paid(account, lived)
    ahead = _outstanding(ledger, taken, paid)
    after = ledger.hold(_spender(taken), ahead)
    spent, spender = ledger.hold(_spender(machine), lived), _spender(taken)
    if ledger.post(moves(spent, before.values(), [after]), [spender]):
        return False
    budgets.hold(tx, before, {machine.id: after})
    budgets.charge(tx, _charges(machine, lived))
    left = sum(piece.amount for piece in ahead)
    machines.update(tx, machine.id, **paid.model_copy(update={"reserved": left}).model_dump())
    return True


def renew(tx: Connection, machine: Machine, account: Account, at: datetime, lease_seconds: int) -> datetime | None:
    """Charge until ``at`` and extend the lease from there; None where a budget does not agree, and its cluster ends."""
    found = _renew(tx, machine.workspace, [(machine, account, at)], lease_seconds)
    if isinstance(found, _Refusal):
        _drain(tx, found.ledger, machine, found.short)
        return None
    until, account = found[0]
    machines.update(tx, machine.id, lease_until=until, **account.model_dump())
    return until


def renew_all(
    tx: Connection, workspace: str, held: Sequence[tuple[Machine, Account, datetime]], lease_seconds: int
) -> list[tuple[datetime, Account]] | None:
    """The same for many machines of a workspace, all or none; the caller writes the new leases and accounts down."""
    found = _renew(tx, workspace, held, lease_seconds)
    return None if isinstance(found, _Refusal) else found


def settle(tx: Connection, machine: Machine, account: Account, end: datetime | None) -> None:
    """Charge until the machine's end and give back what is left of its reservations. To be done once."""
    ledger = Ledger(tx, machine.workspace)
    before = budgets.held(tx, [machine.id])
    lived = _lived(ledger, machine, account, end) if machine.started_at and end else []
    paid = _within(ledger, machine, lived, account.reserved, before[machine.id])
    over = sum(piece.amount for piece in lived) - sum(piece.amount for piece in paid)
    if over:
        # It outlived its lease, which nothing here should: the budgets hold, and the audit trail says so.
        events.append(tx, actor="amasia", verb="machine.overrun", target=machine.id, workspace=machine.workspace,
                      amount=over)  # fmt: skip
    ledger.post(moves(ledger.hold(_spender(machine), paid), before.values(), []))
    budgets.hold(tx, before, {machine.id: {}})
    budgets.charge(tx, _charges(machine, paid))
    machines.update(tx, machine.id, **_paid(account, paid).model_dump())


class _Refusal(NamedTuple):
    ledger: Ledger
    short: list[Shortage]
    """Empty where its cluster is ending already."""


def _renew(
    tx: Connection, workspace: str, held: Sequence[tuple[Machine, Account, datetime]], lease_seconds: int
) -> list[tuple[datetime, Account]] | _Refusal:
    ledger = Ledger(tx, workspace)
    if clusters.ending(tx, {machine.cluster_id for machine, _, _ in held}):
        return _Refusal(ledger, [])
    before = budgets.held(tx, [machine.id for machine, _, _ in held])
    spent: Counter[Key] = Counter()
    after: dict[str, Held] = {}
    renewed, charges = [], []
    for machine, account, at in held:
        assert machine.started_at is not None
        spender, until = _spender(machine), at + timedelta(seconds=lease_seconds)
        lived = _lived(ledger, machine, account, at)
        paid = _paid(account, lived)
        ahead = pieces(machine.price, machine.started_at, paid.charged_ms, milliseconds(machine.started_at, until),
                       ledger.zone, paid.charged_amount)  # fmt: skip
        spent.update(ledger.hold(spender, lived))
        after[machine.id] = ledger.hold(spender, ahead)
        charges += _charges(machine, lived)
        renewed.append((until, paid.model_copy(update={"reserved": sum(piece.amount for piece in ahead)})))
    spenders = [_spender(machine) for machine, _, _ in held]
    if short := ledger.post(moves(spent, before.values(), after.values()), spenders):
        return _Refusal(ledger, short)
    budgets.hold(tx, before, after)
    budgets.charge(tx, charges)
    return renewed


def _first(ledger: Ledger, spender: Spender, price: int, lease_seconds: int, *, queued: bool = False) -> Promise:
    """A first lease that begins now, or somewhat later: in no budget more than the whole of it."""
    lease = lease_seconds * 1000
    amount = cost(price, lease)
    stretch = pieces(price, now(), 0, lease * 3 // 2 if queued else lease, ledger.zone)
    held = ledger.hold(spender, stretch)
    return Promise(amount, {key: min(part, amount) for key, part in held.items()})


def _drain(tx: Connection, ledger: Ledger, machine: Machine, short: Sequence[Shortage]) -> None:
    """Let the whole cluster end with the time that is paid for, once; its users and the budgets' owners are told."""
    if not short or machine.lease_until is None:
        return
    for one in short:
        ledger.use_up(one, _spender(machine))
    if not machine.cluster_id:
        return  # a warm one ends with its lease, and nobody's work with it
    alive = [one for one in machines.of_cluster(tx, machine.cluster_id) if one.started_at and one.status in ALIVE]
    first = min(one.lease_until for one in alive if one.lease_until)
    ends = first - min(MARGIN, max(timedelta(), first - now()) / 4)
    refusal = exceeded(machine.workspace, short, "going on")
    reason = f"the budget {short[0].budget.name!r} did not let it go on"
    clusters.update(tx, machine.cluster_id, ends_at=ends, reason=reason)
    clusters.add_notice(
        tx,
        machine.cluster_id,
        f"{refusal.message} The cluster ends at {ends:%H:%M:%S} UTC: commit what must not be lost.",
    )
    events.append(tx, actor="amasia", verb="lease.refuse", target=machine.id, workspace=machine.workspace,
                  ends_at=ends.isoformat(), **refusal.detail)  # fmt: skip


def _lived(ledger: Ledger, machine: Machine, account: Account, end: datetime) -> list[Piece]:
    """What was lived and is not charged yet, by day."""
    assert machine.started_at is not None
    lived = milliseconds(machine.started_at, end)
    return pieces(machine.price, machine.started_at, account.charged_ms, lived, ledger.zone, account.charged_amount)


def _within(ledger: Ledger, machine: Machine, lived: Sequence[Piece], amount: int, held: Held) -> list[Piece]:
    """The same, with no more money than is reserved for it in any hard budget."""
    left, found = dict(held), []
    for piece in lived:
        keys = [key for key in ledger.keys(_spender(machine), piece.day) if ledger.budgets[key[0]].hard]
        paid = min([piece.amount, amount, *(left.get(key, 0) for key in keys)])
        amount -= paid
        left.update({key: left.get(key, 0) - paid for key in keys})
        found.append(piece._replace(amount=paid))
    return found


def _paid(account: Account, lived: Sequence[Piece]) -> Account:
    """The account after that, with nothing reserved."""
    return Account(
        reserved=0,
        charged_ms=account.charged_ms + sum(piece.milliseconds for piece in lived),
        charged_amount=account.charged_amount + sum(piece.amount for piece in lived),
    )


def _charges(machine: Machine, lived: Sequence[Piece]) -> list[Charge]:
    return [
        Charge(
            id=0,
            workspace=machine.workspace,
            user=machine.owner,
            cluster_id=machine.cluster_id or None,
            machine_id=machine.id,
            machine_type=machine.machine_type,
            group=machine.group,
            location=machine.location,
            tags=machine.tags,
            groups=machine.groups,
            day=piece.day.isoformat(),
            start=piece.start,
            end=piece.end,
            milliseconds=piece.milliseconds,
            amount=piece.amount,
        )
        for piece in lived
    ]


def _spender(machine: Machine) -> Spender:
    return Spender(machine.owner, machine.location, machine.tags, machine.groups)


def _outstanding(ledger: Ledger, machine: Machine, account: Account) -> list[Piece]:
    """The time of a machine that lives for which money is reserved."""
    if machine.started_at and machine.lease_until:
        until = milliseconds(machine.started_at, machine.lease_until)
        return pieces(machine.price, machine.started_at, account.charged_ms, until, ledger.zone,
                      account.charged_amount)  # fmt: skip
    return pieces(machine.price, now(), 0, account.reserved * HOUR_MS // max(1, machine.price), ledger.zone)
