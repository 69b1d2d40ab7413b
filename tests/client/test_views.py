"""Views as a scientist writes, deploys, refreshes and looks at them, on a real control plane with its object store."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

import amasia
from amasia import errors
from amasia.cli import views as cli
from amasia.client import arrays, refreshes, repositories, views
from amasia.client.environments import ensure
from amasia.client.transport import connect
from amasia.environments.capture import Captured
from amasia.models.base import Page, new_id
from amasia.models.environments import Environment
from amasia.models.repositories import Commit
from amasia.models.views import RefreshStatus, ViewStatus
from tests.client.houses import House

MODULE = """
import amasia
from neighbour import FACTOR

def helper(ds):
    return ds * FACTOR

@amasia.view(source="{source}", target="{target}", along="time", name="{name}")
def doubled(ds):
    return helper(ds)

plain = 1
"""


@pytest.fixture
def names(up: House, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A source with one commit, and a target that is not there; the process is signed in."""
    for key, value in up.variables.items():
        monkeypatch.setenv(key, value)
    source = f"demo/{new_id('source')}"
    repositories.create(source)
    arrays.open_repo(source, mode="write").write(days(40), "first", growing="time")
    end = time.monotonic() + 10
    while "first" not in {commit.message for commit in indexed(source)}:
        assert time.monotonic() < end, "the first commit is not indexed"
        time.sleep(0.1)
    return source, f"demo/{new_id('target')}"


def indexed(source: str) -> tuple[Commit, ...]:
    return connect().get(f"{repositories.path(*source.split('/'))}/commits", Page[Commit]).items


@pytest.fixture(scope="module")
def environment() -> Captured:
    """One that no machine of these tests builds."""
    return Captured(Environment(python="3.13.0", pylock=""), {}, ())


def days(count: int, start: str = "2020-01-01") -> xr.Dataset:
    values = np.arange(count * 2, dtype="f8").reshape(count, 2)
    return xr.Dataset({"t": (("time", "x"), values)}, {"time": xr.date_range(start, periods=count), "x": [1.0, 2.0]})


def monthly(names: tuple[str, str]) -> amasia.View:
    @amasia.view(source=names[0], target=names[1], along="time", name=names[1].partition("/")[2])
    def monthly(ds):
        return ds.resample(time="MS").mean()

    return monthly


def deployed(names: tuple[str, str], environment: Captured) -> amasia.View:
    view = monthly(names)
    view.deploy(trigger="manual", environment=ensure(connect(), "demo", environment))
    return view


def test_a_view_is_still_the_function_that_it_was(names: tuple[str, str]) -> None:
    view = monthly(names)
    xr.testing.assert_identical(view(days(40)), days(40).resample(time="MS").mean())
    assert view.__name__ == "monthly"
    assert "not deployed" in view._repr_html_()
    with pytest.raises(errors.NotFound, match="has no view"):
        view.refresh()


def test_a_refresh_here_brings_the_target_to_the_source_with_its_provenance(
    names: tuple[str, str], environment: Captured
) -> None:
    view = deployed(names, environment)
    assert (view.status().status, view.status().kind) == (ViewStatus.behind, view.plan().kind)
    done = view.refresh()
    assert (done.status, len(done.applied), done.cluster_id) == (RefreshStatus.done, 1, None)
    target = arrays.open_repo(names[1])
    xr.testing.assert_allclose(target.to_xarray()[["t"]].load(), days(40).resample(time="MS").mean())
    newest = target.log(limit=1)[0]
    assert [str(read) for read in newest.provenance.inputs] == [f"{names[0]}@{done.to_snapshot}"]
    assert view.refresh().applied == ()

    repo = arrays.open_repo(names[0], mode="write")
    repo.append(days(40, "2020-02-10"), "time", "second")
    view.refresh()
    whole = repo.to_xarray().load().resample(time="MS").mean()
    xr.testing.assert_allclose(arrays.open_repo(names[1]).to_xarray()[["t"]].load(), whole)
    assert len(view.refreshes()) == 3
    assert names[1] in view._repr_html_()


