"""A control plane that answers on a real port and starts no machines: the API on SQLite."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from amasia import server
from amasia.api import app as api
from amasia.client import repositories
from amasia.client.transport import Connection
from amasia.database.engine import Database
from amasia.models.base import new_id
from amasia.models.environments import Environment
from amasia.models.locations import Offer
from amasia.models.users import Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import environments, users, workspaces
from amasia.settings import ServerSettings, save_profile
from tests.client.houses import House
from tests.conftest import KEY, closed
from tests.serving import serving

OFFERS = (Offer(type="c1-m1", cpus=1, memory=1 << 30, price=45_000),)


@dataclass
class ControlPlane:
    url: str
    db: Database
    settings: ServerSettings
    link: Connection
    password: str
    environment: str
    """Hash of one that the workspace has."""

    def another(self, name: str, *, operator: bool = False) -> Connection:
        """The connection of another user, who is in no workspace."""
        users.create(self.db, None, UserRequest(name=name, password="correct horse", operator=operator))
        made = users.sign_in(self.db, SignIn(name=name, password="correct horse"), source="")
        return Connection(self.url, made.secret)


WISH = Environment(python="3.13.0", pylock="")


@pytest.fixture(scope="session")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The database that each control plane starts with a copy of, and ada's token in it."""
    path = tmp_path_factory.mktemp("demo") / "amasia.db"
    db = Database(f"sqlite:///{path}", KEY)
    db.migrate()
    users.create(db, None, UserRequest(name="ada", password="correct horse", operator=True))
    made = users.sign_in(db, SignIn(name="ada", password="correct horse"), source="")
    who = Principal(user="ada", operator=True, scope=Scope.everything, token_id=made.token.id)
    workspaces.create(db, who, WorkspaceRequest(name="demo"), limit=10_000_000, offers=OFFERS)
    environments.put(db, who, "demo", WISH.hash, WISH)
    closed(db)
    return path, made.secret


@pytest.fixture
def control_plane(_demo: tuple[Path, str], tmp_path: Path) -> Iterator[ControlPlane]:
    """Signed in as ada, the operator, who owns the workspace demo with a budget of 10 EUR."""
    settings = ServerSettings(home=tmp_path / "home", lease_seconds=60)
    template, secret = _demo
    shutil.copy(template, tmp_path / "amasia.db")
    db = Database(f"sqlite:///{tmp_path / 'amasia.db'}", KEY)
    app = api.create(db, settings, lend=server.lend, local_offers=OFFERS)
    with serving(app) as url:
        link = Connection(url, secret)
        save_profile(tmp_path / "profile.json", url=url, token=secret, workspace="demo")
        yield ControlPlane(url, db, settings, link, "correct horse", WISH.hash)
        link.close()
    db.close()


@pytest.fixture
def name(up: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository of the test's own, in a process that is signed in."""
    for key, value in up.variables.items():
        monkeypatch.setenv(key, value)
    name = f"demo/{new_id('test')}"
    repositories.create(name)
    return name
