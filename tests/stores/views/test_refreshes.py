"""A target follows its source: only what was touched is computed, and each source commit is applied exactly once."""

from collections.abc import Callable
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.stores import repositories, views


def test_an_appended_step_touches_its_month_and_no_other(pair: Any, days: Callable[..., xr.Dataset]) -> None:
    monthly = views.define(lambda ds: ds.resample(time="MS").mean(), along="time")
    first = pair.refresh(monthly)
    assert [one.whole for one in first] == [True]
    pair.append(days(1, "2001-04-25"))
    (applied,) = pair.refresh(monthly)
    assert not applied.whole
    assert [said.rpartition(" ")[2] for said in applied.computed] == ["time[3:4]"]
    assert applied.nbytes_read < first[0].nbytes_read
    xr.testing.assert_identical(pair.found.drop_encoding(), pair.now.resample(time="MS").mean().drop_encoding())


def test_a_correction_of_old_data_touches_what_depends_on_it(pair: Any) -> None:
    smooth = views.define(lambda ds: ds[["t"]].rolling(time=5, center=True, min_periods=1).mean(), along="time")
    pair.refresh(smooth)
    pair.change("t", (50, 1), 300.0)
    (applied,) = pair.refresh(smooth)
    assert applied.computed == ("t time[48:53]",)
    xr.testing.assert_allclose(pair.found, pair.now[["t"]].rolling(time=5, center=True, min_periods=1).mean())


def test_one_value_that_was_absurd_for_a_day_leaves_no_trace(pair: Any) -> None:
    spread = views.define(lambda ds: ds[["t"]].groupby("time.month").var(), along="time")
    for value in (9.96921e36, 1e20, np.inf, 281.25):
        pair.change("t", (50, 1), value)
        pair.refresh(spread)
    xr.testing.assert_allclose(pair.found, pair.now[["t"]].groupby("time.month").var(), rtol=1e-9)


def test_an_extreme_that_is_taken_out_is_found_again_in_its_group_alone(pair: Any) -> None:
    highest = views.define(lambda ds: ds["n"].groupby("time.month").max(), along="time")
    pair.change("n", 50, 99)
    pair.refresh(highest)
    assert int(pair.found["n"].max()) == 99
    pair.change("n", 50, 1)
    (applied,) = pair.refresh(highest)
    assert applied.computed == ("n month=3",)
    xr.testing.assert_equal(pair.found["n"], pair.now["n"].groupby("time.month").max())


def test_rows_that_are_cut_off_are_gone_from_the_view(pair: Any) -> None:
    doubled = views.define(lambda ds: ds * 2, along="time")
    pair.refresh(doubled)
    session = pair.source.writable_session("main")
    for array in zarr.open_group(session.store).array_values():
        if "time" in array.metadata.dimension_names:
            array.resize((60, *array.shape[1:]))
    session.commit("shrink")
    pair.refresh(doubled)
    xr.testing.assert_equal(pair.found, pair.now * 2)


def test_attributes_follow_without_a_computation_of_everything(pair: Any) -> None:
    doubled = views.define(lambda ds: ds.rename({"n": "count"}), along="time")
    pair.refresh(doubled)
    session = pair.source.writable_session("main")
    group = zarr.open_group(session.store)
    group.attrs["history"] = "corrected"
    group["t"].attrs["long_name"] = "temperature"
    session.commit("attributes")
    (applied,) = pair.refresh(doubled)
    assert not applied.whole
    assert pair.found.attrs["history"] == "corrected"
    assert pair.found["t"].attrs == {"units": "K", "long_name": "temperature"}


def test_a_scale_that_changed_is_read_anew_and_said(pair: Any) -> None:
    doubled = views.define(lambda ds: ds * 2, along="time")
    pair.refresh(doubled)
    session = pair.source.writable_session("main")
    zarr.open_group(session.store)["n"].attrs["scale_factor"] = 10.0
    session.commit("scale")
    (applied,) = pair.refresh(doubled)
    assert applied.whole
    assert "scale_factor" in applied.skipped
    xr.testing.assert_equal(pair.found, pair.now * 2)


