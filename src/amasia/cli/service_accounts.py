"""``amasia account``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import ago, clock, say, show_json, show_table
from amasia.client import service_accounts
from amasia.models.permissions import Role
from amasia.models.users import Scope

app = noun("Service accounts: for programs, with tokens and no password.")
Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Of the service account.")]


@app.command("list", epilog=examples("amasia account list", "amasia account list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The service accounts of a workspace."""
    found = service_accounts.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.name, one.role, ago(one.created_at)) for one in found]
    show_table(["account", "role", "made"], rows, empty="None yet. Make one: amasia account create nightly")


@app.command(epilog=examples("amasia account create nightly", "amasia account create loader --role member"))
def create(
    name: Name,
    role: Annotated[Role, typer.Option(help="guest: nothing but what grants give.")] = Role.guest,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Make a service account."""
    made = service_accounts.create(name, workspace, role=role)
    if as_json:
        show_json(made)
        return
    say(f"{made.name} is there. Give it a token: amasia account token {made.name}")
    say(f"And something to do: amasia grant set {made.workspace}/NAME --to account:{made.name} --level read")


@app.command(epilog=examples("amasia account delete nightly --yes"))
def delete(name: Name, workspace: Workspace = None, yes: Yes = False, as_json: Json = False) -> None:
    """End a service account, with its tokens and grants."""
    confirm(f"End the service account {name}? Whatever uses its tokens stops working.", yes)
    service_accounts.delete(name, workspace)
    show_json({"deleted": name}) if as_json else say(f"The service account {name} is no more.")


@app.command(
    epilog=examples("amasia account token nightly --days 30", "amasia account token nightly --scope data > token.txt")
)
def token(
    name: Name,
    label: Annotated[str, typer.Option(help="To know it by.")] = "token",
    scope: Annotated[Scope, typer.Option(help="everything, data or read.")] = Scope.everything,
    days: Annotated[int, typer.Option(min=1, max=366, help="Until it expires.")] = 90,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Make a token for it, good in its workspace only. Its secret is shown once, on stdout."""
    made = service_accounts.create_token(name, workspace, label=label, scope=scope, days=days)
    if as_json:
        show_json(made)
        return
    say(f"Token {made.token.id} of {name}, until {clock(made.token.expires_at)}. It is not shown again:")
    print(made.secret)


@app.command(epilog=examples("amasia account tokens nightly"))
def tokens(name: Name, workspace: Workspace = None, as_json: Json = False) -> None:
    """Its tokens, without their secrets."""
    found = service_accounts.find_tokens(name, workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.id, one.label, one.scope, clock(one.expires_at), ago(one.last_used_at)) for one in found]
    show_table(["token", "label", "scope", "until", "last used"], rows, empty=f"{name} has no tokens.")


@app.command(epilog=examples("amasia account revoke nightly tk-3f9a1c0b7d2e4f60 --yes"))
def revoke(
    name: Name,
    token: Annotated[str, typer.Argument(help="Its id.")],
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """End one of its tokens at once."""
    confirm(f"End token {token} of {name}? Whatever uses it stops working.", yes)
    service_accounts.revoke_token(name, token, workspace)
    show_json({"revoked": token}) if as_json else say(f"Token {token} is revoked.")
