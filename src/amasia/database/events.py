"""Named queries on the audit trail. Rows of it are only ever added, at the end of the transaction that they tell of.

All events of a workspace are one chain, those of no workspace another. Whoever adds to a chain holds its row until the
transaction ends: so two never follow the same event. It is the last lock of a transaction, and several are taken in
the order of their names, so nobody waits in a ring.
"""

from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select

from amasia.database.rows import add_missing, change, every, one, plain
from amasia.database.tables import chains, events
from amasia.models.base import now
from amasia.models.events import Event, EventFilter, Head, Outcome, chained

PENDING = "amasia_events"


def append(
    tx: Connection,
    *,
    actor: str,
    verb: str,
    target: str,
    workspace: str | None,
    source: str = "",
    outcome: Outcome = Outcome.done,
    **detail: Any,
) -> None:
    """Written when the transaction ends, see `flush`."""
    texts = {"actor": actor, "verb": verb, "target": target, "source": source}
    # As it comes back from the database: PostgreSQL holds no NUL.
    clean = {key: text.replace("\0", "\N{REPLACEMENT CHARACTER}") for key, text in texts.items()}
    event = Event(id=0, at=now(), workspace=workspace, outcome=outcome, detail=_json(detail), **clean)
    tx.info.setdefault(PENDING, []).append(event)


def flush(tx: Connection) -> bool:
    """Write down what was appended; whether there was anything."""
    pending: list[Event] = tx.info.pop(PENDING, [])
    for chain in sorted({_chain(event.workspace) for event in pending}):
        own = [event for event in pending if _chain(event.workspace) == chain]
        made = list(chained(_locked(tx, chain), own))
        tx.execute(insert(events), [{**_row(event), "chain": chain} for event in made])
        change(tx, chains, chains.c.name == chain, seq=made[-1].seq, hash=made[-1].hash)
    return bool(pending)


def discard(tx: Connection) -> None:
    """Forget what was appended: the transaction failed."""
    tx.info.pop(PENDING, None)


def _json(detail: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it: what is hashed now must be what is read later."""
    found: dict[str, Any] = to_jsonable_python(detail)
    return found


def _row(event: Event) -> dict[str, Any]:
    row = plain(event)
    row.pop("id")
    return row


def _chain(workspace: str | None) -> str:
    return workspace or ""


def _locked(tx: Connection, chain: str) -> Head:
    query = _heads(chains.c.name == chain).with_for_update()
    found = one(tx, query, Head)
    if found is None:
        add_missing(tx, chains, name=chain, seq=0, hash="", dropped_seq=0, dropped_hash="")
        found = one(tx, query, Head)
    assert found is not None
    return found


def _heads(*where: ColumnElement[bool]) -> Select[Any]:
    return select(chains.c.name.label("workspace"), chains).where(*where)


def head(tx: Connection, workspace: str | None) -> Head:
    """Where a chain ends; an empty one is one that nothing was written to yet."""
    found = one(tx, _heads(chains.c.name == _chain(workspace)), Head)
    empty = Head(workspace=workspace, seq=0, hash="")
    return found.model_copy(update={"workspace": workspace}) if found else empty


def page(tx: Connection, workspace: str | None, wanted: EventFilter, before: int | None, limit: int) -> list[Event]:
    """Newest first."""
    query = select(events).where(events.c.chain == _chain(workspace), *_wanted(wanted))
    if before is not None:
        query = query.where(events.c.id < before)
    return every(tx, query.order_by(events.c.id.desc()).limit(limit), Event)


def _wanted(wanted: EventFilter) -> list[ColumnElement[bool]]:
    where = [
        events.c[name] == value
        for name in ("actor", "target", "outcome")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.verb is not None:  # a noun alone is every verb of it
        of_noun = func.substr(events.c.verb, 1, len(wanted.verb) + 1) == f"{wanted.verb}."
        where.append((events.c.verb == wanted.verb) | of_noun)
    if wanted.since is not None:
        where.append(events.c.at >= wanted.since)
    if wanted.until is not None:
        where.append(events.c.at < wanted.until)
    return where


def following(tx: Connection, workspace: str | None, seq: int, limit: int) -> list[Event]:
    """Those after one, in the order of their numbers."""
    query = select(events).where(events.c.chain == _chain(workspace), events.c.seq > seq)
    return every(tx, query.order_by(events.c.seq).limit(limit), Event)


def heads(tx: Connection) -> list[Head]:
    """Of every chain."""
    found = every(tx, _heads().order_by(chains.c.name), Head)
    return [one.model_copy(update={"workspace": one.workspace or None}) for one in found]


def last_before(tx: Connection, workspace: str | None, at: datetime, most: int) -> Event | None:
    """The last event that is older than a time and whose number is no higher than ``most``."""
    younger = select(func.min(events.c.seq)).where(events.c.chain == _chain(workspace), events.c.at >= at)
    first = tx.execute(younger).scalar()
    query = select(events).where(events.c.chain == _chain(workspace), events.c.seq <= most)
    if first is not None:
        query = query.where(events.c.seq < first)
    return one(tx, query.order_by(events.c.seq.desc()).limit(1), Event)


def drop(tx: Connection, last: Event) -> int:
    """Delete a chain's events up to one. The database refuses to delete any that its chain does not call dropped."""
    chain = _chain(last.workspace)
    change(tx, chains, chains.c.name == chain, dropped_seq=last.seq, dropped_hash=last.hash)
    return tx.execute(delete(events).where(events.c.chain == chain, events.c.seq <= last.seq)).rowcount
