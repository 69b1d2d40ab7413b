"""Bad input: one error, a cure, an exit status, and nothing left running."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from show.planes import Plane, free_pair
from tests.end_to_end.conftest import Stage, refused


def _signed_in(stage: Stage, token: str) -> dict[str, str]:
    return stage.plane.client() | {"AMASIA_TOKEN": token}


def _run(environ: dict[str, str], *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_second_control_plane_on_one_home_is_refused(stage: Stage, tmp_path: Path) -> None:
    environ = stage.plane.environ() | {"AMASIA_PORT": str(free_pair()), "AMASIA_STORE_PORT": str(free_pair())}
    command = [sys.executable, "-m", "amasia.server"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert str(stage.plane.home) in done.stderr
    assert "amasia down" in done.stderr
    assert "Traceback" not in done.stderr
    assert stage.plane.is_well()


def test_a_second_control_plane_on_one_sqlite_file_is_refused(stage: Stage, tmp_path: Path) -> None:
    database = stage.plane.home / "amasia.db"
    other = Plane(tmp_path, {"AMASIA_DATABASE_URL": f"sqlite:///{database}"})
    refused(other.amasia("up"), 1, str(database), "amasia down")
    assert other.processes() == []
    assert stage.plane.is_well()


def test_a_wrong_token_is_told_from_no_control_plane(stage: Stage, tmp_path: Path) -> None:
    refused(_run(_signed_in(stage, "am-wrong"), "cluster", "list", cwd=tmp_path), 4, "amasia login")


def test_an_expired_token_says_so(stage: Stage, tmp_path: Path) -> None:
    made = _run(stage.plane.client(), "token", "create", "short", "--days", "1", "--json", cwd=tmp_path)
    token = json.loads(made.stdout)
    past = (datetime.now(UTC) - timedelta(minutes=1)).replace(tzinfo=None).isoformat(sep=" ")
    with closing(sqlite3.connect(stage.plane.home / "amasia.db")) as db, db:
        db.execute("update tokens set expires_at = ? where id = ?", (past, token["token"]["id"]))
    refused(_run(_signed_in(stage, token["secret"]), "cluster", "list", cwd=tmp_path), 4, "expired")


def test_more_memory_than_any_machine_has_starts_nothing(stage: Stage, tmp_path: Path) -> None:
    words = ("cluster", "start", "giant", "--memory", "100 TiB")
    refused(_run(stage.plane.client(), *words, cwd=tmp_path), 2, "GiB", "largest")
    listed = _run(stage.plane.client(), "cluster", "list", "--all", "--json", cwd=tmp_path)
    assert "giant" not in [one["name"] for one in json.loads(listed.stdout)]


def test_a_budget_that_is_too_small_starts_nothing(stage: Stage, tmp_path: Path) -> None:
    poor = stage.workspace("poor", limit=100)
    done = _run(stage.plane.client(), "cluster", "start", "beyond", "--workspace", poor, cwd=tmp_path)
    refused(done, 5, "poor", "amasia budget set")
    assert stage.budget(poor).reserved == 0


@pytest.mark.skipif(find_spec("xpublish") is not None, reason="the publishing libraries are installed here")
def test_what_nothing_would_serve_is_not_published(stage: Stage, tmp_path: Path) -> None:
    environ = stage.plane.client()
    assert _run(environ, "repo", "create", "demo/unserved", cwd=tmp_path).returncode == 0
    done = _run(environ, "publish", "on", "demo/unserved", "--tiles", cwd=tmp_path)
    refused(done, 1, "pip install 'amasia[server,publish]'", "AMASIA_PUBLISH=false")
    assert "http" not in done.stdout
    listed = _run(environ, "publish", "list", "--json", cwd=tmp_path)
    assert json.loads(listed.stdout) == []


def test_no_control_plane_is_one_error(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    environ = plane.environ() | {"AMASIA_URL": plane.url, "AMASIA_TOKEN": "t", "AMASIA_WORKSPACE": "demo"}
    refused(_run(environ, "cluster", "list", cwd=tmp_path), 1, plane.url, "amasia up")
