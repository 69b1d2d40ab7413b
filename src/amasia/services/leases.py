"""The money of machines: time is reserved before it runs, charged as it passes, and given back at the end.

A machine's lease is the time that its reservation pays for. It ends itself before the lease does, so what it can
cost is reserved at every moment, also while no control plane runs: the worst overspend is zero.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, clusters, events, machines
from amasia.database.machines import Account
from amasia.models.budgets import Charge
from amasia.models.machines import Machine
from amasia.models.money import cost, milliseconds, show


def reserve(tx: Connection, workspace: str, prices: list[int], lease_seconds: int) -> list[int]:
    """Reserve the first lease of machines with these prices per hour, all or none; the amount of each."""
    amounts = [cost(price, lease_seconds * 1000) for price in prices]
    if budgets.move(tx, workspace, reserved=sum(amounts)):
        return list(amounts)
    budget = budgets.find(tx, workspace)
    if budget is None:
        raise errors.BudgetExceeded(f"The workspace {workspace!r} has no budget.", cure="An admin can set one.")
    left = budget.limit - budget.spent - budget.reserved
    raise errors.BudgetExceeded(
        f"The budget of {workspace!r} has {show(left, budget.currency)} left of {show(budget.limit, budget.currency)} "
        f"({show(budget.spent, budget.currency)} spent, {show(budget.reserved, budget.currency)} promised to what "
        f"runs), and starting needs {show(sum(amounts), budget.currency)} for the first {lease_seconds} s.",
        cure="Stop something, ask for less, or have an admin raise it with `amasia budget set`.",
        left=left,
        needed=sum(amounts),
    )


def is_due(until: datetime, at: datetime, lease_seconds: int) -> bool:
    """Whether a lease is to be renewed: when a quarter of it has passed, which is seldom enough for a large crowd."""
    return until - at <= timedelta(seconds=lease_seconds * 3 / 4)


def fitting(tx: Connection, workspace: str, price: int, lease_seconds: int) -> int:
    """How many machines of this price could be promised a first lease now."""
    budget = budgets.find(tx, workspace)
    left = budget.limit - budget.spent - budget.reserved if budget else 0
    return max(0, left) // max(1, cost(price, lease_seconds * 1000))


def renew(tx: Connection, machine: Machine, account: Account, at: datetime, lease_seconds: int) -> datetime | None:
    """Charge until ``at`` and extend the lease from there; None where the budget does not allow it."""
    assert machine.started_at is not None
    charged, spent = _advance(machine, account, at)
    until = at + timedelta(seconds=lease_seconds)
    needed = cost(machine.price, milliseconds(machine.started_at, until)) - charged.charged_amount
    if not budgets.move(tx, machine.workspace, spent=spent, reserved=needed - account.reserved):
        return None
    _book(tx, machine, account, charged)
    machines.update(tx, machine.id, lease_until=until, reserved=needed)
    return until


def renew_all(
    tx: Connection, workspace: str, held: list[tuple[Machine, Account, datetime]], lease_seconds: int
) -> list[tuple[datetime, Account]] | None:
    """The same for many machines of a workspace, all or none; the caller writes the new leases and accounts down."""
    renewed, charges, spent, reserved = [], [], 0, 0
    for machine, account, at in held:
        assert machine.started_at is not None
        charged, more = _advance(machine, account, at)
        until = at + timedelta(seconds=lease_seconds)
        needed = cost(machine.price, milliseconds(machine.started_at, until)) - charged.charged_amount
        spent, reserved = spent + more, reserved + needed - account.reserved
        renewed.append((until, charged.model_copy(update={"reserved": needed})))
        charges += [_charge(machine, account, charged)] if charged.charged_ms != account.charged_ms else []
    if not budgets.move(tx, workspace, spent=spent, reserved=reserved):
        return None
    budgets.charge(tx, charges)
    return renewed


def settle(tx: Connection, machine: Machine, account: Account, end: datetime | None) -> None:
    """Charge until the machine's end and give back what is left of its reservation. To be done once."""
    charged, spent = _advance(machine, account, end) if machine.started_at and end else (account, 0)
    if spent > account.reserved:
        # It outlived its lease, which nothing here should: the budget holds, and the audit trail says so.
        events.append(
            tx,
            actor="amasia",
            verb="machine.overrun",
            target=machine.id,
            workspace=machine.workspace,
            amount=spent - account.reserved,
        )
        spent = account.reserved
        charged = charged.model_copy(update={"charged_amount": account.charged_amount + spent})
    budgets.move(tx, machine.workspace, spent=spent, reserved=-account.reserved)
    _book(tx, machine, account, charged)
    machines.update(tx, machine.id, reserved=0)


def warn_unpaid(tx: Connection, machine: Machine) -> None:
    """Tell the cluster, once per machine, that its lease is not renewed. A warm one has nobody to tell."""
    if not machine.cluster_id:
        return
    text = (
        f"The budget of {machine.workspace!r} is used up: {machine.role.value} {machine.index} ends at "
        f"{machine.lease_until:%H:%M:%S} UTC. Commit what must not be lost."
    )
    if text not in clusters.last_notices(tx, machine.cluster_id):
        clusters.add_notice(tx, machine.cluster_id, text)
        events.append(
            tx,
            actor="amasia",
            verb="lease.refuse",
            target=machine.id,
            workspace=machine.workspace,
        )


def _advance(machine: Machine, account: Account, end: datetime) -> tuple[Account, int]:
    """The account when the machine has lived until ``end``, and what that adds."""
    assert machine.started_at is not None
    lived = max(account.charged_ms, milliseconds(machine.started_at, end))
    amount = max(account.charged_amount, cost(machine.price, lived))
    return account.model_copy(update={"charged_ms": lived, "charged_amount": amount}), amount - account.charged_amount


def _book(tx: Connection, machine: Machine, before: Account, after: Account) -> None:
    if after.charged_ms == before.charged_ms:
        return
    budgets.charge(tx, [_charge(machine, before, after)])
    machines.update(tx, machine.id, charged_ms=after.charged_ms, charged_amount=after.charged_amount)


def _charge(machine: Machine, before: Account, after: Account) -> Charge:
    assert machine.started_at is not None
    return Charge(
        id=0,
        workspace=machine.workspace,
        user=machine.owner,
        cluster_id=machine.cluster_id or None,
        machine_id=machine.id,
        machine_type=machine.machine_type,
        group=machine.group,
        start=machine.started_at + timedelta(milliseconds=before.charged_ms),
        end=machine.started_at + timedelta(milliseconds=after.charged_ms),
        milliseconds=after.charged_ms - before.charged_ms,
        amount=after.charged_amount - before.charged_amount,
    )
