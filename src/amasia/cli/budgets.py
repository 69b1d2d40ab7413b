"""``amasia budget``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import bar, show_fields, show_json
from amasia.client import budgets
from amasia.client.inputs import amount
from amasia.models.budgets import Budget
from amasia.models.money import show

app = noun("What a workspace may spend.")


@app.command("show", epilog=examples("amasia budget show", "amasia budget show -w demo --json"))
def show_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The limit, and what is spent, reserved and left."""
    _print(budgets.get(workspace), as_json)


@app.command("set", epilog=examples("amasia budget set 25.00", "amasia budget set 0 --yes"))
def set_(
    limit: Annotated[str, typer.Argument(help="In the workspace's currency, such as 12.50.")],
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set the limit. Below what is spent and reserved, machines end when their leases do."""
    wish, old = amount(limit), budgets.get(workspace)
    if wish < old.spent + old.reserved:
        used = show(old.spent + old.reserved, old.currency)
        confirm(f"{used} is spent or reserved: machines of {old.workspace} will end. Set it?", yes)
    _print(budgets.set(limit, workspace), as_json)


def _print(budget: Budget, as_json: bool) -> None:
    if as_json:
        show_json(budget)
        return
    left = budget.limit - budget.spent - budget.reserved
    fields = {"limit": budget.limit, "spent": budget.spent, "reserved": budget.reserved, "left": left}
    show_fields({"workspace": budget.workspace, **{name: show(sum_, budget.currency) for name, sum_ in fields.items()}})
    print(bar(budget.spent + budget.reserved, budget.limit))
