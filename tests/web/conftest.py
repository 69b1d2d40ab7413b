"""The console beside the API, in process and on a real database."""

import shutil
import socket
import threading
import time
from base64 import b32hexencode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from amasia.api import app as api
from amasia.database import budgets as budget_rows
from amasia.database import clusters as cluster_rows
from amasia.database import machines as machine_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, Charge
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus
from amasia.models.machines import Heartbeat, Join, Metrics, ProcessReport
from amasia.models.repositories import CommitDone, CommitRequest, Input, RepositoryRequest
from amasia.services import budgets, clusters, joins, machines, repositories
from amasia.services.ledgers import Ledger, Move, Spender
from amasia.web import app as web
from tests.browsers import LOOKS
from tests.conftest import KEY

BROWSER = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def db(_sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """One kind of database is enough for pages: services and their tests know both."""
    shutil.copy(_sqlite_template, tmp_path / "amasia.db")
    database = Database(f"sqlite:///{tmp_path / 'amasia.db'}", KEY)
    yield database
    database.close()


@pytest.fixture
def site(world) -> FastAPI:
    return site_of(world)


def site_of(world) -> FastAPI:
    app = api.create(world.db, world.settings, lend=lambda *_: None)
    web.install(app, world.db, world.settings)
    return app


@pytest.fixture
def anybody(site) -> TestClient:
    return browser(site)


@pytest.fixture
def as_(site) -> Callable[[str], TestClient]:
    """A browser in which this person signed in."""

    def client(name: str) -> TestClient:
        made = browser(site)
        answer = made.post("/-/sign-in", data={"name": name, "password": f"{name}'s password"})
        assert answer.status_code == 303, answer.text
        return made

    return client


def browser(site) -> TestClient:
    return TestClient(site, headers=BROWSER, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def served(site) -> Iterator[str]:
    """The console on a port of this computer, for a browser of its own process."""
    with serving(site) as url:
        yield url


@contextmanager
def serving(site) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(site, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start within 60 s"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


@pytest.fixture(params=LOOKS, ids="-".join)
def page(request, open_window, served):
    """A fresh browser window; afterwards: no error in its console, no request to anybody else."""
    opened = open_window(served, look=request.param)
    said, asked = [], []
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: said.append(f"error: {error}"))
    opened.on("request", lambda sent: asked.append(sent.url))
    yield opened
    opened.close()
    assert said == []
    assert {url for url in asked if not url.startswith(served + "/")} == set()
    assert len(asked) > 3


@pytest.fixture
def window(open_window, served):
    return open_window(served)


def sign_in(page, name="ada", workspace="lab"):
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"{name}'s password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{workspace}")


def start(world, who, *, name="running-one", workers=2, log=""):
    """A cluster whose machines all run, as far as the control plane can tell."""
    spec = ClusterSpec(n_workers=workers, worker_memory=1 << 30)
    request = ClusterRequest(name=name, environment_hash=world.environment_hash, spec=spec)
    made = clusters.create(world.db, world.settings, who, "lab", request)
    for machine in made.machines:
        join(world, machine)
        beat(world, machine, "running", log)
    with world.db.write() as tx:
        cluster_rows.update(tx, made.id, status=ClusterStatus.running)
    return clusters.get(world.db, "lab", made.id)


def join(world, machine):
    machines.begin(world.db, world.settings, machine)
    machines.accepted(world.db, machine, {})
    token = world.db.derive("join", machine.id)
    hello = Join(machine_id=machine.id, join_token=token, agent_version="0", started_at=now())
    joins.join(world.db, world.settings, hello)


def beat(world, machine, status, log=""):
    at = now()
    report = Heartbeat(
        at=at,
        metrics=Metrics(memory=700 << 20, memory_limit=1 << 30, cpu=0.82),
        stages={"environment_ready": at, "process_up": at},
        process=ProcessReport(status=status, address="tls://127.0.0.1:1"),
        log=log,
    )
    machines.heartbeat(world.db, world.settings, machine.id, report)


def commit(world, who, name, message, *, cluster=None, inputs=(), minutes=0):
    request = CommitRequest(
        message=message,
        cluster_id=cluster.id if cluster else None,
        inputs=inputs,
        environment_hash=world.environment_hash,
        code_version="git 4f31962",
    )
    begun = repositories.begin_commit(world.db, who, "lab", name, request)
    snapshot = b32hexencode(begun.commit_id.encode()).decode().rstrip("=")[-20:]
    done = CommitDone(snapshot=snapshot)
    repositories.finish_commit(world.db, who, "lab", name, begun.commit_id, done)
    seen = {
        "branch": "main",
        "snapshot": snapshot,
        "parent": "",
        "message": request.message,
        "at": now() - timedelta(minutes=minutes),
        "metadata": {"amasia": begun.model_dump(mode="json")},
    }
    repositories.index(world.db, repositories.get(world.db, "lab", name), [seen], now())
    return next(commit for commit in repositories.commits(world.db, "lab", name) if commit.id == begun.commit_id)


def repository(world, name, description=""):
    made = repositories.create(world.db, world.ada, "lab", RepositoryRequest(name=name, description=description))
    repositories.made(world.db, made)
    return made


def end(world, cluster, who):
    clusters.stop(world.db, who, "lab", cluster.id)
    clusters.follow(world.db, world.settings, cluster.id)
    for machine in clusters.get(world.db, "lab", cluster.id).machines:
        machines.gone(world.db, machine, None)
    clusters.follow(world.db, world.settings, cluster.id)


def charge(world, cluster, amount, milliseconds, *, days_ago=0, **tags):
    machine = cluster.machines[-1]
    at = now() - timedelta(days=days_ago)
    with world.db.write() as tx:
        ledger = Ledger(tx, "lab")
        ledger.post({key: Move(spent=amount) for key in ledger.keys(Spender(), ledger.today)})
        item = Charge(id=0, workspace="lab", user=cluster.owner, cluster_id=cluster.id, machine_id=machine.id,
                      machine_type=machine.machine_type, location=machine.location, tags=tags,
                      day=(ledger.today - timedelta(days=days_ago)).isoformat(),
                      start=at - timedelta(milliseconds=milliseconds), end=at, milliseconds=milliseconds,
                      amount=amount)  # fmt: skip
        budget_rows.charge(tx, [item])


def backdate(world, cluster, minutes, pace):
    """As if it had been asked for so long ago, and its stages had taken ``pace`` seconds each."""
    asked = now() - timedelta(minutes=minutes)
    with world.db.write() as tx:
        cluster_rows.update(tx, cluster.id, created_at=asked)
        for place, machine in enumerate(clusters.get(world.db, "lab", cluster.id).machines):
            reached, at = {"requested": asked}, asked
            names = ("accepted", "joined", "environment_ready", "process_up")
            for name, seconds in zip(names[: len(pace)], pace, strict=False):
                at += timedelta(seconds=seconds * (1 + 0.06 * place))
                reached[name] = at
            machine_rows.update(tx, machine.id, stages=machine.stages.model_copy(update=reached))


@pytest.fixture
def story(world):
    return tell(world)


def tell(world):
    """A workspace in the middle of a working day; ada's cluster."""
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=25_000_000))
    repository(world, "reanalysis", "Hourly 2 m temperature and precipitation, 1979 to now")
    repository(world, "climatology", "Monthly means and anomalies")
    repository(world, "radar")
    old = start(world, world.bo, name="bo-hindcast", workers=3)
    backdate(world, old, 190, (0.3, 1.1, 0.4, 1.9))
    charge(world, old, 540_000, 43_200_000)
    end(world, old, world.bo)
    with world.db.write() as tx:
        cluster_rows.update(tx, old.id, stopped_at=now() - timedelta(minutes=10))
    main = start(world, world.ada, name="climatology", workers=4, log=LOG)
    backdate(world, main, 73, (0.3, 1.2, 3.8, 2.1))
    charge(world, main, 273_750, 21_900_000)
    first = commit(world, world.ada, "reanalysis", "Ingest era5-2024-01.nc: 2 variables, 744 hours", minutes=2900)
    commit(world, world.bo, "reanalysis", "Append era5-2024-02.grib: 696 hours", minutes=70)
    inputs = (Input(repository="lab/reanalysis", snapshot=first.snapshot),)
    commit(world, world.ada, "climatology", "Monthly climatology 1991 to 2020, first try", inputs=inputs, minutes=1460)
    commit(
        world,
        world.ada,
        "climatology",
        "Monthly climatology and anomaly, 1991 to 2020",
        cluster=main,
        inputs=inputs,
        minutes=4,
    )
    with world.db.write() as tx:
        cluster_rows.add_notice(tx, main.id, "worker 2: it used 1.03 GiB of 1.00 GiB and was killed while running "
                                "rechunk-merge; its tasks run again elsewhere.")  # fmt: skip
    young = clusters.create(
        world.db,
        world.settings,
        world.bo,
        "lab",
        ClusterRequest(name="bo-3f9a1c", environment_hash=world.environment_hash, spec=ClusterSpec(n_workers=2)),
    )
    for machine in young.machines[:2]:
        join(world, machine)
    backdate(world, young, 0.1, (0.3, 1.2))
    return main


LOG = """\
INFO distributed.worker Start worker at: tls://127.0.0.1:40213
INFO distributed.worker Registered to: tls://127.0.0.1:37115
INFO distributed.core Starting established connection to tls://127.0.0.1:37115
"""
