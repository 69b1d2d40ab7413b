"""``amasia cost``."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun
from amasia.cli.output import ago, bar, hours, show_json, show_table, size
from amasia.client import costs
from amasia.models.costs import CostLine, Costs
from amasia.models.money import show

app = noun("What was spent.")


class By(StrEnum):
    user = "user"
    cluster = "cluster"
    repository = "repository"
    storage = "storage"


@app.command(epilog=examples("amasia cost", "amasia cost --by repository", "amasia cost --since 2026-11-01 --json"))
def cost(
    by: Annotated[By | None, typer.Option(help="One cut only; all without it.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Charges from this local time on.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """What was spent, by user, cluster, repository or storage, and what is left of the budget."""
    found = costs.get(workspace, since=since.astimezone() if since else None)
    if as_json:
        show_json(found)
        return
    for cut in [by] if by else list(By):
        _show_cut(found, cut)
    if since is None:
        print(budget_line(found))


def budget_line(found: Costs) -> str:
    """``██░░ 20% of 10.00 EUR: 1.50 EUR spent, 0.50 EUR reserved, 8.00 EUR left``."""
    spent, money = found.amount + found.storage_amount, found.currency
    used = spent + found.reserved
    return (
        f"{bar(used, found.limit)} of {show(found.limit, money)}: {show(spent, money)} spent, "
        f"{show(found.reserved, money)} reserved, {show(found.limit - used, money)} left"
    )


def _show_cut(found: Costs, by: By) -> None:
    if by is By.storage:
        _show_storage(found)
        return
    lines: tuple[CostLine, ...] = getattr(found, f"by_{by}")
    total = CostLine(key="total", milliseconds=found.milliseconds, amount=found.amount, reserved=found.reserved)
    rows = [(one.key, hours(one.milliseconds), show(one.amount, found.currency)) for one in (*lines, total)]
    if by is By.repository:  # what is reserved will be known as a repository's when it is committed
        show_table([by, ">machine time", ">spent"], rows)
        return
    promised = [show(one.reserved, found.currency) for one in (*lines, total)]
    columns = [by, ">machine time", ">spent", ">reserved"]
    show_table(columns, [(*row, last) for row, last in zip(rows, promised, strict=True)])


def _show_storage(found: Costs) -> None:
    """Nothing, where nothing was measured yet."""
    if not found.storage:
        return
    rows = [
        (one.key, size(one.nbytes), ago(one.measured_at) if one.measured_at else "", show(one.amount, found.currency))
        for one in found.storage
    ]
    total = ("total", size(sum(one.nbytes for one in found.storage)), "", show(found.storage_amount, found.currency))
    show_table(["storage of", ">size", "measured", ">spent"], [*rows, total])