def test_a_commit_that_the_view_does_not_read_computes_nothing(pair: Any) -> None:
    warm = views.define(lambda ds: ds["t"] * 2, along="time")
    pair.refresh(warm)
    newest = pair.change("n", 3, 7)
    (applied,) = pair.refresh(warm)
    assert applied.computed == ()
    assert applied.skipped == "the view reads nothing that changed"
    assert views.applied(pair.target, "v") == newest


def test_source_commits_are_applied_in_order_each_once(pair: Any) -> None:
    total = views.define(lambda ds: ds.sum("time"), along="time")
    pair.refresh(total)
    snapshots = [pair.change("n", row, 50 + row) for row in range(3)]
    done = pair.refresh(total, coalesce=False)
    assert [one.source_snapshot for one in done] == snapshots
    assert len({one.target_snapshot for one in done}) == 3
    assert pair.refresh(total) == []
    more = [pair.change("n", row, 90 + row) for row in range(3)]
    together = pair.refresh(total)
    assert [one.source_snapshot for one in together] == more
    assert len({one.target_snapshot for one in together}) == 1
    newest = next(iter(pair.target.ancestry(branch="main")))
    assert newest.metadata["view"] == {
        "view": "v",
        "source": "s",
        "snapshot": more[-1],
        "before": snapshots[-1],
        "snapshots": more,
    }


def test_a_refresh_may_stop_at_a_snapshot(pair: Any) -> None:
    total = views.define(lambda ds: ds.sum("time"), along="time")
    pair.refresh(total)
    middle = pair.change("n", 1, 50)
    pair.change("n", 2, 60)
    pair.refresh(total, until=middle)
    assert views.applied(pair.target, "v") == middle
    assert pair.refresh(total, until=middle) == []


