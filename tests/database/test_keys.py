"""What is sealed can be read, by whoever has the keys; and goes on to be through any rotation."""

import json
import threading

import pytest
from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Text, func, select, text, type_coerce
from sqlalchemy.exc import StatementError

from amasia import errors
from amasia.database.engine import MIGRATIONS, Database
from amasia.database.keys import DERIVE, SEAL, sealed_columns
from amasia.database.masters import open_masters
from amasia.database.schema import Sealed
from amasia.database.tables import buckets, clusters, keys, secrets, workspaces
from amasia.models.base import now
from amasia.models.channels import ChannelRequest
from amasia.models.locations import LocationRequest
from amasia.models.machines import Join
from amasia.models.permissions import Role
from amasia.models.repositories import BucketRequest
from amasia.models.secrets import SecretRequest
from amasia.models.users import Principal, Scope
from amasia.reconcilers import keys as reconciler
from amasia.services import access, channels, joins, locations, machines, repositories
from amasia.services import keys as verbs
from amasia.services import secrets as secret_verbs
from amasia.settings import ServerSettings
from show.reapers import Killed, Reaper
from tests.conftest import SECRETS, populate

VALUE = "correct horse battery staple"


@pytest.fixture
def filled(world):
    """Something sealed in every column that may hold it."""
    fill(world.db, world.ada)
    world.cluster()
    return world


def fill(db, who):
    secret_verbs.put(db, who, Role.owner, "lab", "COPERNICUS_KEY", SecretRequest(value=VALUE))
    channels.create(db, who, ChannelRequest(kind="webhook", address="https://192.0.2.1/hook"), private=True, mail=False)
    locations.create(db, who, "lab", LocationRequest(name="hosts", provider="ssh", secrets={"key": VALUE}))
    keys = {"access_key": "a", "secret_key": VALUE}
    repositories.create_bucket(db, who, "lab", BucketRequest(name="mine", kind="s3", uri="s3://mine", **keys))


def texts(db):
    """All that is sealed, as the database has it, by column."""
    with db.read() as tx:
        return {
            str(column): [one for one in tx.execute(select(type_coerce(column, Text))).scalars() if one]
            for column in sealed_columns()
        }


def opened(db):
    """The same, as it was before it was sealed."""
    return {name: sorted(db.unseal(Sealed(one)) for one in found) for name, found in texts(db).items()}


def test_every_column_that_can_be_sealed_is_sealed_anew(filled):
    before = opened(filled.db)
    assert all(before.values()), "fill() puts nothing into a new column: let it"
    verbs.rotate(filled.db, filled.ada)
    reconciler.reconcile(filled.db)
    found = verbs.get(filled.db)
    assert found.turned
    numbers = {one.partition(":")[0] for several in texts(filled.db).values() for one in several}
    assert numbers == {str(found.number)}
    assert opened(filled.db) == before
    with filled.db.read() as tx:
        assert tx.execute(select(keys.c.number).where(keys.c.purpose == SEAL)).scalars().all() == [found.number]


def test_no_other_column_takes_what_is_sealed_and_these_take_nothing_else(world):
    with pytest.raises(StatementError), world.db.write() as tx:
        tx.execute(workspaces.update().values(time_zone=world.db.seal(tx, VALUE)))
    with pytest.raises(StatementError), world.db.write() as tx:
        tx.execute(buckets.update().values(keys="plain text"))


def test_what_somebody_seals_while_keys_turn_is_kept(filled, monkeypatch):
    """A row is sealed with the old key by whoever began before: the key stays until that is sealed anew, too."""
    with filled.db.write() as tx:
        old = filled.db.seal(tx, "late")
    verbs.rotate(filled.db, filled.ada)
    reseal, late = verbs.reseal, [old]

    def sneak(db, limit):
        count = reseal(db, limit)
        if not count and late:
            with db.write() as tx:
                tx.execute(secrets.update().values(value=late.pop()))
        return count

    monkeypatch.setattr(verbs, "reseal", sneak)
    reconciler.reconcile(filled.db)
    assert verbs.get(filled.db).older == 1
    reconciler.reconcile(filled.db)
    assert verbs.get(filled.db).turned
    assert opened(filled.db)["secrets.value"] == ["late"]


def test_whoever_seals_at_this_moment_is_waited_for(filled):
    verbs.rotate(filled.db, filled.ada)
    turning = threading.Thread(target=reconciler.reconcile, args=(filled.db,))
    with filled.db.write() as tx:
        sealed = filled.db.seal(tx, "just now")
        turning.start()
        turning.join(0.5)
        assert turning.is_alive()
        tx.execute(secrets.update().values(value=sealed))
    turning.join(20)
    assert verbs.get(filled.db).turned
    assert opened(filled.db)["secrets.value"] == ["just now"]


def test_asking_twice_wishes_once_and_both_are_events(filled):
    first = verbs.rotate(filled.db, filled.ada)
    assert not first.turned
    assert verbs.rotate(filled.db, filled.ada).number == first.number
    reconciler.reconcile(filled.db)
    assert verbs.rotate(filled.db, filled.ada).number > first.number


