"""``amasia user``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, examples, noun, secret
from amasia.cli.output import ago, say, show_json, show_table
from amasia.client import users

app = noun("Accounts of this control plane; for operators.")


@app.command("list", epilog=examples("amasia user list", "amasia user list --json"))
def list_(as_json: Json = False) -> None:
    """Everybody who has an account."""
    found = users.find()
    if as_json:
        show_json(found)
        return
    rows = [(one.name, "operator" if one.operator else "", ago(one.created_at)) for one in found]
    show_table(["user", "", "made"], rows)


@app.command(epilog=examples("amasia user create bo", "amasia user create bo < password.txt"))
def create(
    name: Annotated[str, typer.Argument(help="What they are called here.")],
    operator: Annotated[bool, typer.Option("--operator", help="May make users and workspaces.")] = False,
    as_json: Json = False,
) -> None:
    """Make a local account. The password is read from the terminal or from stdin; at least eight characters."""
    made = users.create(name, secret(f"A password for {name}: "), operator=operator)
    if as_json:
        show_json(made)
        return
    say(f"{made.name} has an account. Let them in: amasia workspace add {made.name} member")
