"""``amasia audit``."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from amasia.cli.options import Json, Workspace, examples, noun
from amasia.cli.output import clock, say, show_json, show_table
from amasia.client import events
from amasia.errors import AuditBroken, InvalidRequest
from amasia.models.events import Head, Outcome, Verdict

app = noun("Who did what, and the proof that nobody changed what is written of it.")
ControlPlane = Annotated[
    bool, typer.Option("--control-plane", help="What belongs to no workspace: sign-ins, users. For operators.")
]
Moment = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Local time.")]


@app.command(
    epilog=examples(
        "amasia audit log",
        "amasia audit log --last 200 --json",
        "amasia audit log --actor ada --verb cluster --since 2026-11-01",
        "amasia audit log --outcome denied",
        "amasia audit log --control-plane --verb user.sign-in",
    )
)
def log(
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    actor: Annotated[str | None, typer.Option(help="Who: a user, an account, or machine:ID.")] = None,
    verb: Annotated[str | None, typer.Option(help="What: cluster.create, or cluster for all verbs of it.")] = None,
    target: Annotated[str | None, typer.Option(help="On what, as the log shows it.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only those.")] = None,
    since: Moment = None,
    until: Moment = None,
    control_plane: ControlPlane = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Who did what, denials too. Owners, admins and auditors see all of it, others what they did themselves."""
    found = events.find(
        workspace,
        last=last,
        actor=actor,
        verb=verb,
        target=target,
        outcome=outcome,
        since=since and since.astimezone(),
        until=until and until.astimezone(),
        control_plane=control_plane,
    )
    if as_json:
        show_json(found)
        return
    rows = [(clock(event.at), event.actor, event.verb, event.target, event.outcome, event.source) for event in found]
    show_table(["when", "who", "what", "on", "outcome", "from"], rows, empty="Nothing of that kind happened yet.")


@app.command(epilog=examples("amasia audit head > head-2026-11.json", "amasia audit head --control-plane"))
def head(control_plane: ControlPlane = False, workspace: Workspace = None, as_json: Json = True) -> None:
    """Where the chain ends now, always as JSON. Keep it elsewhere: it proves that nothing up to here was changed."""
    show_json(events.head(workspace, control_plane=control_plane))


@app.command(
    epilog=examples(
        "amasia audit verify",
        "amasia audit verify --head head-2026-11.json",
        "amasia audit verify --control-plane --json",
        "amasia audit verify --file /var/log/amasia/audit.jsonl",
    )
)
def verify(
    head: Annotated[list[Path] | None, typer.Option(help="That was kept: amasia audit head. Repeatable.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Events that were exported, instead of the control plane's.")
    ] = None,
    control_plane: ControlPlane = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Work out every hash anew, on this computer, and name the first event that was changed or is missing."""
    known = [_kept(one) for one in head or []]
    if file is not None:
        found = events.verify_file(file, known=known)
    else:
        found = [events.verify(workspace, known=known, control_plane=control_plane)]
    if as_json:
        show_json(found)
    for one in found:
        _tell(one, as_json)
    wrong = [f"{_name(one)}: {one.problem}" for one in found if one.problem]
    if wrong:
        raise AuditBroken(
            f"The audit trail is not what it was. {'. '.join(wrong)}.",
            cure="Compare it with an export or a backup, and find out who can write to the database.",
        )


def _tell(one: Verdict, as_json: bool) -> None:
    if not one.problem and not as_json:
        say(f"{_name(one)}: {one.checked} events, each follows the one before it. The last is {one.seq}: {one.hash}")


def _name(one: Verdict) -> str:
    return one.workspace or "control plane"


def _kept(file: Path) -> Head:
    try:
        return Head.model_validate(json.loads(file.read_text()))
    except (OSError, ValueError, ValidationError):
        raise InvalidRequest(f"{file} holds no head of a chain.", cure="Make one: amasia audit head > FILE") from None
