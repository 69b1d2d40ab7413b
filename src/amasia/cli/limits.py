"""``amasia limit``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun
from amasia.cli.output import say, show_fields, show_json, show_table
from amasia.client import limits
from amasia.models.limits import Allowance
from amasia.models.sizes import volume

app = noun("What a workspace may take of the control plane.")
Name = Annotated[str, typer.Argument(metavar="WORKSPACE", help="Of the control plane.")]
Number = Annotated[int | None, typer.Option(min=0, help="At a time; 0 for no limit.")]


@app.command(epilog=examples("amasia limit show", "amasia limit show -w oceans --json"))
def show(workspace: Workspace = None, as_json: Json = False) -> None:
    """What it may take, and what it takes."""
    found = limits.get(workspace)
    if as_json:
        show_json(found)
        return
    show_fields({
        "machines": _of(found.machines, found.limits.machines),
        "starting": _of(found.starting, found.limits.starting),
        "waiting": found.waiting,
        "repositories": _of(found.repositories, found.limits.repositories),
        "secrets": _of(found.secrets, found.limits.secrets),
        "requests a second": found.limits.requests or "any",
        "log of a machine": volume(found.limits.log_bytes) if found.limits.log_bytes else "any",
    })  # fmt: skip


@app.command("list", epilog=examples("amasia limit list", "amasia limit list --json"))
def list_(as_json: Json = False) -> None:
    """Those of every workspace; a star stands where an operator set one. For operators."""
    found = limits.find()
    if as_json:
        show_json(found)
        return
    columns = ["workspace", ">machines", ">starting", ">waiting", ">repositories", ">secrets", ">requests/s",
               ">log of a machine"]  # fmt: skip
    show_table(columns, [_row(one) for one in found])


@app.command(
    "set",
    epilog=examples("amasia limit set oceans --machines 50 --starting 10", "amasia limit set oceans --requests 0"),
)
def set_(
    workspace: Name,
    machines: Number = None,
    starting: Annotated[int | None, typer.Option(min=0, help="Machines being started; more wait.")] = None,
    requests: Annotated[int | None, typer.Option(min=0, help="In a second.")] = None,
    repositories: Number = None,
    secrets: Number = None,
    log_bytes: Annotated[int | None, typer.Option(min=0, help="Kept of one machine's log.")] = None,
    as_json: Json = False,
) -> None:
    """Say what it may take, from the next launch and request on; the rest stays as it is. For operators."""
    made = limits.put(workspace, machines=machines, starting=starting, requests=requests, repositories=repositories,
                      secrets=secrets, log_bytes=log_bytes)  # fmt: skip
    show_json(made) if as_json else _tell(made)


@app.command(epilog=examples("amasia limit reset oceans"))
def reset(workspace: Name, as_json: Json = False) -> None:
    """Back to what every workspace may take. For operators."""
    made = limits.reset(workspace)
    show_json(made) if as_json else _tell(made)


def _tell(made: Allowance) -> None:
    own = ", ".join(made.own) or "none"
    most = made.limits.machines or "any number of"
    say(f"{made.workspace} may have {most} machines and has {made.machines}. Limits of its own: {own}.")


def _row(one: Allowance) -> tuple[str, ...]:
    cells = {
        "machines": _of(one.machines, one.limits.machines),
        "starting": _of(one.starting, one.limits.starting),
        "waiting": str(one.waiting),
        "repositories": _of(one.repositories, one.limits.repositories),
        "secrets": _of(one.secrets, one.limits.secrets),
        "requests": str(one.limits.requests or "any"),
        "log_bytes": volume(one.limits.log_bytes) if one.limits.log_bytes else "any",
    }
    return (one.workspace, *(f"{text} *" if name in one.own else text for name, text in cells.items()))


def _of(count: int, most: int) -> str:
    return f"{count} of {most}" if most else str(count)
