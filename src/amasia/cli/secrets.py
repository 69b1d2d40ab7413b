"""``amasia secret``."""

import sys
from typing import Annotated

import typer

from amasia import errors
from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun, secret
from amasia.cli.output import ago, say, show_json, show_table
from amasia.client import secrets

app = noun("Secrets for processes on machines: set, used, and never shown.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the variable, such as COPERNICUS_KEY.")]
For = Annotated[
    str | None, typer.Option("--for", help="user:NAME, group:NAME, account:NAME or everyone; yours without it.")
]


@app.command("list", epilog=examples("amasia secret list", "amasia secret list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """Which there are, for whom, who set them, and when they were last used. Never what they are."""
    found = secrets.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [
        (one.name, one.grantee, one.set_by, ago(one.set_at), ago(one.last_used_at) if one.last_used_at else "never")
        for one in found
    ]
    show_table(["secret", "for", "set by", "set", "used"], rows, empty="No secret yet. Set one: amasia secret set NAME")


@app.command(
    "set",
    epilog=examples("amasia secret set COPERNICUS_KEY", "amasia secret set COPERNICUS_KEY --for group:ocean < key.txt"),
)
def set_(name: Name, grantee: For = None, workspace: Workspace = None, as_json: Json = False) -> None:
    """Set a secret, or another value of one. It is read from the terminal, or from stdin: all of it."""
    made = secrets.set(name, _value(name), workspace, grantee=grantee)
    show_json(made) if as_json else say(
        f"{made.name} is set for {made.grantee}. Use it: amasia cluster start --secret {made.name}"
    )


@app.command(epilog=examples("amasia secret remove COPERNICUS_KEY", "amasia secret remove KEY_1 --for everyone --yes"))
def remove(
    name: Name, grantee: For = None, workspace: Workspace = None, yes: Yes = False, as_json: Json = False
) -> None:
    """Forget a secret. Machines that have it keep it until they end; none is lent it any more."""
    confirm(f"Remove the secret {name}{f' for {grantee}' if grantee else ''}?", yes)
    secrets.remove(name, workspace, grantee=grantee)
    show_json({"removed": name}) if as_json else say(f"{name} is removed.")


def _value(name: str) -> str:
    """A key in a file has several lines, and ends with a line feed that is none of it."""
    if sys.stdin.isatty():
        return secret(f"{name}: ")
    try:
        return sys.stdin.read().rstrip("\n")
    except UnicodeDecodeError:
        raise errors.InvalidRequest(
            "A secret is text, and this is none.", cure=f"Encode it: base64 < FILE | amasia secret set {name}"
        ) from None
