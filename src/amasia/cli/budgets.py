"""``amasia budget``."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, Yes, budget_names, complete, confirm, examples, noun
from amasia.cli.output import bar, say, show_fields, show_json, show_table
from amasia.client import budgets, workspaces
from amasia.errors import InvalidRequest
from amasia.models.budgets import MAIN, Budget, Period
from amasia.models.money import show

app = noun("What a workspace, a user, a group, a location or a tag may spend.")

DAY = "%Y-%m-%d"
Name = Annotated[str, typer.Option("--name", help="Of the budget.", autocompletion=complete(budget_names))]


@app.command("list", epilog=examples("amasia budget list", "amasia budget list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """Every budget, with what is spent, reserved and left of its period."""
    found = budgets.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [
        (one.name, one.scope, _span(one), "hard" if one.hard else "soft",
         *(show(sum_, one.currency) for sum_ in (one.limit, one.spent, one.reserved, one.left)))
        for one in found
    ]  # fmt: skip
    show_table(["budget", "counts", "per", "kind", ">limit", ">spent", ">reserved", ">left"], rows)


@app.command("show", epilog=examples("amasia budget show", "amasia budget show --name ada-daily --json"))
def show_(name: Name = MAIN, workspace: Workspace = None, as_json: Json = False) -> None:
    """The limit, and what is spent, reserved and left."""
    _print(budgets.get(workspace, name=name), as_json)


@app.command(
    epilog=examples(
        "amasia budget create ada-daily 5.00 --user ada --per day",
        "amasia budget create phds 200.00 --group phds --per month",
        "amasia budget create nino 400.00 --tag project=nino --per grant --from 2026-01-01 --to 2027-12-31",
        "amasia budget create monthly 100.00 --per month --soft",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="Of the budget.")],
    limit: Annotated[str, typer.Argument(help="Of one period, in the workspace's currency, such as 12.50.")],
    user: Annotated[str, typer.Option(help="Counts what this user spends.")] = "",
    group: Annotated[str, typer.Option(help="Counts what the members of this group spend.")] = "",
    tag: Annotated[str, typer.Option(help="Counts what bears this tag: key=value.")] = "",
    location: Annotated[str, typer.Option(help="Counts what is spent at this location.")] = "",
    per: Annotated[Period, typer.Option(help="In the workspace's time zone.")] = Period.total,
    starts: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="A grant's first day.")
    ] = None,
    ends: Annotated[datetime | None, typer.Option("--to", formats=[DAY], help="A grant's last day.")] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Only tell, and stop nothing.")] = False,
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make a budget; whatever it counts must fit into it, and into all others that apply. For admins."""
    make = partial(
        budgets.create, name, limit, workspace, user=user, group=group, tag=tag, location=location, per=per,
        hard=not soft, starts=starts.date() if starts else None, ends=ends.date() if ends else None,
    )  # fmt: skip
    _print(_asking(make, yes), as_json)


@app.command("set", epilog=examples("amasia budget set 25.00", "amasia budget set 0 --name ada-daily --yes"))
def set_(
    limit: Annotated[str, typer.Argument(help="In the workspace's currency, such as 12.50.")],
    name: Name = MAIN,
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set the limit. Below what is spent and reserved, machines end when their leases do."""
    _print(_asking(partial(budgets.set, limit, workspace, name=name), yes), as_json)


@app.command(epilog=examples("amasia budget delete ada-daily --yes"))
def delete(
    name: Annotated[str, typer.Argument(help="Of the budget.", autocompletion=complete(budget_names))],
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete a budget: it limits nothing any more. What was spent stays in the bill."""
    where = workspaces.current(workspace)
    confirm(f"Delete the budget {name} of {where}?", yes)
    budgets.delete(name, where)
    show_json({"removed": name}) if as_json else say(f"{where} has no budget {name} any more.")


def _asking(make: Callable[..., Budget], yes: bool) -> Budget:
    """Once more with the word of whoever is asked, where it would end what runs."""
    try:
        return make(confirm=yes)
    except InvalidRequest as refused:
        if "used" not in refused.detail:
            raise
        confirm(f"{refused.message} Go on?", yes)
    return make(confirm=True)


def _print(budget: Budget, as_json: bool) -> None:
    if as_json:
        show_json(budget)
        return
    what = {"workspace": budget.workspace, "budget": budget.name, "counts": str(budget.scope), "per": _span(budget),
            "kind": "hard" if budget.hard else "soft"}  # fmt: skip
    sums = {"limit": budget.limit, "spent": budget.spent, "reserved": budget.reserved, "left": budget.left}
    show_fields({**what, **{name: show(sum_, budget.currency) for name, sum_ in sums.items()}})
    print(bar(budget.spent + budget.reserved, budget.limit))


def _span(budget: Budget) -> str:
    """``day, until 2026-11-26 00:00 (UTC)``."""
    if budget.period is Period.grant:
        return f"{budget.starts} to {budget.ends} ({budget.time_zone})"
    until = f", until {budget.resets_at:%Y-%m-%d %H:%M} UTC" if budget.resets_at else ""
    return f"{budget.period}{until}"