def test_what_cannot_be_unsealed_stops_the_turning_and_is_named(filled):
    foreign = Sealed(f"1:{Fernet(Fernet.generate_key()).encrypt(b'x').decode()}")
    with filled.db.write() as tx:
        tx.execute(clusters.update().values(tls_key=foreign))
    verbs.rotate(filled.db, filled.ada)
    reconciler.reconcile(filled.db)
    found = verbs.get(filled.db)
    assert found.older == 1
    assert "clusters cl-" in found.reason
    with filled.db.write() as tx:
        tx.execute(clusters.update().values(tls_key=filled.db.seal(tx, "mended")))
    reconciler.reconcile(filled.db)
    assert (verbs.get(filled.db).turned, verbs.get(filled.db).reason) == (True, "")


@pytest.mark.parametrize("never", ["", "no token", "1:no token", "99:gAAAA", "9" * 40 + ":x", "a:b:c"])
def test_what_was_never_sealed_is_told_apart_from_a_bug(world, never):
    with pytest.raises((ValueError, InvalidToken, errors.Unavailable)):
        world.db.unseal(Sealed(never))


def test_what_is_derived_changes_with_the_keys_and_the_planes_name_does_not(world):
    before, plane = world.db.derive("join", "ma-1"), world.db.keys.plane()
    assert world.db.derive("join", "ma-1") == before
    verbs.rotate(world.db, world.ada)
    reconciler.reconcile(world.db)
    assert world.db.derive("join", "ma-1") != before
    assert world.db.keys.plane() == plane


def test_a_start_that_is_repeated_after_a_rotation_carries_the_token_that_the_machine_already_has(world):
    machine, later = world.cluster(n_workers=1).machines
    first = machines.begin(world.db, world.settings, machine)
    verbs.rotate(world.db, world.ada)
    reconciler.reconcile(world.db)
    again = machines.begin(world.db, world.settings, machine)
    assert again.join_token == first.join_token
    hello = Join(machine_id=machine.id, join_token=first.join_token, agent_version="0", started_at=now())
    assert joins.join(world.db, world.settings, hello).machine.id == machine.id
    assert machines.begin(world.db, world.settings, later).join_token == world.db.derive("join", later.id)
    verbs.rotate(world.db, world.ada)
    reconciler.reconcile(world.db)
    with world.db.read() as tx:
        assert tx.execute(select(func.count()).where(keys.c.purpose == DERIVE)).scalar() == 2


@pytest.fixture
def own(tmp_path):
    """A control plane's database with a master key in its home, opened anew by each call."""
    settings = ServerSettings(home=tmp_path / "plane", database_url=f"sqlite:///{tmp_path / 'own.db'}")
    settings.home.mkdir()
    opened = []

    def fresh():
        opened.append(Database(settings.sqlalchemy_url, open_masters(settings)))
        return opened[-1]

    fresh.file = settings.home / "key"
    yield fresh
    for db in opened:
        db.close()


def prepared(fresh):
    db = fresh()
    db.migrate()
    populate(db)
    who = access.principal(db, SECRETS["ada"], "test")
    fill(db, who)
    return db, who


def test_a_rotation_that_is_killed_at_any_line_is_finished_by_the_next_start(own):
    """Each kill is at another line of a rotation of its own; nothing is lost, and in the end the old keys are gone."""
    db, who = prepared(own)
    before, kills, at = opened(db), 0, 1
    files = ("reconcilers/keys.py", "services/keys.py", "database/keys.py", "database/masters.py")
    with Reaper(*files).watching() as reaper:
        while True:
            verbs.rotate(db, who)
            number, master = verbs.get(db).number, own.file.read_text()
            reaper.arm(at)
            try:
                reconciler.reconcile(db)
            except Killed:
                kills += 1
            else:
                break
            finally:
                reaper.revive()
                db.close()
            db = own()
            assert opened(db) == before, f"after a kill at {reaper.place}"
            reconciler.reconcile(db)
            assert verbs.get(db).turned
            assert verbs.get(db).number == number
            assert opened(db) == before
            assert len(own.file.read_text().split()) == 1, f"an old master key is left after a kill at {reaper.place}"
            assert own.file.read_text() != master
            at += 23
    assert kills > 5


def test_the_old_master_key_opens_nothing_any_more(own):
    db, who = prepared(own)
    old = own.file.read_text()
    verbs.rotate(db, who)
    reconciler.reconcile(db)
    own.file.write_text(old)
    with pytest.raises(errors.Unavailable, match="sealed by the master key") as caught:
        opened(own())
    assert "AMASIA_KEY_FILE" in caught.value.cure


def test_a_database_of_before_is_read_with_its_own_key_and_leaves_it_by_the_first_rotation(own):
    db = own()
    key = own.file.read_bytes()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    sealed = Fernet(key).encrypt(json.dumps({"access_key": "a", "secret_key": VALUE, "role": ""}).encode()).decode()
    with db.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "0015")
        tx.execute(text("INSERT INTO workspaces (name, currency, created_at) VALUES ('lab', 'EUR', '2026-01-01')"))
        tx.execute(
            text(
                "INSERT INTO buckets (workspace, name, kind, uri, endpoint, region, keys, created_at)"
                " VALUES ('lab', 'b', 's3', 's3://b', '', '', :sealed, '2026-01-01')"
            ),
            {"sealed": sealed},
        )
    db.migrate()
    assert VALUE in opened(db)["buckets.keys"][0]
    who = Principal(user="ada", operator=True, scope=Scope.everything, token_id="")
    verbs.rotate(db, who)
    reconciler.reconcile(db)
    again = own()
    assert VALUE in opened(again)["buckets.keys"][0]
    assert key.decode() not in own.file.read_text()
