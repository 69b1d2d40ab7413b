"""A control plane that answers on a real port and starts no machines: the API on SQLite."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from fastapi import FastAPI

from amasia import server
from amasia.api import app as api
from amasia.client.transport import Connection
from amasia.database.engine import Database
from amasia.models.environments import Environment
from amasia.models.locations import Offer
from amasia.models.users import Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import environments, users, workspaces
from amasia.settings import ServerSettings, save_profile
from tests.conftest import KEY, closed

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


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The application on a free port; its URL."""
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not running.started:
            assert time.monotonic() < deadline, "the server did not start within 60 s"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join(10)
