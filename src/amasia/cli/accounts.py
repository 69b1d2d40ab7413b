"""``amasia login``, ``logout``, ``whoami`` and ``token``."""

import getpass
import sys
from typing import Annotated

import typer

from amasia.cli.options import Json, Yes, confirm, examples, noun, secret
from amasia.cli.output import ago, clock, say, show_fields, show_json, show_table
from amasia.client import accounts
from amasia.errors import InvalidRequest
from amasia.models.devices import DeviceCodes
from amasia.models.users import Me, Scope
from amasia.settings import client_settings

app = noun("Signing in.")
tokens = noun("Make, list and revoke tokens.")
app.add_typer(tokens, name="token")


@app.command(
    epilog=examples(
        "amasia login",
        "amasia login https://amasia.example.org",
        "amasia login https://amasia.example.org --user ada",
        "amasia login --device",
        "amasia login URL --token < token.txt",
        "amasia login URL --user ada < password.txt",
    )
)
def login(
    url: Annotated[str, typer.Argument(help="Of the control plane; that of the profile without it.")] = "",
    user: Annotated[str, typer.Option(help="Your name there; the computer's without it.")] = "",
    token: Annotated[bool, typer.Option("--token", help="Read a token, not a password.")] = False,
    device: Annotated[bool, typer.Option("--device", help="By a browser, on this computer or any other.")] = False,
    workspace: Annotated[str, typer.Option("--workspace", "-w", help="That names without one belong to.")] = "",
    as_json: Json = False,
) -> None:
    """Sign in, and keep the token in the profile.

    By a browser, where the control plane has a provider to sign in with and no --user is named; else by password. The
    secret is read from the terminal or from stdin.
    """
    where = url or client_settings().url
    if not where:
        raise InvalidRequest("No control plane is known here.", cure="amasia login URL, or amasia up.")
    if "://" not in where:
        raise InvalidRequest(f"{where!r} is no address.", cure=f"amasia login https://{where}")
    if token:
        me = accounts.keep(where, secret("Token: "), workspace)
    elif device or (not user and sys.stdin.isatty() and accounts.ways(where).providers):
        me = accounts.sign_in_by_device(where, _show_code, workspace=workspace)
    else:
        name = user or getpass.getuser()
        me = accounts.sign_in(where, name, secret(f"Password of {name}: "), workspace=workspace)
    _show(me, as_json)


@app.command(epilog=examples("amasia logout"))
def logout(as_json: Json = False) -> None:
    """Forget the token of this computer. It goes on elsewhere until it is revoked or expires."""
    accounts.sign_out()
    show_json({"signed_out": True}) if as_json else say("Signed out. Back in: amasia login URL")


@app.command(epilog=examples("amasia whoami", "amasia whoami --json"))
def whoami(as_json: Json = False) -> None:
    """Who the control plane takes you for."""
    _show(accounts.get(), as_json)


@tokens.command(
    "create", epilog=examples("amasia token create ci --days 30", "amasia token create looker --scope read")
)
def create(
    label: Annotated[str, typer.Argument(help="To know it by.")],
    scope: Annotated[Scope, typer.Option(help="everything, or read.")] = Scope.everything,
    days: Annotated[int, typer.Option(min=1, max=366, help="Until it expires.")] = 90,
    as_json: Json = False,
) -> None:
    """Make a token. Its secret is shown once, on stdout."""
    made = accounts.create_token(label, scope=scope, days=days)
    if as_json:
        show_json(made)
        return
    say(f"Token {made.token.id}, until {clock(made.token.expires_at)}. It is not shown again:")
    print(made.secret)


@tokens.command("list", epilog=examples("amasia token list", "amasia token list --json"))
def list_(as_json: Json = False) -> None:
    """Your tokens, without their secrets."""
    found = accounts.find_tokens()
    if as_json:
        show_json(found)
        return
    rows = [
        (one.id, one.label, one.scope, f"{one.prefix}…", clock(one.expires_at), ago(one.last_used_at)) for one in found
    ]
    show_table(["token", "label", "scope", "begins", "until", "last used"], rows, empty="You have no tokens.")


@tokens.command("revoke", epilog=examples("amasia token revoke to-3f9a1c0b7d2e4f60 --yes"))
def revoke(token: Annotated[str, typer.Argument(help="Its id.")], yes: Yes = False, as_json: Json = False) -> None:
    """End a token at once."""
    confirm(f"End token {token}? Whatever uses it stops working.", yes)
    accounts.revoke_token(token)
    show_json({"revoked": token}) if as_json else say(f"Token {token} is revoked.")


def _show_code(codes: DeviceCodes) -> None:
    say(f"Open {codes.verification_uri_complete}")
    say(f"and see that it shows the code {codes.user_code}. Waiting for {codes.expires_in // 60} minutes …")


def _show(me: Me, as_json: bool) -> None:
    if as_json:
        show_json(me)
        return
    settings = client_settings()
    roles = ", ".join(f"{one.workspace} ({one.role})" for one in me.memberships) or "none"
    show_fields(
        {
            "user": f"{me.user.name}{' (operator)' if me.user.operator else ''}",
            "control plane": f"{settings.url}, version {me.version}",
            "workspaces": roles,
            "used": settings.workspace or "none",
        }
    )
