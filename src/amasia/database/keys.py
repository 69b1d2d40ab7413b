"""The keys that secrets are sealed with: numbered rows, wrapped by a master key that is kept elsewhere.

Sealed text is ``NUMBER:TOKEN``. Whoever seals holds the newest key's row until the transaction is over, so that a key
goes only when nothing can be written with it any more. Text without a number is from before keys had one, and is
sealed with the first.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    delete,
    func,
    select,
    type_coerce,
    update,
)

from amasia import errors
from amasia.database.masters import Masters
from amasia.database.rows import add, change
from amasia.database.schema import Sealed, SealedText, metadata
from amasia.database.tables import keys
from amasia.models.base import now

SEAL, DERIVE, PLANE = "seal", "derive", "plane"
"""What keys are for: to seal; to derive secrets that are kept nowhere; and a name of this plane, which stays."""
_SEALED = re.compile(r"(?:(\d{1,9}):)?([^:]+)")


class Keys:
    """Of one database."""

    def __init__(self, engine: Engine, masters: Masters) -> None:
        self._engine, self.masters = engine, masters
        self._known: dict[int, bytes] = {}

    def begin(self, tx: Connection, *, older: bool) -> None:
        """Make the first ones where there are none. ``older``: of a version that sealed with the master key itself."""
        if tx.execute(select(func.count()).select_from(keys)).scalar():
            return self.masters.enter(self._called(self._newest(tx, PLANE)[1].decode()), wrapped(tx).values())
        first = self.masters.first if older else None
        plane = hmac.new(first or Fernet.generate_key(), b"plane:tag", hashlib.sha256).hexdigest()[:12]
        self.masters.enter(self._called(plane))
        for purpose, key in (
            (SEAL, first or Fernet.generate_key()),
            (DERIVE, first or Fernet.generate_key()),
            (PLANE, plane.encode()),
        ):
            add(tx, keys, purpose=purpose, wrapped=self.masters.wrap(key), created_at=now(), reason="")
        return None

    def seal(self, tx: Connection, secret: str) -> Sealed:
        number, key = self._newest(tx, SEAL, hold=True)
        return Sealed(f"{number}:{Fernet(key).encrypt(secret.encode()).decode()}")

    def unseal(self, sealed: Sealed) -> str:
        """What was sealed. ValueError or InvalidToken for what never was."""
        number, token = _parts(sealed)
        return Fernet(self._known.get(number) or self._find(number)).decrypt(token).decode()

    def derive(self, purpose: str, name: str) -> list[str]:
        """With the newest key, and then with the one before, if there is one."""
        with self._engine.connect() as tx:
            made = list(tx.execute(_made(DERIVE).order_by(keys.c.number.desc())))
        known = [self._unwrapped(row.number, row.wrapped) for row in made]
        return [hmac.new(key, f"{purpose}:{name}".encode(), hashlib.sha256).hexdigest() for key in known]

    def plane(self) -> str:
        with self._engine.connect() as tx:
            return self._newest(tx, PLANE)[1].decode()

    def renew_master(self) -> None:
        """Have a master key to wrap with that nothing was wrapped with before, where it is ours to make."""
        self.masters.renew(self._called(self.plane()))

    def keep_masters(self, wrapped: Iterable[str]) -> None:
        """Forget those that neither these nor another database needs."""
        self.masters.keep(self._called(self.plane()), wrapped)

    def _called(self, plane: str) -> str:
        """As others that use the same file of keys are told: by its plane and where it is, since it may be a copy."""
        return f"{plane} {self._engine.url.render_as_string(hide_password=True)}"

    def reseal(self, tx: Connection, column: Column[Sealed], limit: int) -> int:
        """Seal rows of a column with the newest key that other keys sealed; how many there were."""
        table = column.table
        number, _ = self._newest(tx, SEAL, hold=True)
        own = list(table.primary_key.columns)
        query = select(*own, column).where(_not_by(column, number)).limit(limit).with_for_update()
        found = list(tx.execute(query))
        for row in found:
            *key, sealed = row
            same = and_(*(one == value for one, value in zip(own, key, strict=True)))
            fresh = self.seal(tx, self._reopened(table, key, sealed))
            tx.execute(update(table).where(same, column == sealed).values({column.name: fresh}))
        return len(found)

    def _reopened(self, table: Table, key: list[object], sealed: Sealed) -> str:
        try:
            return self.unseal(sealed)
        except (InvalidToken, ValueError) as error:
            raise errors.Unavailable(
                f"What is sealed in {table} {'/'.join(map(str, key))} is sealed with no key of this database.",
                cure="Set it anew, or remove it.",
            ) from error

    def _newest(self, tx: Connection, purpose: str, *, hold: bool = False) -> tuple[int, bytes]:
        query = _made(purpose).order_by(keys.c.number.desc()).limit(1)
        row = tx.execute(query.with_for_update(read=True) if hold else query).one()
        return row.number, self._unwrapped(row.number, row.wrapped)

    def _find(self, number: int) -> bytes:
        with self._engine.connect() as tx:
            row = tx.execute(select(keys).where(keys.c.number == number, keys.c.wrapped != "")).first()
        if row is None:
            raise errors.Unavailable(
                f"Something is sealed with key {number}, which this database does not have.",
                cure="Was it put together from two backups? What is sealed has to be set anew.",
            )
        return self._unwrapped(number, row.wrapped)

    def _unwrapped(self, number: int, wrapped: str) -> bytes:
        if number not in self._known:
            self._known[number] = self.masters.unwrap(wrapped)
        return self._known[number]


def sealed_columns() -> Iterator[Column[Sealed]]:
    """Every column of every table that holds what is sealed: its type says so, and no other takes it."""
    for table in metadata.sorted_tables:
        yield from (column for column in table.columns if isinstance(column.type, SealedText))


def wish(tx: Connection) -> bool:
    """There is to be another key; False where one is on its way already."""
    if len(tx.execute(select(keys.c.number).where(keys.c.purpose == SEAL).with_for_update()).all()) > 1:
        return False
    add(tx, keys, purpose=SEAL, wrapped="", created_at=now(), reason="")
    return True


def last(tx: Connection) -> RowMapping:
    """The newest key to seal with, or the wish for it."""
    query = select(keys).where(keys.c.purpose == SEAL).order_by(keys.c.number.desc()).limit(1)
    return tx.execute(query).mappings().one()


def older(tx: Connection) -> int:
    """How many keys there are besides, that something may be sealed with."""
    return tx.execute(select(func.count()).where(keys.c.purpose == SEAL)).scalar_one() - 1


def make(tx: Connection, number: int, wrapped: str, root: str, others: Mapping[int, str]) -> bool:
    """A wish comes true: a key, another one to derive from, and all others wrapped anew. False if it did already.

    Of those to derive from, the one before is kept: what was derived a moment ago may have to be derived again.
    """
    if not change(tx, keys, keys.c.number == number, keys.c.wrapped == "", wrapped=wrapped):
        return False
    for other, anew in others.items():
        change(tx, keys, keys.c.number == other, wrapped=anew)
    last = select(func.max(keys.c.number)).where(keys.c.purpose == DERIVE).scalar_subquery()
    tx.execute(delete(keys).where(keys.c.purpose == DERIVE, keys.c.number < last))
    add(tx, keys, purpose=DERIVE, wrapped=root, created_at=now(), reason="")
    return True


def say(tx: Connection, reason: str) -> None:
    """Why the newest key goes no further; empty when it does."""
    change(tx, keys, keys.c.number == last(tx)["number"], keys.c.reason != reason, reason=reason)


def drop_older(tx: Connection) -> int:
    """Forget all keys to seal with but the newest; whoever seals with one at this moment is waited for."""
    newest = tx.execute(_made(SEAL).order_by(keys.c.number.desc()).limit(1)).one().number
    before = (keys.c.purpose == SEAL, keys.c.number < newest)
    tx.execute(select(keys.c.number).where(*before).with_for_update()).all()
    if any(tx.execute(select(func.count()).where(_not_by(one, newest))).scalar() for one in sealed_columns()):
        return 0
    return tx.execute(delete(keys).where(*before)).rowcount


def wrapped(tx: Connection) -> dict[int, str]:
    """Those that are made, as their master wrapped them, by number."""
    return {row.number: row.wrapped for row in tx.execute(select(keys).where(keys.c.wrapped != ""))}


def _made(purpose: str) -> Select[Any]:
    return select(keys.c.number, keys.c.wrapped).where(keys.c.purpose == purpose, keys.c.wrapped != "")


def _not_by(column: Column[Sealed], number: int) -> ColumnElement[bool]:
    text = type_coerce(column, Text)
    return and_(text != "", text.not_like(f"{number}:%"))


def _parts(sealed: Sealed) -> tuple[int, str]:
    found = _SEALED.fullmatch(sealed.text)
    if found is None:
        raise ValueError("this is no sealed text")
    return int(found[1] or 1), found[2]
