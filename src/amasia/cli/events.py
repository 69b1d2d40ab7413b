"""``amasia audit``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun
from amasia.cli.output import clock, show_json, show_table
from amasia.client import events

app = noun("Who did what.")


@app.command(epilog=examples("amasia audit", "amasia audit --last 200 --json"))
def audit(
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Who did what, denials too. For admins and owners."""
    found = events.find(workspace, last=last)
    if as_json:
        show_json(found)
        return
    rows = [(clock(event.at), event.actor, event.verb, event.target, event.outcome, event.source) for event in found]
    show_table(["when", "who", "what", "on", "outcome", "from"], rows, empty="Nothing happened yet.")
