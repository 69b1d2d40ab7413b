"""The audit trail: who, what, when, from where, outcome, denials too; and the chain that shows when it was changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from amasia.models.base import Model, Time

DROPPED = "audit.drop"
"""The event that says that older ones were dropped, up to which number and hash."""


class Outcome(StrEnum):
    done = "done"
    denied = "denied"
    failed = "failed"


class Event(Model):
    id: int
    at: Time
    workspace: str | None
    actor: str
    """A user's name, ``machine:<id>`` or ``amasia`` for the reconcilers."""
    verb: str
    """Noun and verb, such as ``cluster.create``."""
    target: str
    outcome: Outcome
    source: str = ""
    """Address that the request came from."""
    detail: dict[str, Any] = {}
    seq: int = 0
    """Its number in the chain of its workspace, or of the control plane: 1, 2, 3, with none left out."""
    hash: str = ""
    """SHA-256 of the hash before it and of all that stands here, but the id."""


class EventFilter(Model):
    """Which events; None for all."""

    actor: str | None = None
    verb: str | None = None
    """Such as ``cluster.create``, or ``cluster`` for every verb of it."""
    target: str | None = None
    outcome: Outcome | None = None
    since: Time | None = None
    until: Time | None = None


class Head(Model):
    """How far a chain goes. Kept elsewhere, it proves that nothing up to there was changed later."""

    workspace: str | None
    """None for the control plane's own chain."""
    seq: int
    hash: str
    dropped_seq: int = 0
    """Events up to this one were dropped when their time was over."""
    dropped_hash: str = ""


class Verdict(Model):
    """What came out when a chain was checked."""

    workspace: str | None
    checked: int
    """Events whose hashes are right, one after the other."""
    seq: int
    """The last of them."""
    hash: str
    problem: str = ""
    """What is wrong with the first that is wrong; empty where all is right."""


def link(before: str, event: Event) -> str:
    """The hash of an event that follows the one with the hash ``before``.

    Of ``before``, a line feed, and JSON with its keys in order, without blanks, in ASCII; the time in UTC with
    microseconds. Whoever has the events can work it out again in any language.
    """
    said = {
        "seq": event.seq,
        "at": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "workspace": event.workspace,
        "actor": event.actor,
        "verb": event.verb,
        "target": event.target,
        "outcome": event.outcome.value,
        "source": event.source,
        "detail": event.detail,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def check(head: Head, events: Iterable[Event], known: Iterable[Head] = (), *, begins: bool = False) -> Verdict:
    """Follow a chain from what was dropped to its head, and stop at the first event that is not what it was.

    Parameters
    ----------
    events
        All that there are, by their numbers.
    known
        Heads of the same chain that were kept elsewhere: the chain must pass through them.
    begins
        The events begin where they do for another reason than that older ones were dropped.
    """
    before, last, checked = head.dropped_hash, head.dropped_seq, 0
    kept = {one.seq: one.hash for one in known if one.workspace == head.workspace}
    said = begins or not head.dropped_seq
    problem = _contradicts(kept, last, before) if last else ""
    for event in events:
        problem = problem or _wrong(before, last, event, kept)
        if problem:
            break
        before, last, checked = event.hash, event.seq, checked + 1
        said = said or _says(event, head)
    if not problem and (last, before) != (head.seq, head.hash):
        problem = f"event {last + 1} is missing: the chain goes on to {head.seq}" if last < head.seq else (
            f"the chain ends with event {head.seq} of another hash"
        )  # fmt: skip
    if not problem and not said:
        problem = f"events up to {head.dropped_seq} are missing, and no event says that they were dropped"
    if not problem and (beyond := [seq for seq in kept if seq > last]):
        problem = f"event {last + 1} is missing: a head that was kept is of event {max(beyond)}"
    return Verdict(workspace=head.workspace, checked=checked, seq=last, hash=before, problem=problem)


def _wrong(before: str, last: int, event: Event, kept: dict[int, str]) -> str:
    if event.seq != last + 1:
        return f"event {last + 1} is missing: after {last} comes {event.seq}"
    if link(before, event) != event.hash:
        what = f"{event.verb} of {event.target} by {event.actor} at {_moment(event.at)}"
        return f"event {event.seq} ({what}) was changed, or the one before it"
    return _contradicts(kept, event.seq, event.hash)


def _contradicts(kept: dict[int, str], seq: int, hash: str) -> str:
    if kept.get(seq, hash) == hash:
        return ""
    return f"event {seq}, or one before it, was written anew: a head that was kept has another hash"


def _says(event: Event, head: Head) -> bool:
    detail = event.detail
    return event.verb == DROPPED and (detail.get("seq"), detail.get("hash")) == (head.dropped_seq, head.dropped_hash)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def chained(head: Head, events: Iterable[Event]) -> Iterator[Event]:
    """Events with their numbers and hashes, as they follow a head."""
    before, seq = head.hash, head.seq
    for event in events:
        seq += 1
        numbered = event.model_copy(update={"seq": seq})
        before = link(before, numbered)
        yield numbered.model_copy(update={"hash": before})
