"""What is in a dataset, found out from its coordinates and coarse reads: every kind of grid and calendar."""

import os
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.models.datasets import Slice
from amasia.stores import repositories, writing
from amasia.stores.describing import children, datasets, places, reads, slices
from amasia.stores.pictures import lines, maps, planes

WORLD = (-180.0, 180.0)


@pytest.mark.parametrize(
    ("file", "variable", "across", "north", "crs"),
    [
        ("ocean/nemo_1m_20150101-20150201_grid-T.nc", "tos", WORLD, 89.7, ""),
        ("ocean/pop.nc", "t", WORLD, 90.0, ""),
        ("ocean/tos_ocean_bipolar_grid.nc", "tos", WORLD, 89.7, ""),
        ("mesh/triangular_grid_ICON.nc", "S", WORLD, 88.8, ""),
        ("mesh/camse_unstructured_grid.nc", "T850", WORLD, 86.9, ""),
        ("mesh/tas_rotated_grid_EUR11.nc", "tas", (-44.6, 65.0), 72.6, "Pole rotation"),
        ("satellite/toa_brightness_stereographic.nc", "data", (-101.7, 46.7), 81.2, ""),
        ("reanalysis/air.nc", "air", (-110.0, -60.0), 75.0, ""),
    ],
)
def test_every_kind_of_grid_has_its_place_and_a_map(data: Path, file: str, variable: str, across: tuple[float, float],
                                                    north: float, crs: str) -> None:  # fmt: skip
    with xr.open_dataset(data / file, decode_times=False) as ds:
        found = datasets.of_dataset(ds)
    assert found.box is not None
    assert (found.box.west, found.box.east) == pytest.approx(across, abs=0.1)
    assert found.box.north == pytest.approx(north, abs=0.1)
    assert crs in found.crs
    picture = ElementTree.fromstring(found.previews[variable])
    kinds = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert {"image", "path", "title"} <= kinds
    assert found.notes == ()


def test_a_swath_that_crosses_the_180th_meridian_keeps_its_narrow_box() -> None:
    found = places.box(np.array([178.0, 179.5, -179.0, -177.5]), np.array([-18.0, -17.0, -16.0, -15.0]))
    assert found is not None
    assert found.bounds == (178.0, -18.0, -177.5, -15.0)


def test_a_calendar_of_360_days_and_a_year_zero_are_kept() -> None:
    times = xr.date_range("0000-02-28", periods=3, freq="D", calendar="360_day", use_cftime=True)
    found = datasets.of_dataset(xr.Dataset({"t": ("time", [1.0, 2.0, 3.0])}, {"time": times}))
    assert (found.begin, found.end, found.calendar) == ("0000-02-28T00:00:00", "0000-02-30T00:00:00", "360_day")
    assert found.end_at - found.begin_at == 2 * 86400


def test_without_coordinates_that_is_said_and_a_plane_is_drawn() -> None:
    found = datasets.of_dataset(xr.Dataset({"field": (("row", "column"), np.eye(20))}))
    assert found.box is None
    assert "no coordinates" in found.notes[0]
    assert "row" in found.previews["field"]


def test_a_variable_that_cannot_be_read_costs_no_other_its_preview() -> None:
    class Broken(xr.backends.BackendArray):
        shape, dtype = (30,), np.dtype("f8")

        def __getitem__(self, key):
            raise OSError("the disk is gone")

    broken = xr.Variable("x", xr.core.indexing.LazilyIndexedArray(Broken()))
    found = datasets.of_dataset(xr.Dataset({"bad": broken, "good": ("x", np.arange(30.0))}))
    assert list(found.previews) == ["good"]
    assert any("No preview of bad" in note and "the disk is gone" in note for note in found.notes)


