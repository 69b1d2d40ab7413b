"""What differs between two snapshots, in numbers, words and a picture."""

import time
from collections.abc import Callable
from xml.etree import ElementTree

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr
from icechunk.xarray import to_icechunk

from amasia import errors
from amasia.client import grids
from amasia.models.diffs import ArrayChange, ChangeKind, Diff
from amasia.stores import diffs


class History:
    """A repository in memory, and its snapshots as they are made."""

    def __init__(self) -> None:
        self.repo = icechunk.Repository.create(icechunk.in_memory_storage())
        self.empty = self.repo.lookup_branch("main")

    def commit(self, change: Callable[[icechunk.Session], object], branch: str = "main") -> str:
        session = self.repo.writable_session(branch)
        change(session)
        return session.commit("m")

    def put(self, ds: xr.Dataset, branch: str = "main", **options: object) -> str:
        return self.commit(lambda session: to_icechunk(ds, session, **options), branch)

    def array(self, path: str, change: Callable[[zarr.Array], object], branch: str = "main") -> str:
        return self.commit(lambda session: change(zarr.open_array(session.store, path=path, mode="r+")), branch)

    def diff(self, before: str, after: str) -> Diff:
        return diffs.compare(self.repo, before, after)

    def one(self, before: str, after: str) -> ArrayChange:
        (found,) = self.diff(before, after).arrays
        return found


def field(times: range) -> xr.Dataset:
    values = np.arange(len(times) * 40.0).reshape(len(times), 40)
    return xr.Dataset({"t2m": (("time", "x"), values)}, {"time": list(times)})


@pytest.fixture
def past() -> tuple[History, str]:
    history = History()
    chunks = {"t2m": {"chunks": (12, 4)}, "time": {"chunks": (120,)}}
    return history, history.put(field(range(120)), mode="w", encoding=chunks)


def test_an_append_is_told_as_the_region_it_is(past: tuple[History, str]) -> None:
    history, first = past
    second = history.put(field(range(120, 132)), append_dim="time")
    t2m, ruler = history.diff(first, second).arrays
    assert (
        t2m.words == "t2m: was (time: 120, x: 40), is (time: 132, x: 40); time 120…132 of 132 changed, 10 of 110 chunks"
    )
    assert ruler.path == "/time"


def test_a_rewritten_region_is_told_by_its_chunks(past: tuple[History, str]) -> None:
    history, first = past

    def change(array: zarr.Array) -> None:
        array[24:36, 8:12] = 0
        array[60:61, 8:12] = 0

    found = history.one(first, history.array("t2m", change))
    assert found.words == "t2m: time 24…36, 60…72 of 120, x 8…12 of 40 changed, 2 of 100 chunks"
    assert (found.grid.across, found.grid.down) == ("time", "x")
    assert [(row.count("9"), row.count("0")) for row in found.grid.rows].count((2, 8)) == 1


def test_attributes_dtypes_and_replacements_are_told(past: tuple[History, str]) -> None:
    history, first = past
    second = history.array("t2m", lambda array: array.attrs.update(units="K"))
    found = history.one(first, second)
    assert found.attributes == {"units": (None, "K")}
    assert found.words == "t2m: attributes changed: units"
    whole = history.put(field(range(5)).astype("f4"), mode="w")
    replaced = {one.path: one for one in history.diff(second, whole).arrays}["/t2m"]
    assert replaced.kind is ChangeKind.replaced
    assert "dtype was float64, is float32" in replaced.words


def test_what_came_and_went_in_between_is_not_told(past: tuple[History, str]) -> None:
    history, first = past
    history.commit(lambda session: zarr.open_group(session.store).create_array("brief", shape=(2,), dtype="i4"))

    def leave(session: icechunk.Session) -> None:
        del zarr.open_group(session.store)["brief"]
        zarr.open_group(session.store).create_group("sub")

    last = history.commit(leave)
    assert history.diff(first, last).words == ("/sub: group added",)
    assert history.diff(last, first).words == ("/sub: group removed",)


def test_added_and_removed_arrays_swap_when_the_question_is_turned(past: tuple[History, str]) -> None:
    history, first = past
    there = {one.path: one.kind for one in history.diff(history.empty, first).arrays}
    back = {one.path: one.kind for one in history.diff(first, history.empty).arrays}
    assert set(there.values()) == {ChangeKind.added}
    assert set(back.values()) == {ChangeKind.removed}
    assert "t2m: removed, float64 (time: 120, x: 40)" in history.diff(first, history.empty).words


def test_a_shrunk_array_tells_what_was_cut_off(past: tuple[History, str]) -> None:
    history, first = past
    found = history.one(first, history.array("t2m", lambda array: array.resize((60, 40))))
    assert (
        found.words == "t2m: was (time: 120, x: 40), is (time: 60, x: 40); time 60…120 of 120 changed, 50 of 100 chunks"
    )


def test_branches_that_parted_are_compared_by_way_of_their_last_common_snapshot(past: tuple[History, str]) -> None:
    history, first = past
    history.repo.create_branch("dev", first)
    main = history.array("t2m", lambda array: array.__setitem__((slice(0, 12), slice(0, 4)), 1))
    dev = history.array("t2m", lambda array: array.__setitem__((slice(12, 24), slice(4, 8)), 1), "dev")
    found = history.diff(main, dev)
    assert found.base == first
    assert found.arrays[0].chunks_changed == 2
    assert history.diff(first, first).words == ()


def test_what_is_not_there_is_named(past: tuple[History, str]) -> None:
    history, first = past
    with pytest.raises(errors.NotFound):
        history.diff(first, "AAAAAAAAAAAAAAAAAAA0")


def test_a_hundred_thousand_chunks_take_no_time_and_a_small_picture() -> None:
    array = zarr.create_array({}, shape=(1000, 100), chunks=(1, 1), dtype="i1", dimension_names=("time", "x"))
    chunks = np.argwhere(np.ones(array.shape, dtype=bool))
    begun = time.process_time()
    whole = diffs.change("/t", array, array, chunks)
    half = diffs.change("/t", array, array, chunks[chunks[:, 0] % 2 == 0])
    picture = grids.svg(Diff(before="A", after="B", arrays=(whole, half)))
    assert time.process_time() - begun < 1
    assert (whole.chunks_changed, whole.spans) == (100_000, ())
    assert half.words.startswith("t: time 0…1, 2…3, 4…5, 6…7 and 496 more stretches of 1000 changed, 50000 of 100000")
    assert len(picture) < 40_000
    assert len(half.model_dump_json()) < 20_000


def test_the_picture_is_whole_by_itself_and_escapes_what_others_wrote(past: tuple[History, str]) -> None:
    history, first = past
    last = history.put(field(range(3)).rename(t2m="<b>&"), mode="w", group="g")
    picture = grids.svg(history.diff(first, last))
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "currentColor" in picture
    assert "&lt;b&gt;&amp;" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "<b>" not in grids.html(history.diff(first, last))
