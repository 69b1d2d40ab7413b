"""``amasia workspace``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, Yes, complete, confirm, examples, noun, workspace_names
from amasia.cli.output import ago, say, show_json, show_table
from amasia.client import accounts, workspaces
from amasia.errors import NotFound
from amasia.models.money import show
from amasia.models.permissions import Role
from amasia.settings import client_settings, save_profile

app = noun("Workspaces and their members.")
Name = Annotated[str, typer.Argument(help="Of the workspace.", autocompletion=complete(workspace_names))]
User = Annotated[str, typer.Argument(help="Name of a user.")]


@app.command("list", epilog=examples("amasia workspace list", "amasia workspace list --json"))
def list_(as_json: Json = False) -> None:
    """The workspaces that you are a member of."""
    found = workspaces.find()
    if as_json:
        show_json(found)
        return
    roles = {membership.workspace: membership.role for membership in accounts.get().memberships}
    used = client_settings().workspace
    rows = [
        (f"{one.name} *" if one.name == used else one.name, roles.get(one.name, ""), one.currency, ago(one.created_at))
        for one in found
    ]
    show_table(["workspace", "your role", "currency", "made"], rows, empty="You are a member of no workspace.")


@app.command(epilog=examples("amasia workspace create oceans --currency USD"))
def create(
    name: Annotated[str, typer.Argument(help="Of the workspace.")],
    currency: Annotated[str, typer.Option(help="Of its budget.")] = "EUR",
    as_json: Json = False,
) -> None:
    """Make a workspace. For operators."""
    made = workspaces.create(name, currency=currency)
    show_json(made) if as_json else say(f"Made {made.name}. Give it a budget: amasia budget set 10.00 -w {made.name}")


@app.command(epilog=examples("amasia workspace use oceans"))
def use(name: Name, as_json: Json = False) -> None:
    """Make it the one that names without a workspace belong to."""
    known = [workspace.name for workspace in workspaces.find()]
    if name not in known:
        raise NotFound(f"You are a member of no workspace {name!r}.", cure=f"One of: {', '.join(known) or 'none'}.")
    settings = client_settings()
    save_profile(settings.profile, url=settings.url, token=settings.token.get_secret_value(), workspace=name)
    show_json({"workspace": name}) if as_json else say(f"Names without a workspace now belong to {name}.")


@app.command(epilog=examples("amasia workspace regions here eu-central-1", "amasia workspace regions"))
def regions(
    names: Annotated[list[str] | None, typer.Argument(help="Of regions; none for everywhere.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Say in which regions it may have machines, from now on. For admins."""
    made = workspaces.set_regions(names or (), workspace)
    where = ", ".join(made.regions) or "everywhere"
    show_json(made) if as_json else say(f"{made.name} may have machines in: {where}.")


@app.command(epilog=examples("amasia workspace zone Europe/Zurich", "amasia workspace zone UTC -w oceans"))
def zone(
    name: Annotated[str, typer.Argument(help="Of a time zone, such as Europe/Zurich.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Say at whose midnights the days and months of its budgets turn. For admins."""
    made = workspaces.set_time_zone(name, workspace)
    show_json(made) if as_json else say(f"Days and months of {made.name}'s budgets turn in {made.time_zone}.")


@app.command("confirm", epilog=examples("amasia workspace confirm 10.00", "amasia workspace confirm never"))
def confirm_(
    rate: Annotated[str, typer.Argument(help="Price per hour, such as 10.00; never.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Say above what price per hour a cluster is to be confirmed when it is started. For admins."""
    made = workspaces.set_confirm_above(None if rate == "never" else rate, workspace)
    above = "never" if rate == "never" else f"above {show(made.confirm_above, made.currency)} per hour"
    show_json(made) if as_json else say(f"Clusters of {made.name} are to be confirmed: {above}.")


@app.command(epilog=examples("amasia workspace members", "amasia workspace members -w oceans --json"))
def members(workspace: Workspace = None, as_json: Json = False) -> None:
    """Who is in it, as what, and whether somebody put them there or a claim of their provider did."""
    found = workspaces.members(workspace)
    rows = [(one.user, one.role, one.by) for one in found]
    show_json(found) if as_json else show_table(["user", "role", "came"], rows)


@app.command(epilog=examples("amasia workspace add ada member", "amasia workspace add ada viewer -w oceans"))
def add(user: User, role: Role, workspace: Workspace = None, as_json: Json = False) -> None:
    """Put a user into it, or change their role."""
    made = workspaces.set_member(user, role, workspace)
    show_json(made) if as_json else say(f"{made.user} is {made.role} of {made.workspace}.")


@app.command(epilog=examples("amasia workspace remove ada", "amasia workspace remove ada --yes"))
def remove(user: User, workspace: Workspace = None, yes: Yes = False, as_json: Json = False) -> None:
    """Take a user out of it."""
    where = workspaces.current(workspace)
    confirm(f"Take {user} out of {where}?", yes)
    workspaces.remove_member(user, where)
    show_json({"removed": user}) if as_json else say(f"{user} is no longer in {where}.")