def test_no_preview_reads_more_than_it_may() -> None:
    huge = xr.Variable(("time", "y", "x"), np.broadcast_to(np.float32(0), (1000, 4000, 4000)))
    huge.encoding["chunks"] = (1000, 500, 500)
    assert reads.affordable(huge, {"time": np.array([0]), "y": np.arange(0, 4000, 40), "x": np.arange(9)}) is None
    huge.encoding["chunks"] = (1, 500, 500)
    fewer = reads.affordable(huge, reads.coarse({"time": 1000, "y": 4000, "x": 4000}, 400))
    assert fewer is not None
    chunks = np.prod([len(np.unique(fewer[dim] // length)) for dim, length in (("time", 1), ("y", 500), ("x", 500))])
    assert chunks * 500 * 500 * 4 <= reads.MOST_BYTES


def test_a_map_shows_the_value_of_the_nearest_cell_and_nothing_far_from_any() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 30), np.arange(40.0, 60))
    grid = maps._resample(lon.ravel(), lat.ravel(), lat.ravel(), (-20.0, 70.0, 30.0, 70.0), (80, 140))
    assert np.nanmin(grid) == 40
    assert np.nanmax(grid) == 59
    assert np.isnan(grid[:, 0]).all()
    assert grid[40, 70] == pytest.approx(50, abs=1)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", 'a" onload="x', "nul\0 and \x1b[2J"])
def test_words_of_other_people_stay_words_in_a_picture(text: str) -> None:
    lon, lat = np.meshgrid(np.arange(10.0), np.arange(10.0))
    for picture in (maps.draw(lon, lat, lat, text, text, text), lines.draw(np.arange(5.0), (text, text), text, text),
                    planes.draw(lat, (text, text), text, text)):  # fmt: skip
        found = ElementTree.fromstring(picture)
        assert not [one for one in found.iter() if one.tag.endswith("script") or "onload" in one.attrib]


def test_a_picture_of_no_number_is_none() -> None:
    nothing = np.full(9, np.nan)
    assert maps.draw(np.arange(9.0), np.arange(9.0), nothing) == ""
    assert lines.draw(nothing, ("", "")) == ""


def test_a_slice_has_the_values_of_xarray_and_null_where_there_is_none() -> None:
    ds = xr.Dataset({"t": (("time", "x"), np.array([[1.5, np.nan], [3, 4]], "f4"), {"units": "K"})},
                    {"time": np.array(["2020-01-01", "2020-01-02"], "M8[ns]")})  # fmt: skip
    found = slices.of_dataset(ds, Slice(variable="t", index={"time": (0, 1)}))
    assert (found.values, found.units) == ([[1.5, None]], "K")
    assert found.coordinates == {"time": ["2020-01-01T00:00:00"]}


@pytest.mark.parametrize(
    ("wanted", "problem", "words"),
    [
        (Slice(variable="none"), errors.NotFound, "no variable"),
        (Slice(variable="t", index={"z": 0}), errors.NotFound, "no dimension 'z'"),
        (Slice(variable="t", index={"x": 999_999}), errors.InvalidRequest, "200 places"),
        (Slice(variable="t"), errors.InvalidRequest, "at most 10000"),
        (Slice(variable="t", index={"x": (0, 9, 0)}), errors.InvalidRequest, "step of 0"),
    ],
)
def test_a_slice_is_bounded_and_refused_in_words(wanted: Slice, problem: type[Exception], words: str) -> None:
    ds = xr.Dataset({"t": (("y", "x"), np.zeros((200, 200)))})
    with pytest.raises(problem, match=words):
        slices.of_dataset(ds, wanted)


def test_a_child_describes_what_another_process_wrote_and_survives_a_bad_request(on_disk) -> None:
    session = repositories.open(on_disk).writable_session("main")
    writing.write(session, xr.Dataset({"t": ("x", np.arange(8.0))}, attrs={"title": "eight"}), "small")
    snapshot = repositories.commit(on_disk, session, "m", {})
    gone = on_disk().model_copy(update={"prefix": "nowhere"})
    with children.Child() as child:
        with pytest.raises(errors.AmasiaError):
            child.describe(gone)
        found = child.describe(on_disk())
        values = child.read(on_disk(), Slice(group="small", variable="t", index={"x": (2, 4)}))
    assert (found.snapshot, [one.title for one in found.groups]) == (snapshot, ["eight"])
    assert values.values == [2.0, 3.0]


def test_a_child_that_is_killed_or_too_slow_is_an_error_and_the_next_call_has_another(on_disk) -> None:
    with children.Child(seconds=0.01) as child:
        with pytest.raises(errors.Unavailable, match="was ended after"):
            child.describe(on_disk())
        child.seconds = 60
        process = child._alive()
        os.kill(process.pid, 9)
        time.sleep(0.2)
        assert child.describe(on_disk()).groups == ()
