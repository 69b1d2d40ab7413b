"""``amasia alert``, and what a command says at its end of budgets that fill up."""

from contextlib import suppress
from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun
from amasia.cli.output import ago, clock, say, show_json, show_table
from amasia.client import alerts, channels
from amasia.errors import AmasiaError
from amasia.models.channels import ChannelKind

app = noun("What you are told of budgets, and where.")


@app.command("list", epilog=examples("amasia alert list", "amasia alert list -w demo --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The last that you were told."""
    found = alerts.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(clock(one.at), one.budget, f"{one.percent} %", one.text) for one in found]
    show_table(["when", "budget", ">used", "what"], rows, empty="You were told of no budget yet.")


@app.command("channels", epilog=examples("amasia alert channels", "amasia alert channels --json"))
def channels_(as_json: Json = False) -> None:
    """Where you are told besides the console and the terminal."""
    found = channels.find()
    if as_json:
        show_json(found)
        return
    rows = [(one.id, one.kind, one.address, ago(one.created_at), one.reason) for one in found]
    show_table(["id", "kind", "address", "made", "last failure"], rows, empty="Nowhere else: amasia alert add --help")


@app.command(
    epilog=examples("amasia alert add email ada@example.org", "amasia alert add webhook https://hooks.example.org/a")
)
def add(
    kind: ChannelKind,
    address: Annotated[str, typer.Argument(help="An e-mail address or an https URL.")],
    as_json: Json = False,
) -> None:
    """Be told there too. Requests to a webhook are signed with a secret, which is shown this once."""
    made = channels.create(kind, address)
    if as_json:
        show_json(made)
        return
    say(f"You are told at {made.channel.address} too. Remove it: amasia alert remove {made.channel.id}")
    if made.secret:
        print(made.secret)


@app.command(epilog=examples("amasia alert remove ch-3f9a1c0b7d2e4f60"))
def remove(channel: Annotated[str, typer.Argument(help="Its id.")], as_json: Json = False) -> None:
    """Be told there no more."""
    channels.delete(channel)
    show_json({"removed": channel}) if as_json else say(f"You are not told by {channel} any more.")


def tell() -> None:
    """Silence where the control plane does not answer: the command itself has said that, or does not need it."""
    with suppress(AmasiaError):
        for one in alerts.take():
            say(f"note: {one.text}")
