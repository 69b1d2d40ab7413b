"""One database, SQLite or PostgreSQL, and the two ways into it: `read` and `write`."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event

from amasia.database import events
from amasia.database.failures import Flood
from amasia.database.keys import Keys
from amasia.database.masters import Local, Masters
from amasia.database.schema import Sealed
from amasia.errors import StoreFull, Unavailable

_WRITTEN = "amasia_written"
NUL = "\N{REPLACEMENT CHARACTER}"
"""Stands for the one character that PostgreSQL does not hold."""
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, "53100")
"""What drivers call a full disk: SQLite of its files and of what it shares with other processes, PostgreSQL."""
MIGRATIONS = Path(__file__).parent / "migrations"


class Changes:
    """Counts what was written, so that who waits for a change need not ask for it again and again."""

    def __init__(self) -> None:
        self._count = 0
        self._condition = threading.Condition()

    def note(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Until the count is another than the one that was seen, or the time is over; the count."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, seconds)
            return self._count


class Database:
    """Transactions on one database, and the keys that secrets in it are sealed with.

    ``key`` is what wraps those: see `masters.open_masters`. A write ends by writing down its events.

    ``write`` takes SQLite's write lock at its beginning, so that what a transaction read is still true when it writes.
    No network call belongs inside either.
    """

    def __init__(self, url: str, key: bytes | Masters) -> None:
        self.engine = _engine(url)
        event.listen(self.engine, "after_cursor_execute", _mark_written)
        event.listen(self.engine, "handle_error", _name_full)
        self.changes = Changes()
        """Of this process: other control planes on the same database make theirs unseen."""
        self.denied = Flood()
        self.keys = Keys(self.engine, key if isinstance(key, Masters) else Masters(Local([key])))

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, quiet: bool = False) -> Iterator[Connection]:
        """``quiet``: what is written is news to nobody who waits for changes."""
        with self.engine.connect().execution_options(amasia_write=True) as connection, connection.begin():
            try:
                yield connection
                events.flush(connection)
            finally:
                events.discard(connection)
            written = connection.info.pop(_WRITTEN, False)
        if written and not quiet:
            self.changes.note()

    def seal(self, tx: Connection, secret: str) -> Sealed:
        return self.keys.seal(tx, secret)

    def unseal(self, sealed: Sealed) -> str:
        return self.keys.unseal(sealed)

    def derive(self, purpose: str, name: str) -> str:
        """A secret that is the same each time it is asked for, until the keys are renewed. 64 hex digits."""
        return self.derived(purpose, name)[0]

    def derived(self, purpose: str, name: str) -> list[str]:
        """The same, and after it the one from before the keys were renewed, if they were."""
        return self.keys.derive(purpose, name)

    def migrate(self) -> None:
        """Bring the tables to this version's; repeatable."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            older = MigrationContext.configure(connection).get_current_revision() is not None
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            self.keys.begin(connection, older=older)

    def close(self) -> None:
        self.engine.dispose()


def _mark_written(connection: Connection, cursor: Any, _: str, __: Any, context: Any, ___: bool) -> None:
    """A write transaction that found nothing to change is no change."""
    if (context.isinsert or context.isupdate or context.isdelete) and cursor.rowcount != 0:
        connection.info[_WRITTEN] = True


def _name_full(context: ExceptionContext) -> None:
    error = context.original_exception
    if getattr(error, "sqlite_errorcode", None) in _FULL or getattr(error, "sqlstate", None) in _FULL:
        raise StoreFull(
            "No space is left for the control plane's database, so nothing was written.",
            cure="Free some space on its disk, then repeat. `amasia doctor` shows how much there is.",
        ) from error


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "before_cursor_execute", _without_nul, retval=True)
        return engine
    engine = create_engine(url, connect_args={"timeout": 30}, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _: Any) -> None:
    # Our queries take milliseconds; starting workers or a compiler for one takes longer than the query.
    connection.autocommit = True
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.execute("SET jit = off")
    connection.autocommit = False


def _without_nul(_: Connection, __: Any, statement: str, values: Any, ___: Any, many: bool) -> tuple[str, Any]:
    """PostgreSQL holds no NUL: what is looked for is changed as what is written is (`rows`), and so is not found."""
    return statement, [_clean(row) for row in values] if many else _clean(values)


def _clean(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    bad = {key: value.replace("\0", NUL) for key, value in row.items() if isinstance(value, str) and "\0" in value}
    return row | bad if bad else row


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # BEGIN is ours (see _begin_sqlite); the driver would begin late and take the write lock in the middle.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "busy_timeout=30000"):
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"The database file cannot be used ({error}).", cure="Is its disk full, or its directory read-only?"
            ) from error


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("amasia_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
