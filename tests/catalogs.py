"""A control plane whose catalog has real data in it: real HTTP, a real bucket (a directory), no machines."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import xarray as xr
from cryptography.fernet import Fernet

from amasia import server
from amasia.api import app as api
from amasia.client import arrays
from amasia.client.transport import Connection
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.repositories import BucketKind, BucketRequest, RepositoryRequest
from amasia.models.users import Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.reconcilers import buckets as bucket_loop
from amasia.reconcilers import datasets as catalog_loop
from amasia.reconcilers import repositories as loop
from amasia.services import datasets, repositories, users, workspaces
from amasia.settings import ServerSettings, save_profile
from amasia.web import app as web
from tests.serving import serving


@dataclass
class Catalog:
    url: str
    db: Database
    settings: ServerSettings
    ada: Principal
    secret: str
    stranger: str
    """Token of eve, who is in no workspace of this one."""
    profile: Path
    loop: catalog_loop.Catalog

    def describe(self) -> None:
        """What the reconcilers do within seconds, now."""
        with patch.object(loop, "SETTLE", -loop.SETTLE), patch.object(datasets, "SETTLE", -datasets.SETTLE):
            settled(lambda: loop.index(self.db), lambda: repositories.stale(self.db, now()))
            self.loop.look()

    def link(self, secret: str | None = None) -> Connection:
        return Connection(self.url, self.secret if secret is None else secret)

    def repository(self, name: str, description: str = "") -> None:
        repositories.create(
            self.db, self.ada, "demo", RepositoryRequest(name=name, bucket="a-disk", description=description)
        )
        settled(lambda: loop.create(self.db), lambda: repositories.requested(self.db))


def settled(step: Callable[[], None], waiting: Callable[[], object]) -> None:
    """Step until nothing waits any more: reconcilers work in threads of their own."""
    end = time.monotonic() + 60
    while waiting():
        assert time.monotonic() < end, "it does not come to rest"
        step()
        time.sleep(0.05)


@contextmanager
def made(home: Path) -> Iterator[Catalog]:
    """Signed in as ada, who owns demo, for as long as the variable AMASIA_PROFILE says so."""
    settings = ServerSettings(home=home)
    db = Database(f"sqlite:///{home / 'amasia.db'}", Fernet.generate_key())
    db.migrate()
    secrets = {}
    for name in ("ada", "eve"):
        users.create(db, None, UserRequest(name=name, password="correct horse", operator=name == "ada"))
        secrets[name] = users.sign_in(db, SignIn(name=name, password="correct horse"), source="").secret
    ada = Principal(user="ada", operator=True, scope=Scope.everything, token_id="tk-0")
    workspaces.create(db, ada, WorkspaceRequest(name="demo"), limit=1_000_000, offers=())
    bucket = BucketRequest(name="a-disk", kind=BucketKind.directory, uri=str(home / "bucket"))
    repositories.create_bucket(db, ada, "demo", bucket)
    settled(lambda: bucket_loop.check(db), lambda: repositories.untried(db))
    app = api.create(db, settings, lend=server.lend)
    web.install(app, db, settings)
    with serving(app) as url:
        save_profile(home / "profile.json", url=url, token=secrets["ada"], workspace="demo")
        looking = catalog_loop.Catalog(db, server.lend, threading.Event())
        yield Catalog(url, db, settings, ada, secrets["ada"], secrets["eve"], home / "profile.json", looking)
        looking.close()
    db.close()


@contextmanager
def filled(home: Path, data: Path) -> Iterator[Catalog]:
    """With NEMO on its curvilinear grid, ICON's triangles and a regular series, each in a group of its own."""
    with made(home) as catalog, pytest.MonkeyPatch.context() as variables:
        variables.setenv("AMASIA_PROFILE", str(catalog.profile))
        catalog.repository("ocean", "Model output of two oceans")
        catalog.repository("air")
        ocean = arrays.open_repo("demo/ocean", mode="write")
        ocean.ingest([data / "ocean/nemo_1m_20150101-20150201_grid-T.nc"], group="nemo")
        ocean.ingest([data / "mesh/triangular_grid_ICON.nc"], group="icon")
        with xr.open_dataset(data / "reanalysis/air.nc") as ds:
            attributes = {"title": "NCEP air temperature", "creator": "Kalnay, E.; Kanamitsu, M.",
                          "license": "CC-BY-4.0", "doi": "10.5065/D6TH8JZ2", "institution": "NOAA"}  # fmt: skip
            arrays.open_repo("demo/air", mode="write").write(ds.assign_attrs(attributes), "Air over North America")
        catalog.describe()
        yield catalog
