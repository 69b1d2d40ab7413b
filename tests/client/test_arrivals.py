"""Files are taken when they are whole, once, and a server that does not answer is waited for."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from amasia import errors
from amasia.client import arrivals, ingests
from amasia.client.arrivals import Watch
from amasia.models.arrivals import Outcome
from amasia.models.repositories import Repository, RepositoryRequest
from tests.client.conftest import ControlPlane


class Taken:
    """Takes files, and remembers which."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, paths: Sequence[str], /) -> ingests.Report:
        self.calls.append([Path(path).name for path in paths])
        left = [ingests.Left(path, "It is cut short.", "corrupt-file") for path in paths if "bad" in path]
        done = [ingests.Ingested(path, ("/a",), ("t",), 1, False) for path in paths if "bad" not in path]
        return ingests.Report(taken=done, refused=left)


def states(folder: Path) -> dict[str, tuple[int, float]]:
    return arrivals._files([str(folder)])


def test_a_file_that_grows_or_is_not_yet_renamed_is_left_alone(tmp_path: Path) -> None:
    watch = Watch()
    for name in ("a.nc", "b.nc.tmp", ".c.nc", "d.part"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "empty.nc").touch()
    assert watch.landed(states(tmp_path)) == []
    (tmp_path / "a.nc").write_bytes(b"12")
    assert watch.landed(states(tmp_path)) == []
    (tmp_path / "b.nc.tmp").rename(tmp_path / "b.nc")
    assert watch.landed(states(tmp_path)) == [str(tmp_path / "a.nc")]
    watch.settle([str(tmp_path / "a.nc")])
    assert watch.landed(states(tmp_path)) == [str(tmp_path / "b.nc")]


def test_files_are_taken_as_they_land_and_each_once(tmp_path: Path) -> None:
    take, told = Taken(), []
    (tmp_path / "1.nc").write_bytes(b"1")
    arrivals.watch("demo/a", [str(tmp_path)], take, every=0.01, tell=told.append, looks=4)
    (tmp_path / "2.nc").write_bytes(b"1")
    os.utime(tmp_path / "1.nc", (1, 1))
    arrivals.watch("demo/a", [f"{tmp_path}/2*.nc"], take, every=0.01, tell=told.append, looks=4)
    assert take.calls == [["1.nc"], ["2.nc"]]
    assert told == ["1 taken, 0 skipped, 0 refused"] * 2


def test_a_store_that_does_not_answer_is_tried_again_with_longer_pauses(tmp_path: Path) -> None:
    (tmp_path / "1.nc").write_bytes(b"1")
    take, told, failures = Taken(), [], [errors.StoreDown("It is down."), errors.StoreDown("It is down.")]

    def flaky(paths: Sequence[str], /) -> ingests.Report:
        if failures:
            raise failures.pop()
        return take(paths)

    arrivals.watch("demo/a", [str(tmp_path)], flaky, every=0.01, tell=told.append, looks=6)
    assert take.calls == [["1.nc"]]
    assert len(told) == 3


def test_events_are_taken_settled_and_kept_to_what_is_watched(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control_plane.link.post("/v1/workspaces/demo/repositories", RepositoryRequest(name="air"), Repository)
    folder = tmp_path / "in"
    folder.mkdir()
    urls = ["s3://b/1.nc", "s3://b/bad.nc", "/etc/passwd", f"{folder}/../secret.nc", f"{folder}/here.nc"]
    arrivals.create("demo/air", urls)
    take = Taken()
    arrivals.watch("demo/air", [str(folder)], take, events=True, every=0.01, looks=2)
    assert take.calls == [["1.nc", "bad.nc", "here.nc"]]
    found = {one.url: one.outcome for one in arrivals.find("demo/air")}
    assert [found[url] for url in urls] == [
        Outcome.taken, Outcome.refused, Outcome.refused, Outcome.refused, Outcome.taken,
    ]  # fmt: skip
    assert arrivals.find("demo/air", Outcome.waiting) == []
