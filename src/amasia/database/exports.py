"""Named queries on how far each place outside has got with each chain of events."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select, true

from amasia.database import events
from amasia.database.rows import add_missing, change, every
from amasia.database.tables import chains, exports
from amasia.models.events import Event
from amasia.models.health import Behind


@dataclass(frozen=True)
class Batch:
    """Events that are to go to one place."""

    sink: str
    chain: str
    held_until: datetime
    events: tuple[Event, ...]


def _behind(sink: str, at: datetime) -> Select[Any]:
    mine = and_(exports.c.chain == chains.c.name, exports.c.sink == sink)
    return (
        select(chains.c.name, chains.c.dropped_seq, exports.c.seq)
        .join(exports, mine, isouter=True)
        .where(
            chains.c.seq > func.coalesce(exports.c.seq, 0),
            or_(exports.c.held_until.is_(None), exports.c.held_until <= at),
        )
        .order_by(chains.c.name)
    )


def waiting(tx: Connection, sink: str, at: datetime) -> bool:
    return tx.execute(_behind(sink, at).limit(1)).first() is not None


def claim(tx: Connection, sink: str, at: datetime, until: datetime, limit: int) -> Batch | None:
    """Events of one chain, taken so that no other control plane sends them too."""
    for chain, dropped, seq in tx.execute(_behind(sink, at)).all():
        where = (exports.c.sink == sink, exports.c.chain == chain)
        if seq is None:
            add_missing(tx, exports, sink=sink, chain=chain, seq=0)
        query = select(exports.c.seq, exports.c.held_until).where(*where).with_for_update(skip_locked=True)
        row = tx.execute(query).first()
        if row is None or (row.held_until is not None and row.held_until > at):
            continue
        found = events.following(tx, chain or None, max(row.seq, dropped), limit)
        if found:
            change(tx, exports, *where, held_until=until)
            return Batch(sink, chain, until, tuple(found))
    return None


def advance(tx: Connection, batch: Batch) -> None:
    """They are there. Nothing happens where somebody else has taken them in between: they come twice, which may be."""
    where = (
        exports.c.sink == batch.sink,
        exports.c.chain == batch.chain,
        exports.c.held_until == batch.held_until,
    )
    change(tx, exports, *where, seq=batch.events[-1].seq, held_until=None)


def behind(tx: Connection) -> list[Behind]:
    """Of every place that ever got an event, how many it has not got."""
    sinks = select(exports.c.sink).distinct().subquery()
    mine = and_(exports.c.chain == chains.c.name, exports.c.sink == sinks.c.sink)
    missing = func.sum(chains.c.seq - func.coalesce(exports.c.seq, chains.c.dropped_seq))
    query = select(sinks.c.sink, missing.label("events")).select_from(sinks).join(chains, true())
    query = query.outerjoin(exports, mine).group_by(sinks.c.sink).order_by(sinks.c.sink)
    return every(tx, query, Behind)


def least(tx: Connection, workspace: str | None, sinks: Iterable[str], seq: int) -> int:
    """How far all of some places have got with a chain that goes to ``seq``."""
    query = select(exports.c.sink, exports.c.seq).where(exports.c.chain == (workspace or ""))
    found = {row.sink: row.seq for row in tx.execute(query)}
    return min([found.get(sink, 0) for sink in sinks], default=seq)
