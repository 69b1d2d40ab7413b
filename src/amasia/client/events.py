"""The audit trail, and the proof that nobody changed it."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path

from pydantic import ValidationError

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.errors import InvalidRequest
from amasia.models.events import Event, Head, Verdict, check


def find(
    workspace: str | None = None,
    *,
    last: int = 100,
    actor: str | None = None,
    verb: str | None = None,
    target: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    control_plane: bool = False,
    connection: Connection | None = None,
) -> list[Event]:
    """Who did what in a workspace, denials too; newest first. Owners, admins and auditors
    see all of it, others what they did themselves.

    Parameters
    ----------
    last
        How many at most.
    actor, verb, target, outcome
        Only those of somebody, such as ``ada`` or ``machine:ma-…``; of a verb such as ``cluster.create``, or
        ``cluster`` for all verbs of it; on something; ``done``, ``denied`` or ``failed``.
    since, until
        Only those from a time on, and before one.
    control_plane
        What belongs to no workspace: sign-ins, users, strangers who asked for a workspace. For operators.
    """
    times = {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
    found = (connection or connect()).items(
        _path(workspace, control_plane), Event, actor=actor, verb=verb, target=target, outcome=outcome, **times
    )
    return list(islice(found, last))


def head(workspace: str | None = None, *, control_plane: bool = False, connection: Connection | None = None) -> Head:
    """Where the chain of a workspace's events ends now. Keep it elsewhere, and give it to `verify` later.

    Parameters
    ----------
    control_plane
        That of events which belong to no workspace instead. For operators.
    """
    return (connection or connect()).get(f"{_path(workspace, control_plane)}/head", Head)


def verify(
    workspace: str | None = None,
    *,
    known: Iterable[Head] = (),
    control_plane: bool = False,
    connection: Connection | None = None,
) -> Verdict:
    """Fetch all events of a workspace and work out their hashes here; what is wrong with the first that is wrong.

    Parameters
    ----------
    known
        Heads that were kept: proof against somebody who wrote the whole chain anew.
    control_plane
        As in `head`.
    """
    link, where = connection or connect(), _path(workspace, control_plane)
    end = link.get(f"{where}/head", Head)
    found = link.items(f"{where}/chain", Event, after=end.dropped_seq)
    return check(end, takewhile(lambda event: event.seq <= end.seq, found), known)


def verify_file(file: str | Path, *, known: Iterable[Head] = ()) -> list[Verdict]:
    """The same for events that were exported as JSON lines, by workspace. Needs no control plane.

    A file that begins in the middle of a chain is taken to be right there; what came twice counts once.
    """
    chains: dict[str, dict[tuple[int, str], Event]] = {}
    for event in _read(Path(file)):
        chains.setdefault(event.workspace or "", {})[event.seq, event.hash] = event
    kept = list(known)
    return [_check_exported([found[key] for key in sorted(found)], kept) for _, found in sorted(chains.items())]


def _check_exported(found: list[Event], known: list[Head]) -> Verdict:
    first, last = found[0], found[-1]
    whole = first.seq == 1
    head = Head(
        workspace=first.workspace,
        seq=last.seq,
        hash=last.hash,
        dropped_seq=0 if whole else first.seq,
        dropped_hash="" if whole else first.hash,
    )
    return check(head, found if whole else found[1:], [one for one in known if one.seq <= last.seq], begins=True)


def _read(file: Path) -> Iterator[Event]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                # A line that a crash cut short comes again, whole.
                if line.rstrip().endswith("}"):
                    yield _event(file, number, line)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read ({error.strerror}).", cure="Name a file of events.") from None


def _event(file: Path, number: int, line: str) -> Event:
    try:
        return Event.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        raise InvalidRequest(
            f"Line {number} of {file} is no event.", cure="Name a file that the control plane exported."
        ) from None


def _path(workspace: str | None, control_plane: bool) -> str:
    return "/v1/events" if control_plane else f"{path(workspace)}/events"
