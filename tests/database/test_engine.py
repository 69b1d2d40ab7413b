import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from amasia import errors
from amasia.database import words
from amasia.database.tables import metadata
from amasia.models.base import now


def test_the_migrations_make_exactly_the_tables(db):
    with db.read() as tx:
        # Full text is each database's own kind of table, which SQLAlchemy has no word for.
        opts = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or not words.is_ours(name)}
        context = MigrationContext.configure(tx, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(db):
    db.migrate()
    db.migrate()


def test_what_is_sealed_cannot_be_read_and_comes_back(db):
    with db.write() as tx:
        sealed = db.seal(tx, "secret key")
    assert "secret" not in sealed.text + repr(sealed)
    assert db.unseal(sealed) == "secret key"


def test_text_that_a_database_cannot_hold_is_looked_for_and_not_found(db, world):
    workspaces = metadata.tables["workspaces"]
    with db.read() as tx:
        assert tx.execute(workspaces.select().where(workspaces.c.name == "la\0b")).all() == []
        assert tx.execute(workspaces.select().where(workspaces.c.name.in_(["la\0b", "lab"]))).one().name == "lab"


def test_who_waits_for_a_change_is_woken_by_writes_that_changed_something(db, world):
    seen = db.changes.wait(-1, 0)
    with db.write() as tx:
        tx.exec_driver_sql("UPDATE memberships SET role = 'admin' WHERE role = 'nobody'")
    assert db.changes.wait(seen, 0) == seen
    with db.write() as tx:
        tx.execute(metadata.tables["memberships"].update().values(role="viewer"))
    assert db.changes.wait(seen, 0) != seen


def test_a_transaction_that_fails_leaves_nothing(db, world):
    def half() -> None:
        with db.write() as tx:
            tx.exec_driver_sql("DELETE FROM memberships")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with db.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM memberships").scalar() == 3


def test_a_full_disk_is_named_and_nothing_of_the_transaction_is_kept(db):
    if db.dialect != "sqlite":
        pytest.skip("only SQLite can be told how large its file may be")
    failures = metadata.tables["failures"]
    rows = [{"key": f"{number}-{'x' * 900}", "count": 1, "since": now()} for number in range(1000)]

    def fill():
        with db.write() as tx:
            tx.exec_driver_sql("PRAGMA max_page_count = 1")  # as large as it is
            tx.execute(failures.insert(), rows)

    with pytest.raises(errors.StoreFull, match=r"No space is left for .* database, .* Free some space"):
        fill()
    with db.read() as tx:
        assert tx.execute(failures.select()).all() == []
