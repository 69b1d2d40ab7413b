"""A part of what is stored, written anew, also by several at a time; and what the one is told who came second."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.stores import leases, regions, repositories, writing

STEPS = 12


def series(start: int = 0, stop: int = STEPS, value: float | None = None) -> xr.Dataset:
    values = np.arange(start * 4.0, stop * 4.0).reshape(-1, 4) if value is None else np.full((stop - start, 4), value)
    times = xr.date_range("2026-01-01", periods=STEPS, freq="D")[start:stop]
    return xr.Dataset({"t": (("time", "x"), values)}, {"time": times, "x": [10, 20, 30, 40], "height": 2.0})


@pytest.fixture
def source(on_disk: leases.Source) -> leases.Source:
    """Chunks of three steps and all of x."""
    session = repositories.open(on_disk).writable_session("main")
    writing.write(session, series(), chunks={"time": 3, "x": 4})
    commit(on_disk, session, "anna", "All of it")
    return on_disk


def commit(source: leases.Source, session, user: str, message: str) -> str:
    return repositories.commit(source, session, message, {"amasia": {"user": user}})


def stored(source: leases.Source) -> xr.Dataset:
    session = repositories.open(source).readonly_session("main")
    return xr.open_zarr(session.store, consolidated=False, chunks=None).load()


@pytest.mark.parametrize("region", ["auto", {"time": slice(3, 6)}])
def test_a_region_is_written_and_nothing_beside_it(source: leases.Source, region: regions.Region) -> None:
    before = stored(source)
    session = repositories.open(source).writable_session("main")
    regions.write_region(session, series(3, 6, -1.0), region=region)
    commit(source, session, "bo", "Correct three days")
    after = stored(source)
    assert (after.t[3:6] == -1).all()
    xr.testing.assert_identical(after.drop_isel(time=[3, 4, 5]), before.drop_isel(time=[3, 4, 5]))


def test_writers_of_different_chunks_are_both_kept(source: leases.Source) -> None:
    first, second = (repositories.open(source).writable_session("main") for _ in range(2))
    regions.write_region(first, series(0, 3, -1.0))
    regions.write_region(second, series(6, 12, -2.0))
    commit(source, first, "anna", "The first three")
    commit(source, second, "bo", "The last six")
    assert stored(source).t[:, 0].values.tolist() == [-1] * 3 + [12, 16, 20] + [-2] * 6


def test_the_second_writer_of_a_chunk_is_told_who_was_first_and_which_chunk(source: leases.Source) -> None:
    first, second = (repositories.open(source).writable_session("main") for _ in range(2))
    regions.write_region(first, series(3, 4, -1.0))
    regions.write_region(second, series(4, 7, -2.0))
    landed = commit(source, first, "anna", "Day four")
    with pytest.raises(errors.Conflict, match=r"'Day four' by anna.*t, chunk \(1, 0\)") as caught:
        commit(source, second, "bo", "Days five to seven")
    assert caught.value.detail["user"] == "anna"
    assert caught.value.detail["snapshot"] == landed
    assert caught.value.detail["conflicts"][0]["chunks"] == [[1, 0]]
    assert (stored(source).t[4:7] >= 0).all()


@pytest.mark.parametrize(
    ("offered", "region", "words"),
    [
        (series(3, 6).assign(u=lambda ds: ds.t), "auto", "'u' was offered"),
        (series(3, 6).assign_coords(x=[1, 2, 3, 4]), "auto", "x 1 was offered and is not stored"),
        (series(3, 6).isel(time=[0, 2]), "auto", "not next to each other"),
        (series(3, 6).astype("f4"), "auto", "dtype: stored is float64, offered was float32"),
        (series(3, 6), {"time": slice(0, 5)}, "0:5 of 12 was named, and 3 were offered"),
        (series(3, 6), {"time": slice(0, 3)}, "'time' differs in values"),
        (series(3, 6), {"level": slice(0, 3)}, "names 'level'"),
        (series(3, 6).assign_coords(height=10.0), "auto", "'height' differs in values"),
        (series(3, 6).drop_vars("t"), "auto", "nothing to write"),
    ],
)
def test_what_is_no_part_of_what_is_stored_is_refused_in_words(source, offered, region, words) -> None:
    session = repositories.open(source).writable_session("main")
    with pytest.raises(errors.DoesNotFit, match=words):
        regions.write_region(session, offered, region=region)
    assert not session.has_uncommitted_changes


def test_a_region_of_nothing_is_not_found(on_disk: leases.Source, tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="Nothing is stored"):
        regions.write_region(repositories.open(on_disk).writable_session("main"), series())