def test_the_loser_of_a_race_looks_again_and_finds_it_done(pair: Any, commits: Callable[..., str]) -> None:
    total = views.define(lambda ds: ds.sum("time"), along="time")
    pair.refresh(total)
    newest = pair.change("n", 1, 50)
    inner: list[Any] = []

    def late(session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
        if not inner:
            inner.extend(pair.refresh(total))
        return commits(session, message, metadata)

    outer = views.refresh(pair.source, pair.target, total, view="v", source_name="s", commit=late)
    assert [one.source_snapshot for one in inner] == [newest]
    assert outer == []
    assert int(pair.found["n"]) == int(pair.now["n"].sum())


def test_a_commit_that_fails_leaves_nothing_behind(pair: Any) -> None:
    total = views.define(lambda ds: ds.sum("time"), along="time")
    pair.refresh(total)
    held = views.applied(pair.target, "v")
    pair.change("n", 1, 50)

    def broken(session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
        raise errors.StoreDown("The store did not answer.")

    with pytest.raises(errors.StoreDown):
        views.refresh(pair.source, pair.target, total, view="v", source_name="s", commit=broken)
    assert views.applied(pair.target, "v") == held
    assert len(pair.refresh(total)) == 1


def test_a_source_that_was_reset_is_computed_anew_and_said(pair: Any) -> None:
    total = views.define(lambda ds: ds.sum("time"), along="time")
    before = pair.source.lookup_branch("main")
    pair.change("n", 1, 50)
    pair.refresh(total)
    pair.source.reset_branch("main", before)
    pair.change("n", 2, 70)
    (applied,) = pair.refresh(total)
    assert applied.whole
    assert "reset or expired" in applied.skipped
    assert int(pair.found["n"]) == int(pair.now["n"].sum())


def test_another_function_computes_everything_anew(pair: Any) -> None:
    pair.refresh(views.define(lambda ds: ds * 2, along="time"))
    pair.change("n", 1, 50)
    (applied,) = pair.refresh(views.define(lambda ds: ds * 3, along="time"))
    assert "function is another" in applied.skipped
    xr.testing.assert_equal(pair.found, pair.now * 3)


def test_a_group_that_somebody_else_wrote_is_not_touched(pair: Any) -> None:
    session = pair.target.writable_session("main")
    zarr.open_group(session.store).create_array("precious", shape=(1,), dtype="int64")
    session.commit("mine")
    with pytest.raises(errors.Conflict, match="did not make"):
        pair.refresh(views.define(lambda ds: ds * 2, along="time"))


def test_a_source_without_its_group_has_nothing_to_apply_yet(empty: Callable[[], Any], commits: Any) -> None:
    double = views.define(lambda ds: ds * 2, along="time")
    assert views.refresh(empty(), empty(), double, view="v", source_name="s", commit=commits) == []


def test_a_view_of_a_view_in_the_same_repository(
    pair: Any, days: Callable[..., xr.Dataset], commits: Any, open_target: Any
) -> None:
    monthly = views.define(lambda ds: ds.resample(time="MS").mean(), along="time")
    normals = views.define(lambda ds: ds.groupby("time.month").max(), along="time", target_group="normals")

    def both() -> list[Any]:
        pair.refresh(monthly)
        return views.refresh(pair.target, pair.target, normals, view="n", source_name="m", commit=commits)

    both()
    pair.append(days(20, "2001-04-25"))
    done = both()
    assert not any(one.whole for one in done)
    wanted = pair.now.resample(time="MS").mean().groupby("time.month").max()
    xr.testing.assert_allclose(open_target(pair.target, "normals"), wanted)
    # What a view remembers is in there, and is nobody's dataset.
    assert repositories.groups(pair.target.readonly_session("main")) == ["/", "normals"]


def test_bins_of_several_days_keep_their_phase(pair: Any, days: Callable[..., xr.Dataset]) -> None:
    fives = views.define(lambda ds: ds[["t"]].resample(time="5D").sum(), along="time")
    pair.refresh(fives)
    pair.append(days(13, "2001-05-07"))
    pair.change("t", (slice(33, 36), 0), 1.0)
    pair.refresh(fives)
    xr.testing.assert_equal(pair.found, pair.now[["t"]].resample(time="5D").sum())


def test_times_out_of_order_are_refused_where_bins_need_them(pair: Any) -> None:
    monthly = views.define(lambda ds: ds.resample(time="MS").mean(), along="time")
    pair.refresh(monthly)
    pair.change("time", 50, 0)
    with pytest.raises(errors.ViewRefused, match="not in order"):
        pair.refresh(monthly)


def test_rows_that_are_no_whole_blocks_are_refused(pair: Any) -> None:
    with pytest.raises(errors.ViewRefused, match="whole blocks of 7"):
        pair.refresh(views.define(lambda ds: ds.coarsen(time=7).mean(), along="time"))


@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_integers_that_become_floats_where_a_bin_is_empty_lose_no_group(
    op: str, pair: Any, days: Callable[..., xr.Dataset]
) -> None:
    def extremes(ds: Any) -> Any:
        return getattr(ds["n"].resample(time="MS").sum().groupby("time.month"), op)()

    view = views.define(extremes, along="time")
    pair.append(days(300, "2001-04-25"))
    pair.refresh(view)
    for start, rows in (("2002-05-10", 20), ("2003-04-02", 90)):  # months are left out: Xarray has no sum of them
        pair.append(days(rows, start))
        pair.refresh(view)
        xr.testing.assert_equal(pair.found["n"].astype(float), extremes(pair.now).astype(float))


def test_a_function_that_cannot_be_computed_is_told_in_words(pair: Any) -> None:
    with pytest.raises(errors.ViewRefused, match="cannot be computed"):
        pair.refresh(views.define(lambda ds: ds["t"].sel(x=17.0), along="time"))


def test_what_is_declared_is_what_is_computed(pair: Any) -> None:
    def three(ds: xr.Dataset) -> xr.Dataset:
        padded = np.pad(ds["n"].values, 1, mode="edge")
        return ds[["n"]].copy(data={"n": padded[:-2] + padded[1:-1] + padded[2:]})

    for declared in ({"halo": (1, 1)}, {"depends": lambda start, stop: (start - 1, stop + 1)}):
        definition = views.define(three, along="time", **declared)
        pair.refresh(definition)
        pair.change("n", 30, 77)
        (applied,) = pair.refresh(definition)
        assert applied.computed == ("n time[29:32]",)
        xr.testing.assert_equal(pair.found["n"], three(pair.now)["n"])
        pair.change("n", 30, 7)


@pytest.mark.parametrize(
    "declared", [{"halo": (0, 1)}, {"halo": (1, 0)}, {"depends": lambda start, stop: (start, stop)}]
)
def test_what_is_declared_too_narrow_is_refused_before_anything_is_written(pair: Any, declared: Any) -> None:
    def three(ds: xr.Dataset) -> xr.Dataset:
        padded = np.pad(ds["n"].values, 1, mode="edge")
        return ds[["n"]].copy(data={"n": padded[:-2] + padded[1:-1] + padded[2:]})

    with pytest.raises(errors.ViewRefused, match=r"row \d+ of 'n'.* is another when more rows"):
        pair.refresh(views.define(three, along="time", **declared))
    assert views.applied(pair.target, "v") == ""


def test_a_declared_function_that_writes_into_its_rows_spoils_no_others(pair: Any) -> None:
    def doubled(ds: xr.Dataset) -> xr.Dataset:
        ds["n"].values[:] *= 2
        return ds[["n"]]

    definition = views.define(doubled, along="time", halo=(0, 0))
    pair.refresh(definition)
    pair.change("n", slice(30, 33), 7)
    pair.refresh(definition)
    xr.testing.assert_equal(pair.found["n"], pair.now["n"] * 2)


def test_arrays_of_unequal_length_are_refused_by_name(pair: Any) -> None:
    doubled = views.define(lambda ds: ds * 2, along="time")
    pair.refresh(doubled)
    session = pair.source.writable_session("main")
    zarr.open_group(session.store)["n"].resize((90,))
    session.commit("torn")
    with pytest.raises(errors.ViewRefused, match="n 90, t 100, time 100"):
        pair.refresh(doubled)


def test_what_another_version_remembers_is_computed_anew_and_said(pair: Any) -> None:
    total = views.define(lambda ds: ds["n"].sum("time"), along="time")
    pair.refresh(total)
    session = pair.target.writable_session("main")
    zarr.open_group(session.store, path="_view/v").attrs["format"] = 1
    session.commit("another version")
    pair.change("n", 1, 50)
    (applied,) = pair.refresh(total)
    assert "another version" in applied.skipped
    assert int(pair.found["n"]) == int(pair.now["n"].sum())


def test_large_regions_are_computed_in_pieces(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views.pieces, "TARGET", 400)
    for function in (lambda ds: ds.rolling(time=3).mean(), lambda ds: ds.resample(time="W").mean()):
        pair.refresh(views.define(function, along="time"))
        xr.testing.assert_allclose(pair.found, function(pair.now))
        pair.change("n", 5, int(pair.found.sizes["time"]))


def test_pieces_are_computed_on_the_active_cluster(
    pair: Any, commits: Any, days: Callable[..., xr.Dataset], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.pieces, "TARGET", 4000)
    disk = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "source")))
    pair.source = disk
    pair.write(days(100), time=7, x=2)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        pair.refresh(views.define(lambda ds: ds.groupby("time.month").mean(), along="time"))
    xr.testing.assert_allclose(pair.found, pair.now.groupby("time.month").mean())
