"""What the planner proves, in words, and what it refuses by name."""

from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.models.views import ViewKind
from amasia.stores import views

KNOWN: dict[str, tuple[ViewKind, Callable[[Any], Any]]] = {
    "arithmetic": (ViewKind.elementwise, lambda ds: ds * 9 / 5 + 32),
    "other dimensions": (ViewKind.elementwise, lambda ds: ds["t"].mean("x")),
    "NumPy": (ViewKind.elementwise, lambda ds: np.exp(ds.t)),
    "shift": (ViewKind.window, lambda ds: ds - ds.shift(time=1)),
    "rolling": (ViewKind.window, lambda ds: ds.rolling(time=4).mean()),
    "coarsen": (ViewKind.coarsen, lambda ds: ds.coarsen(time=4, boundary="trim").mean()),
    "composition": (ViewKind.resample, lambda ds: (ds * 9 / 5 + 32).resample(time="MS").mean()),
    "mean of everything": (ViewKind.reduction, lambda ds: ds.mean()),
    "sketch": (ViewKind.reduction, lambda ds: views.quantile_sketch(ds.t, 0.5, "time")),
    "climatology": (ViewKind.groupby, lambda ds: ds.groupby("time.month").mean()),
    "interp": (ViewKind.regrid, lambda ds: ds.interp(x=[0.5])),
    "sorted along another": (ViewKind.elementwise, lambda ds: ds.sortby("x", ascending=False)),
    "an array sorted": (ViewKind.elementwise, lambda ds: ds.t.sortby("x")),
}

REFUSED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "anomalies of its own": ("depends on all rows", lambda ds: ds - ds.mean("time")),
    "own climatology": (
        "depends on all rows",
        lambda ds: ds.groupby("time.month") - ds.groupby("time.month").mean(),
    ),
    "cumsum": ("cumsum", lambda ds: ds.cumsum("time")),
    "diff": ("diff", lambda ds: ds.diff("time")),
    "median": ("median", lambda ds: ds.median("time")),
    "median of everything": ("no dimension named", lambda ds: ds.median()),
    "sorted by a variable": ("sortby over 'time'", lambda ds: ds.sortby("t")),
    "an array sorted by a variable": ("sortby over 'time'", lambda ds: ds.t.sortby(["x", "time"])),
    "sorted by an array": ("sortby with no dimension", lambda ds: ds.sortby(ds.t)),
    "sorted by a function": ("sortby with no dimension", lambda ds: ds.sortby(lambda one: one.t)),
    "slope along a variable": ("differentiate over 'time'", lambda ds: ds.differentiate("t")),
    "isel": ("isel", lambda ds: ds.isel(time=-1)),
    "interp in time": ("interp", lambda ds: ds.interp(time=["2001-01-20T12"])),
    "drop": ("drop=True", lambda ds: ds.where(ds.t > 280, drop=True)),
    "two months": ("begin where the data begin", lambda ds: ds.resample(time="2MS").mean()),
    "from the end": ("end of the data", lambda ds: ds.resample(time="5D", origin="end").mean()),
    "right side": ("end of the data", lambda ds: ds.coarsen(time=4, side="right", boundary="trim").mean()),
    "upsampling": ("interpolate", lambda ds: ds.resample(time="h").interpolate()),
    "apply": ("map", lambda ds: ds.groupby("time.month").map(lambda one: one)),
    "values": (".values", lambda ds: ds.t.values.sum()),
    "branch": ("whether a value is true", lambda ds: ds if (ds.t > 0).all("x") else ds * 2),
    "length": (".sizes", lambda ds: ds / ds.sizes["time"]),
    "plain array": ("no names", lambda ds: ds["t"] * np.arange(3.0)),
    "xr.where": ("plain arrays", lambda ds: xr.where(ds.t > 0, ds.t, 0)),
    "unknown": ("polyfit", lambda ds: ds.polyfit("time", 1)),
    "two grids": ("different steps", lambda ds: ds.t - ds.t.resample(time="MS").mean()),
    "resample twice": ("after another", lambda ds: ds.resample(time="D").mean().resample(time="MS").mean()),
    "no variable": ("no variable", lambda ds: ds["salt"]),
    "static": ("does not depend", lambda ds: ds["x"] * 2),
    "unfinished": ("not data yet", lambda ds: ds.resample(time="MS")),
    "growing constant": (
        "does not grow",
        lambda ds: ds * xr.DataArray([1.0], dims="time", coords={"time": np.array(["2001-01-15"], "M8[ns]")}),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_kind_is_recognised_and_said_in_words(name: str, days: Callable[..., xr.Dataset]) -> None:
    kind, function = KNOWN[name]
    plan = views.plan(views.define(function, along="time"), days(3))
    assert plan.kind is kind
    assert plan.text.startswith(f"{kind.value}: ")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_proven_is_refused_by_name_and_with_a_cure(name: str, days: Callable[..., xr.Dataset]) -> None:
    said, function = REFUSED[name]
    with pytest.raises(errors.ViewRefused, match=said) as refused:
        views.plan(views.define(function, along="time"), days(3))
    assert refused.value.cure


def test_a_plan_looks_at_no_value(days: Callable[..., xr.Dataset]) -> None:
    lazy = days(400).chunk(time=1).map(lambda one: one.map_blocks(_explode, template=one) if one.chunks else one)
    assert (
        views.plan(views.define(lambda ds: ds.resample(time="MS").mean(), along="time"), lazy).kind is ViewKind.resample
    )


def test_a_function_that_is_another_has_another_digest(days: Callable[..., xr.Dataset]) -> None:
    digests = {
        views.plan(views.define(function, along="time"), days(3)).digest
        for function in (lambda ds: ds * 2, lambda ds: ds * 3, lambda ds: ds["t"] * 2, lambda ds: 2 * ds)
    }
    assert len(digests) == 4
    again = views.plan(views.define(lambda ds: ds * 2, along="time"), days(9)).digest
    assert again in digests


def test_a_kind_that_is_declared_wrongly_is_refused(days: Callable[..., xr.Dataset]) -> None:
    with pytest.raises(errors.ViewRefused, match="recognised as resample"):
        views.plan(views.define(lambda ds: ds.resample(time="MS").mean(), along="time", kind=ViewKind.coarsen), days(3))


@pytest.mark.parametrize("declared", [{"halo": (-1, 0)}, {"halo": 3}, {"depends": 5}, {"reach": 1}])
def test_what_is_declared_wrongly_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        views.define(lambda ds: ds, along="time", **declared)


def test_a_definition_travels_by_cloudpickle(days: Callable[..., xr.Dataset]) -> None:
    definition = views.define(lambda ds: ds.resample(time="MS").mean(), along="time", chunks={"x": 2})
    copy = cloudpickle.loads(cloudpickle.dumps(definition))
    assert views.plan(copy, days(3)).digest == views.plan(definition, days(3)).digest
    assert copy.chunks == {"x": 2}


def _explode(ds: xr.Dataset) -> xr.Dataset:
    raise AssertionError("a value was looked at")
