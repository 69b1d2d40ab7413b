"""The audit trail in a real database: it only grows, nobody forks it, and what is done to its rows is seen."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from amasia.database import events as rows
from amasia.database.tables import events as table
from amasia.models.base import now
from amasia.models.events import EventFilter, Outcome, check
from amasia.models.permissions import Permission, Role, may
from amasia.services import events


def say(db, target, workspace="lab", **fields):
    with db.write() as tx:
        rows.append(tx, actor="ada", verb="thing.do", target=target, workspace=workspace, **fields)


def verdict(db, workspace="lab", known=()):
    head = events.head(db, workspace)
    return check(head, events.follow(db, workspace, head.dropped_seq, 10_000), known)


def tamper(db, statement, **values):
    """As somebody who owns the database and has switched off what guards it."""
    with db.engine.connect() as tx, tx.begin():
        if db.dialect == "sqlite":
            for name in tx.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
                tx.execute(text(f"DROP TRIGGER {name}"))
        else:
            for name in ("events", "chains"):
                tx.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        tx.execute(text(statement), values)


def test_who_may_not_audit_sees_what_they_did_and_not_even_how_much_others_did(world):
    for actor in ("ada", "bo", "amasia", "machine:ma-1", "bo"):
        with world.db.write() as tx:
            rows.append(tx, actor=actor, verb="thing.do", target=f"of {actor}", workspace="lab")
    with world.db.write() as tx:
        rows.append(tx, actor="bo", verb="thing.do", target="elsewhere", workspace="other")
    for role in Role:
        found = events.seen(world.db, world.bo, role, "lab", None, wanted=EventFilter(verb="thing"))
        if may(role, Permission.audit):
            assert len(found) == 5
            continue
        assert [(one.actor, one.target, one.seq, one.hash) for one in found] == [("bo", "of bo", 0, "")] * 2
        assert events.seen(world.db, world.bo, role, "lab", None, wanted=EventFilter(actor="ada")) == []
        assert events.seen(world.db, world.bo, role, "lab", found[0].id, wanted=EventFilter(verb="thing")) == found[1:]


def test_a_user_who_is_called_as_the_control_plane_is_not_taken_for_it(world):
    namesake = world.bo.model_copy(update={"user": "amasia"})
    say(world.db, "x")
    with world.db.write() as tx:
        rows.append(tx, actor="amasia", verb="thing.do", target="ours", workspace="lab")
    assert events.seen(world.db, namesake, Role.member, "lab", None) == []


def test_every_event_of_a_workspace_follows_the_one_before_it(world):
    for number in range(5):
        say(world.db, f"t{number}", detail_of=number, source="192.0.2.1")
    found = verdict(world.db)
    assert found.problem == ""
    assert found.checked == found.seq == events.head(world.db, "lab").seq
    assert [one.target for one in events.find(world.db, "lab", None, 3)] == ["t4", "t3", "t2"]
    assert verdict(world.db, None).problem == ""
    assert verdict(world.db, None).seq > 0


def test_a_transaction_that_fails_leaves_no_event_and_no_gap(world):
    before = events.head(world.db, "lab")

    def fail():
        with world.db.write() as tx:
            rows.append(tx, actor="ada", verb="thing.do", target="lost", workspace="lab")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    say(world.db, "kept")
    assert events.find(world.db, "lab", None, 1)[0].seq == before.seq + 1
    assert verdict(world.db).problem == ""


def test_many_at_once_never_fork_a_chain_and_never_wait_in_a_ring(world):
    def work(number):
        with world.db.write() as tx:  # two chains, in either order
            for workspace in ("lab", "other")[:: 1 if number % 2 else -1]:
                rows.append(tx, actor="ada", verb="thing.do", target=str(number), workspace=workspace)

    before = events.head(world.db, "lab").seq
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert events.head(world.db, "lab").seq == before + 80
    assert verdict(world.db).problem == verdict(world.db, "other").problem == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'eve' WHERE chain = 'lab' AND seq = 1",
        "DELETE FROM events WHERE chain = 'lab' AND seq = 1",
        "DELETE FROM events",
        "UPDATE chains SET seq = 0 WHERE name = 'lab'",
        "UPDATE chains SET dropped_seq = seq + 1 WHERE name = 'lab'",
        "DELETE FROM chains WHERE name = 'lab'",
        "INSERT INTO events (at, workspace, actor, verb, target, outcome, source, detail, chain, seq, hash)"
        " SELECT at, workspace, actor, verb, target, outcome, source, detail, chain, seq, hash FROM events LIMIT 1",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(world, statement):
    with pytest.raises(DBAPIError, match=r"events (are|only)"), world.db.engine.connect() as tx, tx.begin():
        tx.execute(text(statement))
    assert verdict(world.db).problem == ""


def test_sqlite_cannot_be_made_to_replace_an_event(world):
    if world.db.dialect != "sqlite":
        pytest.skip("INSERT OR REPLACE is of SQLite")
    connection = sqlite3.connect(world.db.engine.url.database)
    with pytest.raises(sqlite3.IntegrityError, match="only added at the end"):
        connection.execute("INSERT OR REPLACE INTO events SELECT * FROM events WHERE chain = 'lab' AND seq = 1")
    connection.close()


def test_postgresql_cannot_be_made_to_truncate_them(world):
    if world.db.dialect == "sqlite":
        pytest.skip("TRUNCATE is of PostgreSQL")
    with pytest.raises(DBAPIError, match="never changed"), world.db.engine.connect() as tx, tx.begin():
        tx.execute(text("TRUNCATE events"))


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE events SET actor = 'eve' WHERE chain = 'lab' AND seq = 3", "event 3 ("),
        ("UPDATE events SET detail = '{\"a\": 1}' WHERE chain = 'lab' AND seq = 4", "event 4 ("),
        ("UPDATE events SET outcome = 'done' WHERE chain = 'lab' AND seq = 5", "event 5 ("),
        ("DELETE FROM events WHERE chain = 'lab' AND seq = 2", "event 2 is missing"),
        ("DELETE FROM events WHERE chain = 'lab' AND seq > 4", "event 5 is missing"),
        ("UPDATE chains SET dropped_seq = 1, dropped_hash = 'x' WHERE name = 'lab'", "event 2 ("),
    ],
)
def test_whoever_switches_the_guards_off_is_found_out(world, statement, problem):
    for number in range(5):
        say(world.db, f"t{number}", outcome=Outcome.denied)
    tamper(world.db, statement)
    assert verdict(world.db).problem.startswith(problem)


def test_whoever_cuts_the_chain_and_its_head_is_found_out_by_a_head_that_was_kept(world):
    for number in range(5):
        say(world.db, f"t{number}")
    kept = events.head(world.db, "lab")
    tamper(world.db, "DELETE FROM events WHERE chain = 'lab' AND seq > 3")
    with world.db.read() as tx:
        hash = tx.execute(select(table.c.hash).where(table.c.chain == "lab", table.c.seq == 3)).scalar_one()
    tamper(world.db, "UPDATE chains SET seq = 3, hash = :hash WHERE name = 'lab'", hash=hash)
    assert verdict(world.db).problem == ""
    assert verdict(world.db, known=[kept]).problem.startswith("event 4 is missing")


def test_events_are_found_by_who_what_when_and_outcome(world):
    say(world.db, "a")
    say(world.db, "b", outcome=Outcome.denied)
    found = events.find(world.db, "lab", None, 10, EventFilter(verb="thing", outcome="denied"))
    assert [one.target for one in found] == ["b"]
    assert events.find(world.db, "lab", None, 10, EventFilter(verb="thin")) == []
    assert len(events.find(world.db, "lab", None, 10, EventFilter(verb="thing.do", actor="ada"))) == 2
    assert events.find(world.db, "lab", None, 10, EventFilter(since=now() + timedelta(hours=1))) == []
    assert len(events.find(world.db, "lab", None, 10, EventFilter(target="a", until=now()))) == 1


def test_events_whose_time_is_over_go_and_the_chain_still_holds(world):
    for number in range(4):
        say(world.db, f"old{number}")
    kept = events.head(world.db, "lab")
    limit = now()
    say(world.db, "young")
    assert events.drop(world.db, limit, []) >= kept.seq
    left = events.find(world.db, "lab", None, 10)
    assert [one.target for one in left] == [f"events up to {kept.seq}", "young"]
    assert verdict(world.db).problem == ""
    assert events.head(world.db, "lab").dropped_seq == kept.seq
    assert events.drop(world.db, limit, []) == 0


def test_nothing_goes_that_a_place_outside_has_not_got(world):
    say(world.db, "old")
    assert events.drop(world.db, now(), ["file"]) == 0
    while batch := events.claim(world.db, "file", 1):
        events.exported(world.db, batch)
    assert events.drop(world.db, now(), ["file"]) > 0


def test_two_control_planes_never_hold_the_same_events(world):
    say(world.db, "one")
    with ThreadPoolExecutor(8) as pool:
        found = [one for one in pool.map(lambda _: events.claim(world.db, "file"), range(16)) if one is not None]
    chains = [one.chain for one in found]
    assert sorted(chains) == ["", "lab", "other"]
