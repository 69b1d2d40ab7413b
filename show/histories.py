"""Line 4: random histories of a source, and the view after each commit against Xarray's own whole computation.

``python -m show.histories --dose 0.1 --seed 7`` runs it alone.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import icechunk
import numpy as np
import scipy.sparse
import xarray as xr
import zarr
from icechunk.xarray import to_icechunk

from amasia import errors
from amasia.models.views import ViewKind
from amasia.stores import views
from amasia.stores.views.plans import Declaration
from show.lines import Line

HISTORIES = 50
COMMITS = 6
RTOL = 1e-6
SIZES = {"x": 3, "y": 2}

type Function = Callable[[Any], Any]

_WEIGHTS = scipy.sparse.csr_array(np.array([[0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0.1, 0, 0, 0.2, 0.3, 0.4]]))
_NORMALS = xr.DataArray(np.arange(12.0), dims="month", coords={"month": np.arange(1, 13)})


def _smooth(ds: xr.Dataset) -> xr.Dataset:
    """Opaque: plain NumPy, three rows around each."""
    values = ds["t"].values
    padded = np.concatenate([values[:1], values, values[-1:]])
    return ds[["t"]].copy(data={"t": (padded[:-2] + padded[1:-1] + padded[2:]) / 3})


FUNCTIONS: Mapping[ViewKind, Mapping[str, Function]] = {
    ViewKind.elementwise: {
        "fahrenheit": lambda ds: ds * 9 / 5 + 32,
        "masked": lambda ds: ds[["t", "f"]].where(ds["mask"] > 0).fillna(-1.0).clip(-5, 500),
        "mean over x": lambda ds: ds.mean("x"),
        "weighted": lambda ds: ds["t"].weighted(np.cos(ds["x"])).mean("x"),
        "speed": lambda ds: {"speed": np.sqrt(ds.t**2 + ds.f**2), "odd": ds.i % 2 == 1},
        "departures from constants": lambda ds: ds[["t"]].groupby("time.month") - _NORMALS,
    },
    ViewKind.window: {
        "rolling mean": lambda ds: ds.rolling(time=4).mean(),
        "rolling max, centred": lambda ds: ds[["t", "i"]].rolling(time=5, center=True, min_periods=2).max(),
        "steps": lambda ds: ds["t"] - ds["t"].shift(time=1),
        "two windows": lambda ds: (ds["t"] * 2).rolling(time=3).mean() + ds["f"].shift(time=-2),
    },
    ViewKind.coarsen: {
        "blocks of 7": lambda ds: ds.coarsen(time=7, boundary="trim").mean(),
        "padded sums": lambda ds: ds[["t", "i"]].coarsen(time=5, boundary="pad").sum(),
        "windows in blocks": lambda ds: ds[["t"]].rolling(time=3).mean().coarsen(time=4, boundary="trim").max(),
    },
    ViewKind.resample: {
        "monthly means": lambda ds: ds.resample(time="MS").mean(),
        "5-day sums": lambda ds: ds[["t", "i"]].resample(time="5D").sum(),
        "quarterly extremes in °F": lambda ds: (ds[["t", "f"]] * 9 / 5 + 32).resample(time="QS").max(),
        "monthly medians, ends": lambda ds: ds["t"].resample(time="ME", label="left").median(),
        "weekly counts": lambda ds: ds[["t"]].resample(time="W").count(),
        "windows in months": lambda ds: ds[["t"]].rolling(time=3, min_periods=1).mean().resample(time="MS").mean(),
        "windows of months": lambda ds: ds[["t", "i"]].resample(time="MS").mean().rolling(time=3).mean(),
    },
    ViewKind.reduction: {
        "sum": lambda ds: ds.sum("time"),
        "count": lambda ds: ds.count("time"),
        "mean": lambda ds: ds.mean("time"),
        "mean without NaN": lambda ds: ds[["t", "f"]].mean("time", skipna=False),
        "var": lambda ds: ds.var("time"),
        "std of everything": lambda ds: ds[["t", "i"]].std(ddof=1),
        "range": lambda ds: ds["t"].max("time") - ds["t"].min("time"),
        "extremes": lambda ds: {"low": ds.f.min(["time", "x"]), "high": ds.i.max("time")},
        "histogram": lambda ds: views.histogram(ds["t"], [-50, 250, 270, 275, 280, 300, 400], "time"),
        "quantile sketch": lambda ds: views.quantile_sketch(ds["t"], [0.1, 0.5, 0.9], ["time", "x"]),
        "of monthly means": lambda ds: ds[["t"]].resample(time="MS").mean().max("time"),
    },
    ViewKind.groupby: {
        "monthly climatology": lambda ds: ds.groupby("time.month").mean(),
        "seasons": lambda ds: ds[["t", "i"]].groupby("time.season").std(),
        "days of the year": lambda ds: ds[["t"]].groupby("time.dayofyear").sum(),
        "range by month": lambda ds: ds["t"].groupby("time.month").max() - ds["t"].groupby("time.month").min(),
        "by label": lambda ds: ds[["t", "f", "label"]].set_coords("label").groupby("label").min(),
        "by computed array": lambda ds: ds["t"].groupby(ds["time"].dt.quarter).mean(),
        "of monthly means": lambda ds: ds[["t"]].resample(time="MS").mean().groupby("time.month").mean(),
        "anomalous months": lambda ds: (ds["t"] - ds["t"].mean(["x", "y"])).groupby("time.year").var(),
    },
    ViewKind.regrid: {
        "interp": lambda ds: ds[["t", "f"]].interp(x=[0.5, 1.25]),
        "sparse weights": lambda ds: views.regrid(ds["t"], _WEIGHTS, ["x", "y"], {"station": [10, 20, 30]}),
    },
    ViewKind.general: {"smooth": _smooth},
}
STATES = {ViewKind.reduction, ViewKind.groupby}


@dataclass
class Tried:
    """What came out for one kind."""

    checks: int = 0
    values: int = 0
    wrong: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    """Why everything was computed, after the first time."""


def definition(kind: ViewKind, function: Function) -> views.Definition:
    declared: dict[str, Any] = {"halo": (1, 1)} if kind is ViewKind.general else {}
    return views.define(function, along="time", **declared)


class Source:
    """A repository with a history that a seed gives."""

    def __init__(self, seed: int, repository: icechunk.Repository | None = None) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.repository = repository or new()
        self.calendar = self.random.choice(["standard", "standard", "noleap", "irregular", "360_day"])
        self.freq = self.random.choice(["D", "D", "5D", "12h"])
        self.chunks = {"time": self.random.choice([1, 4, 7, 30]), "x": self.random.choice([1, 2, 3]), "y": 2}
        ds = self.dataset(self.random.randint(8, 150), None)
        session = self.repository.writable_session("main")
        encoding = {
            name: {"chunks": tuple(min(self.chunks.get(str(d), 9), max(n, 1)) for d, n in one.sizes.items())}
            for name, one in ds.variables.items()
            if one.dims
        }
        encoding["time"] |= {"units": "minutes since 1999-01-01", "dtype": "int64"}
        to_icechunk(ds, session, encoding=encoding)
        session.commit("first")

    def dataset(self, rows: int, after: Any) -> xr.Dataset:
        shape = (rows, *SIZES.values())
        t = self.numbers.normal(275, 12, shape)
        t[self.numbers.random(shape) < self.random.choice([0, 0.05, 0.3])] = np.nan
        f = self.numbers.normal(0, 1, shape).astype("float32")
        i = self.numbers.integers(-50, 50, shape[:2])
        label = self.numbers.integers(0, 4, rows)
        dims = ("time", *SIZES)
        return xr.Dataset(
            {
                "t": (dims, t, {"units": "K"}),
                "f": (dims, f),
                "i": (dims[:2], i),
                "mask": (("x",), [1.0, 0.0, 2.0]),
                "label": ("time", label),
            },
            coords={"time": self.times(rows, after), "x": [0.0, 1.0, 2.0]},
            attrs={"title": "histories"},
        )

    def times(self, rows: int, after: Any) -> Any:
        calendar = self.calendar if self.calendar in {"noleap", "360_day"} else "standard"
        start = "1999-12-05" if after is None else after
        found = xr.date_range(start, periods=4 * rows + 5, freq=self.freq, calendar=calendar)
        found = found[found > after] if after is not None else found
        if self.calendar != "irregular":
            return found[:rows]
        kept = np.sort(self.numbers.choice(len(found), rows, replace=False))
        return found[kept]

    def whole(self) -> xr.Dataset:
        return opened(self.repository)

    def step(self) -> str:
        """One commit; what it did."""
        options = [self.append, self.append, self.rewrite, self.correct, self.correct, self.shrink, self.other]
        changes = self.random.sample(options, self.random.choice([1, 1, 1, 2]))
        said = []
        for change in changes:
            session = self.repository.writable_session("main")
            said.append(f"{change.__name__} {change(session)}")
            if session.has_uncommitted_changes:
                session.commit(said[-1])
        return ", ".join(said)

    def append(self, session: icechunk.Session) -> str:
        rows = self.random.choice([1, 1, 2, 9, 40])
        ds = self.dataset(rows, self.whole()["time"].values[-1])
        to_icechunk(ds.drop_vars(["mask", "x"]), session, append_dim="time", align_chunks=True)
        return f"{rows}"

    def rewrite(self, session: icechunk.Session) -> str:
        """A region of some variables, anew."""
        group = zarr.open_group(session.store)
        rows = group["t"].shape[0]
        start = self.random.randrange(rows)
        stop = min(rows, start + self.random.choice([1, 3, 20]))
        ds = self.dataset(stop - start, None)
        for name in self.random.sample(["t", "f", "i", "label"], 2):
            group[name][start:stop] = ds[name].values
        return f"[{start}:{stop}]"

    def correct(self, session: icechunk.Session) -> str:
        """One value, sometimes from or to something absurd."""
        group = zarr.open_group(session.store)
        place = tuple(self.random.randrange(size) for size in group["t"].shape)
        value = self.random.choice([np.nan, 280.0, 1e20, 9.96921e36, -1e20, np.inf, 0.1])
        if self.random.random() < 0.5:  # what is absurd by now is corrected
            absurd = np.argwhere(~(np.abs(group["t"][...]) < 1e4))
            place = tuple(absurd[-1]) if len(absurd) else place
            value = 281.25
        if (group["t"][(slice(None), *place[1:])] == -value).any() and abs(value) > 1e4:
            value = 280.0  # two that cancel: Xarray's sum in floats loses all others then, and the view's does not
        group["t"][place] = value
        group["i"][place[:2]] = self.random.randrange(1000)
        return f"{place} = {value}"

    def shrink(self, session: icechunk.Session) -> str:
        group = zarr.open_group(session.store)
        rows = group["t"].shape[0]
        left = max(5, rows - self.random.choice([1, 2, 11, 60]))
        for name in ("t", "f", "i", "label", "time"):
            group[name].resize((min(left, rows), *group[name].shape[1:]))
        return f"to {left}"

    def other(self, session: icechunk.Session) -> str:
        """Attributes, times, a mask, or something beside the group."""
        group = zarr.open_group(session.store)
        what = self.random.choice(["attributes", "times", "times", "mask", "elsewhere"])
        if what == "attributes":
            group.attrs["history"] = f"{self.random.random()}"
            group["t"].attrs["long_name"] = f"temperature {self.random.random()}"
        elif what == "times":
            start = self.random.randrange(group["time"].shape[0])
            group["time"][start:] = group["time"][start:] + self.random.choice([1, 7 * 1440, 45 * 1440])
        elif what == "mask":
            group["mask"][0] = self.random.choice([0.0, 1.0])
        else:
            group.require_group("beside").attrs["n"] = self.random.random()
        return what


def new() -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.in_memory_storage())


def opened(repository: icechunk.Repository, snapshot: str = "") -> xr.Dataset:
    session = repository.readonly_session(snapshot_id=snapshot) if snapshot else repository.readonly_session("main")
    store = session.store
    return xr.open_zarr(store, consolidated=False, zarr_format=3, chunks=None).load()


def commit(session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
    return session.commit(message, metadata, rebase_with=icechunk.ConflictDetector())


def follow(
    seed: int,
    commits: int,
    kinds: Mapping[ViewKind, Mapping[str, Function]],
    tried: dict[ViewKind, Tried],
    each: int = 2,
) -> None:
    """One history; some views of each kind after each of its commits."""
    warnings.simplefilter("ignore")
    source = Source(seed)
    every = [
        (kind, name, of[name])
        for kind, of in kinds.items()
        for name in source.random.sample(list(of), min(each, len(of)))
    ]
    targets = [new() for _ in every]
    beyond: set[str] = set()
    checked = ""
    for number in range(commits + 1):
        said = source.step() if number else "first"
        if source.random.random() < 0.2:
            continue  # two steps in one refresh
        coalesce = source.random.random() < 0.5
        now = source.whole()
        for (kind, name, function), target in zip(every, targets, strict=True):
            if name in beyond:
                continue
            found = tried.setdefault(kind, Tried())
            where = f"{kind} {name!r}, seed {seed}, commit {number} ({said})"
            if beyond_xarray(kind, function, now):
                beyond.add(name)
                continue
            try:
                done = views.refresh(
                    source.repository,
                    target,
                    definition(kind, function),
                    view="v",
                    source_name="s",
                    commit=commit,
                    coalesce=coalesce,
                )
                found.whole += [
                    f"{name}: {one.skipped}" for one in done if one.whole and "first time" not in one.skipped
                ]
                found.values += compare(kind, function, now, target)
            except errors.ViewRefused as error:
                if any(beyond_xarray(kind, function, past) for past in between(source.repository, checked)):
                    beyond.add(name)  # a commit in between, which the refresh has to bring too
                    continue
                found.wrong.append(f"{where}: ViewRefused {str(error)[:1500]}")
            except Exception as error:
                found.wrong.append(f"{where}: {type(error).__name__} {str(error)[:1500]}")
            check_once(source.repository, target, found, where)
            found.checks += 1
        checked = source.repository.lookup_branch("main")


def between(repository: icechunk.Repository, checked: str) -> Iterator[xr.Dataset]:
    """The source as each commit since a snapshot left it."""
    for info in repository.ancestry(branch="main"):
        if info.id == checked or info.parent_id is None:
            return
        yield opened(repository, info.id)


def beyond_xarray(kind: ViewKind, function: Function, ds: xr.Dataset) -> bool:
    """Of other calendars Xarray itself knows no quarters, weeks, or means of times."""
    try:
        whole(kind, function, ds)
    except Exception:
        return True
    return False


def whole(kind: ViewKind, function: Function, now: xr.Dataset) -> xr.Dataset:
    """What Xarray makes of all of it."""
    if kind in STATES:
        now = now.assign({one: now[one].astype("float64") for one in ("f",)})
    return Declaration(definition(kind, _dict(function)))(now)


def compare(kind: ViewKind, function: Function, now: xr.Dataset, target: icechunk.Repository) -> int:
    """Values that are as Xarray's; running states against Xarray in double floats, which is what they are."""
    expected = whole(kind, function, now)
    found = opened(target)
    names, wanted = (sorted(map(str, ds.variables)) for ds in (found, expected))
    assert names == wanted, f"variables {names} and not {wanted}"
    for variable in expected.variables:
        one, other = found[variable].variable, expected[variable].variable
        assert one.dims == other.dims, f"{variable}: dimensions {one.dims} and not {other.dims}"
        assert one.shape == other.shape, f"{variable}: shape {one.shape} and not {other.shape}"
        assert _attributes(one) == _attributes(other), f"{variable}: {one.attrs} and not {other.attrs}"
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one.values, other.values, rtol=RTOL, atol=1e-12, err_msg=str(variable))
        elif other.dtype.kind == "M":
            # Xarray's mean of times counts floats from the earliest of those it is given: nanoseconds differ.
            assert (abs(one.values - other.values) < np.timedelta64(1, "us")).all(), f"{variable}: times"
        else:
            np.testing.assert_array_equal(one.values, other.values, err_msg=str(variable))
    return sum(one.size for one in expected.variables.values())


