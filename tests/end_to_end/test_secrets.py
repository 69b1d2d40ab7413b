"""A secret reaches the tasks of its cluster and is nowhere else; keys turn although the control plane is killed."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amasia import errors
from amasia.client import clusters, secrets, users, workspaces
from amasia.client.transport import Connection
from amasia.models.clusters import ClusterSpec
from amasia.models.users import NewToken, SignIn
from show import planes
from show.planes import Plane
from tests.end_to_end.conftest import Stage, client_of

VALUE = "q7Zr-not-to-be-seen-0193"
AUDIT = "audit.jsonl"


@pytest.fixture(scope="module")
def _own(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Plane]:
    base = tmp_path_factory.mktemp("secrets")
    plane = Plane(base, {"AMASIA_AUDIT_FILE": str(base / AUDIT), "AMASIA_HEARTBEAT_SECONDS": "0.5"})
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        plane.up()
        yield plane


@pytest.fixture
def telling(_own: Plane, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A control plane that exports its audit trail."""
    for key in ("AMASIA_URL", "AMASIA_TOKEN", "AMASIA_WORKSPACE", "AMASIA_PROFILE", "AMASIA_CACHE", "AMASIA_HOME"):
        monkeypatch.setenv(key, _own.client()[key])
    return Stage(_own)


def test_a_secret_reaches_the_tasks_of_its_cluster_and_is_written_nowhere(telling: Stage) -> None:
    def tell() -> str:
        print("the key is", os.environ["COPERNICUS_KEY"], flush=True)
        return os.environ["COPERNICUS_KEY"]

    secrets.set("COPERNICUS_KEY", VALUE)
    cluster = telling.start(secrets=["COPERNICUS_KEY"])
    client = client_of(telling, cluster)
    try:
        assert client.submit(tell).result(timeout=30) == VALUE
        shipped = telling.wait(lambda: _told(cluster.id), 20)
        assert "the key is [secret COPERNICUS_KEY]" in shipped
        assert _files_with(telling.plane.base, VALUE) == []
    finally:
        client.cluster.close()
        client.close()
    telling.stop(cluster)
    lent = telling.wait(lambda: _events(telling, "secret.lend"), 10)
    assert {one["target"] for one in lent} == {cluster.id}
    assert lent[0]["detail"] == {"secrets": {"COPERNICUS_KEY": f"user:{cluster.owner}"}}
    assert {one["actor"] for one in lent} == {f"machine:{machine.id}" for machine in cluster.machines}
    assert _files_with(telling.plane.base, VALUE) == []
    assert "COPERNICUS_KEY" in _dump(telling.plane.home / "amasia.db")
    assert VALUE not in _dump(telling.plane.home / "amasia.db")
    assert next(one for one in secrets.find() if one.name == "COPERNICUS_KEY").last_used_at is not None


def test_neither_another_workspace_nor_another_user_can_use_it(telling: Stage) -> None:
    secrets.set("ADAS_KEY", VALUE)
    telling.workspace("beside", 1_000_000)
    with pytest.raises(errors.NotFound, match="no secret ADAS_KEY"):
        clusters.quote(ClusterSpec(secrets=("ADAS_KEY",)), "beside")
    other = _member(telling, "bo")
    with pytest.raises(errors.NotFound, match="no secret ADAS_KEY that bo may use"):
        clusters.quote(ClusterSpec(secrets=("ADAS_KEY",)), "demo", connection=other)
    assert secrets.find("demo", connection=other) == []


def test_keys_turn_by_one_command_although_the_control_plane_is_killed(telling: Stage) -> None:
    secrets.set("TURNED_KEY", VALUE)
    key = telling.plane.home / "key"
    for kill in (True, False):
        before = key.read_text()
        if kill:
            telling.link.send("POST", "/v1/keys")
            telling.plane.kill()
            telling.plane.up()
        done = _amasia(telling.plane, "key", "rotate", "--json")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), planes.show_error(done)
        assert json.loads(done.stdout)["older"] == 0
        assert key.read_text() != before
        assert len(key.read_text().split()) == 1
    cluster = telling.start(secrets=["TURNED_KEY"])
    client = client_of(telling, cluster)
    assert client.submit(os.getenv, "TURNED_KEY").result(timeout=30) == VALUE
    client.cluster.close()
    client.close()
    telling.stop(cluster)


def _told(cluster: str) -> str:
    text = "".join(line.text for line in clusters.log(cluster))
    return text if "the key is" in text else ""


def _events(stage: Stage, verb: str) -> list[dict[str, object]]:
    """Of the export, which is complete when it has as many of the verb as there are machines."""
    lines = (stage.plane.base / AUDIT).read_text().splitlines()
    found = [one for one in map(json.loads, lines) if one["verb"] == verb]
    return found if len(found) >= 2 else []


def _files_with(folder: Path, word: str) -> list[Path]:
    """All that this control plane, its store and its machines have on disk."""
    return [path for path in folder.rglob("*") if path.is_file() and _has(path, word.encode())]


def _has(path: Path, word: bytes) -> bool:
    try:
        return word in path.read_bytes()
    except FileNotFoundError:  # gone since it was listed
        return False


def _dump(path: Path) -> str:
    with sqlite3.connect(path) as database:
        return "\n".join(database.iterdump())


def _member(stage: Stage, name: str) -> Connection:
    users.create(name, "long enough", connection=stage.link)
    workspaces.set_member(name, "member", "demo", connection=stage.link)
    told = Connection(stage.plane.url).post("/v1/sign-in", SignIn(name=name, password="long enough"), NewToken)
    return Connection(stage.plane.url, told.secret)


def _amasia(plane: Plane, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    return subprocess.run(command, env=plane.client(), capture_output=True, text=True, check=False)