def test_two_refreshers_at_once_apply_each_commit_once(names: tuple[str, str], environment: Captured) -> None:
    """The claim refuses the second; and where a claim is lost, the target's own commit does."""
    view = deployed(names, environment)
    first = views.claim(view.full_name)
    with pytest.raises(errors.Conflict, match="is being refreshed"):
        view.refresh()
    done = []
    racers = [threading.Thread(target=lambda: done.append(refreshes._refresh(first))) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert len(done) == 2
    assert sum(len(one.applied) for one in done) == 1
    assert {one.snapshot for one in done} == {arrays.open_repo(names[0]).snapshot()}
    kept = [commit.metadata.get("view") for commit in arrays.open_repo(names[1]).log()]
    assert len([one for one in kept if one]) == 1


def test_a_function_that_fails_says_where_and_the_view_too(names: tuple[str, str], environment: Captured) -> None:
    @amasia.view(source=names[0], target=names[1], along="time", name=names[1].partition("/")[2], halo=(0, 0))
    def broken(ds):
        if ds["t"].max() > 5:
            raise KeyError("none")
        return ds

    broken.deploy(trigger="manual", environment=ensure(connect(), "demo", environment))
    with pytest.raises(errors.ViewRefused, match="KeyError: 'none'"):
        broken.refresh()
    found = broken.status()
    assert found.status is ViewStatus.failed
    assert "KeyError: 'none' (line " in found.reason
    assert "of test_views.py, in broken)" in found.reason
    assert found.reason in broken._repr_html_().replace("&#x27;", "'")
    assert [one.status for one in broken.refreshes()] == [RefreshStatus.failed]


def test_a_function_that_holds_too_much_is_refused_before_anything_is_sent(
    names: tuple[str, str], environment: Captured
) -> None:
    mask = np.ones(200_000)

    @amasia.view(source=names[0], target=names[1], along="time", name="masked")
    def masked(ds):
        return ds * mask[0]

    with pytest.raises(errors.InvalidRequest, match="at most 1 MiB"):
        masked.deploy(trigger="manual", environment=ensure(connect(), "demo", environment))
    with pytest.raises(errors.NotFound):
        arrays.open_repo(names[1])


def test_the_command_line_does_the_same(
    up: House, names: tuple[str, str], environment: Captured, tmp_path: Path
) -> None:
    source, target = names
    (tmp_path / "neighbour.py").write_text("FACTOR = 2.0\n")
    (tmp_path / "v.py").write_text(MODULE.format(source=source, target=target, name=target.partition("/")[2]))
    plan = command("create", f"{tmp_path}/v.py:doubled", "--plan", "--json")
    assert json.loads(plan.stdout)["kind"] == "elementwise"
    amasia.View.load(f"{tmp_path}/v.py").deploy(trigger="manual", environment=ensure(connect(), "demo", environment))
    done = up.run("view", "refresh", target, "--here", "--json")  # a process that has neither file
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["applied"]) == 1
    xr.testing.assert_allclose(arrays.open_repo(target).to_xarray()[["t"]].load(), days(40) * 2.0)
    shown = command("show", target).stdout
    assert "behind       nothing" in shown
    assert "computed all of it: t time[0:40]" in shown
    assert target in command("list").stdout
    assert "rests" in command("pause", target).stderr
    assert "is paused" in str(command("refresh", target).exception)
    assert "goes on" in command("resume", target).stderr
    assert "is forgotten" in command("delete", target, "--yes").stderr
    assert target not in command("list").stdout


def command(*words: str) -> Result:
    return CliRunner().invoke(cli.app, words)


@pytest.mark.parametrize(
    ("text", "words", "told"),
    [
        (None, "none.py:x", "There is no file"),
        ("x = 1", "bad.py:x", "has no view 'x'"),
        ("raise ValueError('oh')", "bad.py:x", "cannot be run (ValueError: oh)"),
    ],
)
def test_a_module_without_a_view_is_refused_in_words(tmp_path: Path, text: str | None, words: str, told: str) -> None:
    if text is not None:
        (tmp_path / "bad.py").write_text(text)
    with pytest.raises(errors.InvalidRequest) as refused:
        amasia.View.load(f"{tmp_path}/{words}")
    assert told in refused.value.message
