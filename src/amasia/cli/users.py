"""``amasia user``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Yes, confirm, examples, noun, secret
from amasia.cli.output import ago, clock, say, show_json, show_table
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


@app.command(epilog=examples("amasia user invite bo", "amasia user invite bo --days 2"))
def invite(
    name: Annotated[str, typer.Argument(help="What they are called here; made where there is none.")],
    days: Annotated[int, typer.Option(min=1, max=60, help="Until the code expires.")] = 7,
    as_json: Json = False,
) -> None:
    """Let somebody sign in as this user by an identity of theirs, such as their institute's. The code is on stdout."""
    made = users.invite(name, days=days)
    if as_json:
        show_json(made)
        return
    say(f"Send {made.user.name} to {made.url} with this code, good once until {clock(made.invitation.expires_at)}:")
    print(made.code)
    say(f"Let them into a workspace: amasia workspace add {made.user.name} member")


@app.command(epilog=examples("amasia user password", "amasia user password bo", "amasia user password bo < new.txt"))
def password(
    name: Annotated[str, typer.Argument(help="Another one's, by an operator; else your own.")] = "",
    as_json: Json = False,
) -> None:
    """Change a password. Ends the other tokens and sessions of its owner; machines keep theirs.

    Your own asks for the old one first; on stdin it is the first line, and the new one the second.
    """
    if name:
        users.reset_password(name, secret(f"A new password for {name}: "))
        show_json({"changed": True}) if as_json else say(f"{name} has a new password, and has to sign in again.")
        return
    users.change_password(secret("Your old password: "), secret("Your new password: "))
    if as_json:
        show_json({"changed": True})
        return
    say("Your password is changed. Your other tokens and sessions are ended.")


@app.command(epilog=examples("amasia user remove bo", "amasia user remove bo --yes"))
def remove(name: Annotated[str, typer.Argument(help="Of a user.")], yes: Yes = False, as_json: Json = False) -> None:
    """End an account: sessions, tokens, memberships and grants at once; its clusters stop."""
    confirm(f"Remove {name}? Sessions, tokens, memberships and grants end, clusters stop.", yes)
    users.remove(name)
    if as_json:
        show_json({"removed": name})
        return
    say(f"{name} is removed. Commits and the audit trail keep the name.")