def check_once(source: icechunk.Repository, target: icechunk.Repository, found: Tried, where: str) -> None:
    """Each source commit was applied exactly once, in order, as the target's own history says."""
    said = applied_by(target)
    history = [one.id for one in source.ancestry(branch="main")]
    begun = history.index(said[0]) if said and said[0] in history else None
    if begun is None or said != list(reversed(history[: begun + 1])):
        found.wrong.append(f"{where}: applied {said}, source {history}")


def applied_by(target: icechunk.Repository) -> list[str]:
    found: list[str] = []
    for info in target.ancestry(branch="main"):
        said = dict(info.metadata).get("view", {})
        found = [*said.get("snapshots", []), *found]
    return found


def lines(dose: float, seed: int) -> Iterator[Line]:
    tried: dict[ViewKind, Tried] = {}
    count = max(1, round(HISTORIES * dose))
    for number in range(count):
        follow(seed * 1000 + number, COMMITS, FUNCTIONS, tried)
    for kind, found in tried.items():
        figure = (
            f"{count} histories, {found.checks} refreshes ({len(found.whole)} of everything), {found.values:,} values "
            f"alike, {len(found.wrong)} wrong"
        )
        detail = found.wrong[0] if found.wrong else ", ".join(FUNCTIONS[kind])
        yield Line(4, f"views, {kind.value}", figure, "0 wrong", not found.wrong, detail)


def _dict(function: Function) -> Function:
    def call(ds: xr.Dataset) -> Any:
        made = function(ds)
        return xr.Dataset(made) if isinstance(made, dict) else made

    call.__name__ = function.__name__
    return call


def _attributes(variable: xr.Variable) -> dict[str, Any]:
    return {key: value for key, value in variable.attrs.items() if key not in {"_FillValue"}}


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--dose", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    for line in lines(arguments.dose, arguments.seed):
        print("yes" if line.holds else "NO ", line.what, line.figure, line.detail)
