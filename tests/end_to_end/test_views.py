"""Views that keep themselves current on machines of this computer, also through kills."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import xarray as xr

from amasia.client import arrays, clusters, repositories, views
from amasia.models.clusters import ClusterStatus
from amasia.models.views import Refresh, RefreshStatus, ViewStatus
from show import planes
from tests.end_to_end.conftest import Stage

MODULE = """
import amasia
from neighbour import FACTOR

@amasia.view(source="demo/{source}", target="demo/{name}", along="time", name="{name}")
def scaled(ds):
    return ds * FACTOR
"""


def days(count: int, first: int = 0) -> xr.Dataset:
    values = np.arange(first, first + count, dtype="f8")
    time = np.datetime64("2020-01-01", "ns") + np.arange(first, first + count) * np.timedelta64(1, "D")
    return xr.Dataset({"t": ("time", values)}, {"time": time})


def source(name: str) -> arrays.Repository:
    repositories.create(f"demo/{name}")
    made = arrays.open_repo(f"demo/{name}", mode="write")
    made.write(days(40), "first", growing="time")
    return made


def amasia(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    return subprocess.run(command, env=stage.plane.client(), capture_output=True, text=True, check=False, timeout=100)


def current(name: str) -> list[Refresh] | None:
    """Its refreshes, when the view is current and they are over."""
    view = views.get(name, "demo")
    assert view.status is not ViewStatus.failed, view.reason
    return list(views.refreshes(name, "demo")) if view.status is ViewStatus.current and view.snapshot else None


def test_a_commit_is_brought_into_the_target_by_a_machine_that_ends(stage: Stage, tmp_path: Path) -> None:
    repo = source("days")
    (tmp_path / "neighbour.py").write_text("FACTOR = 2.0\n")
    (tmp_path / "v.py").write_text(MODULE.format(source="days", name="doubled"))
    made = amasia(stage, "view", "create", f"{tmp_path}/v.py:scaled", "--worker-memory", "700 MiB", "--json")
    assert made.returncode == 0, planes.show_error(made)
    assert json.loads(made.stdout)["workers"] == 0
    [first] = stage.wait(lambda: current("doubled"), 100)
    assert (first.status, first.trigger, len(first.applied)) == (RefreshStatus.done, "commit", 1)
    xr.testing.assert_equal(arrays.open_repo("demo/doubled").to_xarray()[["t"]].load(), days(40) * 2)
    assert str(arrays.open_repo("demo/doubled").log(limit=1)[0].provenance.inputs[0]) == f"demo/days@{repo.snapshot()}"

    for number in range(3):
        repo.append(days(10, 40 + 10 * number), "time", f"append {number}")
    stage.wait(lambda: views.get("doubled", "demo").snapshot == repo.snapshot() and current("doubled"), 100)
    xr.testing.assert_equal(arrays.open_repo("demo/doubled").to_xarray()[["t"]].load(), days(70) * 2)
    refreshes = list(views.refreshes("doubled", "demo"))
    applied = [one.source_snapshot for refresh in refreshes for one in refresh.applied]
    assert len(applied) == len(set(applied))

    [cluster] = [one for one in clusters.find("demo", stopped=True) if one.id == first.cluster_id]
    stage.wait(lambda: clusters.get(cluster.id, "demo").status is ClusterStatus.stopped, 30)
    paid = next(one for one in views.refreshes("doubled", "demo") if one.id == first.id)
    assert paid.milliseconds > 0
    assert paid.amount > 0
    views.delete("doubled", "demo")


def test_kills_of_the_control_plane_and_of_the_driver_apply_each_commit_once(stage: Stage, tmp_path: Path) -> None:
    repo = source("more-days")
    (tmp_path / "neighbour.py").write_text("FACTOR = 3.0\n")
    (tmp_path / "v.py").write_text(MODULE.format(source="more-days", name="tripled"))
    made = amasia(
        stage, "view", "create", f"{tmp_path}/v.py:scaled", "--workers", "1", "--worker-memory", "700 MiB", "--json"
    )
    assert made.returncode == 0, planes.show_error(made)
    stage.wait(lambda: _driver(stage), 100).kill()
    stage.plane.kill()
    stage.plane.up()
    [refresh] = stage.wait(lambda: current("tripled"), 120)
    assert refresh.status is RefreshStatus.done
    assert 1 <= refresh.tries < 3
    kept = [commit.metadata.get("view") for commit in arrays.open_repo("demo/tripled").log()]
    assert [one["snapshot"] for one in kept if one] == [repo.snapshot()]
    xr.testing.assert_equal(arrays.open_repo("demo/tripled").to_xarray()[["t"]].load(), days(40) * 3)
    views.delete("tripled", "demo")
    stage.wait(lambda: not clusters.find("demo"), 30)


def _driver(stage: Stage) -> psutil.Process | None:
    """The process of this control plane's refresh; other tests have theirs on the same computer."""
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get("AMASIA_URL") == stage.plane.client()["AMASIA_URL"]
            if ours and "amasia.agent.dask.refreshes" in (process.info["cmdline"] or []):
                return process
    return None
