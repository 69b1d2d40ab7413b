"""The keys that everything sealed is sealed with: renewed by a wish, which `amasia.reconcilers.keys` makes true."""

from collections.abc import Mapping

from amasia.database import events
from amasia.database import keys as rows
from amasia.database.engine import Database
from amasia.models.keys import Keys
from amasia.models.users import Principal


def get(db: Database) -> Keys:
    with db.read() as tx:
        last = rows.last(tx)
        return Keys(
            number=last["number"],
            made_at=last["created_at"],
            master=db.keys.masters.kind,
            older=rows.older(tx),
            reason=last["reason"],
        )


def rotate(db: Database, who: Principal) -> Keys:
    """Wish for a new key, and that everything is sealed with it. While that goes on, asking again wishes nothing."""
    with db.write() as tx:
        if rows.wish(tx):
            events.append(tx, actor=who.actor, verb="key.rotate", target=str(rows.last(tx)["number"]), workspace=None,
                          source=who.source)  # fmt: skip
    return get(db)


def wished(db: Database) -> int | None:
    """Number of a key that is to be made; None for none."""
    with db.read() as tx:
        last = rows.last(tx)
    return None if last["wrapped"] else int(last["number"])


def wrapped(db: Database) -> dict[int, str]:
    """All keys as their master wrapped them, by number."""
    with db.read() as tx:
        return rows.wrapped(tx)


def made(db: Database, number: int, key: str, root: str, others: Mapping[int, str]) -> None:
    """A key came true; ``root`` is a new one to derive from, ``others`` are those that there were, wrapped anew."""
    with db.write() as tx:
        if rows.make(tx, number, key, root, others):
            events.append(tx, actor="amasia", verb="key.make", target=str(number), workspace=None,
                          master=db.keys.masters.kind)  # fmt: skip


def failed(db: Database, reason: str) -> None:
    """Say why it goes no further; it is tried again."""
    with db.write(quiet=True) as tx:
        rows.say(tx, reason)


def older(db: Database) -> int:
    """How many keys there are that something may still be sealed with, beside the newest."""
    with db.read() as tx:
        return rows.older(tx)


def reseal(db: Database, limit: int) -> int:
    """Seal some of what other keys sealed with the newest; how many there were."""
    for column in rows.sealed_columns():
        with db.write(quiet=True) as tx:
            if count := db.keys.reseal(tx, column, limit):
                return count
    return 0


def finish(db: Database) -> bool:
    """Forget the older keys, if nothing is sealed with them any more."""
    with db.write() as tx:
        gone = rows.drop_older(tx)
        if gone:
            rows.say(tx, "")
            events.append(tx, actor="amasia", verb="key.retire", target=str(rows.last(tx)["number"]), workspace=None,
                          older=gone)  # fmt: skip
    return gone > 0
