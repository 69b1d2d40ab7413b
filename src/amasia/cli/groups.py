"""``amasia group``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import ago, say, show_json, show_table
from amasia.client import groups

app = noun("Groups of members, that grants can name.")
Name = Annotated[str, typer.Argument(metavar="GROUP", help="Of the group.")]
User = Annotated[str, typer.Argument(help="A member, or a service account.")]


@app.command("list", epilog=examples("amasia group list", "amasia group list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The groups of a workspace, and who is in each."""
    found = groups.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.name, ", ".join(map(one.shown, one.members)) or "nobody", ago(one.created_at)) for one in found]
    show_table(["group", "members", "made"], rows, empty="No group yet. Make one: amasia group create ocean")


@app.command(epilog=examples("amasia group create ocean"))
def create(name: Name, workspace: Workspace = None, as_json: Json = False) -> None:
    """Make an empty group."""
    made = groups.create(name, workspace)
    show_json(made) if as_json else say(f"{made.name} is there. Put somebody in: amasia group add {made.name} USER")


@app.command(epilog=examples("amasia group delete ocean", "amasia group delete ocean --yes"))
def delete(name: Name, workspace: Workspace = None, yes: Yes = False, as_json: Json = False) -> None:
    """End a group, and what was granted to it."""
    confirm(f"End the group {name}, and what was granted to it?", yes)
    groups.delete(name, workspace)
    show_json({"deleted": name}) if as_json else say(f"The group {name} is no more.")


@app.command(epilog=examples("amasia group add ocean ada"))
def add(name: Name, user: User, workspace: Workspace = None, as_json: Json = False) -> None:
    """Put somebody into a group."""
    made = groups.add(name, user, workspace)
    show_json(made) if as_json else say(f"In {made.name}: {', '.join(made.members)}.")


@app.command(epilog=examples("amasia group remove ocean ada"))
def remove(name: Name, user: User, workspace: Workspace = None, as_json: Json = False) -> None:
    """Take somebody out of a group."""
    groups.remove(name, user, workspace)
    show_json({"removed": user}) if as_json else say(f"{user} is no longer in {name}.")
