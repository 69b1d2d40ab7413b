"""Line 5: one step is appended; the view is refreshed, and beside it computed anew by plain Xarray, in one run.

``python -m show.refresh --steps 1000 10000`` runs it alone.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

from amasia.stores import views
from show.histories import commit
from show.lines import Line

STEPS = 10_000
GRID = (121, 240)
"""A global grid of one and a half degrees."""
GOAL = 50.0
RUNS = 5
KINDS: dict[str, Callable[[Any], Any]] = {
    "monthly mean": lambda ds: ds.resample(time="MS").mean(),
    "climatology": lambda ds: ds.groupby("time.month").mean(),
}


@dataclass(frozen=True)
class Measured:
    kind: str
    steps: int
    refresh: float
    """Seconds from the call to the commit, of the median of several appended steps."""
    whole: float
    """Seconds of plain Xarray, from opening the source to the commit of the result."""
    alike: bool
    nbytes_read: int


def measure(steps: int, folder: Path, grid: tuple[int, int] = GRID, runs: int = RUNS) -> Iterator[Measured]:
    """Both ways, for a source of so many days."""
    source = _make(folder / f"source{steps}")
    _fill(source, steps, grid)
    targets = {kind: _make(folder / f"{kind.replace(' ', '-')}{steps}") for kind in KINDS}
    for kind in KINDS:
        _refresh(source, targets[kind], kind)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    read = dict.fromkeys(KINDS, 0)
    for run in range(runs):
        _append(source, steps + run, 1, grid)
        for kind in KINDS:
            begun = time.perf_counter()
            done = _refresh(source, targets[kind], kind)
            seconds[kind].append(time.perf_counter() - begun)
            assert [one.whole for one in done] == [False], done
            read[kind] = done[0].nbytes_read
    for kind in KINDS:
        plain = _make(folder / f"plain-{kind.replace(' ', '-')}{steps}")
        begun = time.perf_counter()
        expected = _whole(source, plain, kind)
        whole = time.perf_counter() - begun
        found = xr.open_zarr(targets[kind].readonly_session("main").store, consolidated=False, chunks=None).load()
        alike = bool(np.allclose(found["t"], expected["t"], rtol=1e-4))  # single floats, summed one after the other
        yield Measured(kind, steps, statistics.median(seconds[kind]), whole, alike, read[kind])


def lines(dose: float, base: Path) -> Iterator[Line]:
    steps = max(300, round(STEPS * dose))
    short, long = (list(measure(size, base)) for size in (max(steps // 10, 100), steps))
    for few, many in zip(short, long, strict=True):
        ratio = many.whole / many.refresh
        figure = f"{many.refresh * 1000:.0f} ms against {many.whole:.2f} s: {ratio:.0f} times faster"
        detail = (
            f"with {few.steps:,} steps {few.refresh * 1000:.0f} ms; {many.nbytes_read / 1e6:.1f} MB read; "
            f"values {'alike' if many.alike else 'differ'}; load {os.getloadavg()[0]:.0f}"
        )
        # A small dose has little to recompute: only the values count there.
        holds = many.alike and (ratio >= GOAL or dose < 1)
        goal = f"{GOAL:.0f} times" if dose >= 1 else "values alike"
        yield Line(5, f"{many.kind}: 1 step more of {many.steps:,}", figure, goal, holds, detail)
        growth = many.refresh / few.refresh
        yield Line(
            5, f"{many.kind}: cost for 10 times the history", f"{growth:.2f} times", "under 2 times", growth < 2, ""
        )


def _refresh(source: icechunk.Repository, target: icechunk.Repository, kind: str) -> list[Any]:
    definition = views.define(KINDS[kind], along="time")
    return views.refresh(source, target, definition, view="v", source_name="bench", commit=commit)


def _whole(source: icechunk.Repository, target: icechunk.Repository, kind: str) -> xr.Dataset:
    store = source.readonly_session("main").store
    made: xr.Dataset = KINDS[kind](xr.open_zarr(store, consolidated=False, chunks=None)).compute()
    session = target.writable_session("main")
    to_icechunk(made, session)
    session.commit("whole")
    return made


def _fill(source: icechunk.Repository, steps: int, grid: tuple[int, int]) -> None:
    session = source.writable_session("main")
    first = _days(0, min(steps, 1000), grid)
    chunks = {"t": {"chunks": (32, *grid)}, "time": {"chunks": (4096,), "units": "days since 1750-01-01"}}
    to_icechunk(first, session, encoding=chunks)
    session.commit("first")
    for start in range(1000, steps, 1000):
        _append(source, start, min(1000, steps - start), grid)


def _append(source: icechunk.Repository, start: int, rows: int, grid: tuple[int, int]) -> None:
    session = source.writable_session("main")
    to_icechunk(_days(start, rows, grid), session, append_dim="time", align_chunks=True)
    session.commit(f"days from {start}")


def _days(start: int, rows: int, grid: tuple[int, int]) -> xr.Dataset:
    numbers = np.random.default_rng(start)
    values = numbers.normal(280, 10, (rows, *grid)).round(1).astype("float32")
    times = np.datetime64("1750-01-01", "s") + np.arange(start, start + rows) * np.timedelta64(86400, "s")
    return xr.Dataset({"t": (("time", "y", "x"), values)}, coords={"time": times})


def _make(folder: Path) -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder)))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--grid", type=int, nargs=2, default=GRID)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    icechunk.set_logs_filter("error")
    for steps in arguments.steps:
        with tempfile.TemporaryDirectory(prefix="amasia-bench-") as folder:
            for one in measure(steps, Path(folder), tuple(arguments.grid)):
                print(
                    f"{one.steps:>7,} steps  {one.kind:<14} refresh {one.refresh * 1000:7.1f} ms  "
                    f"plain {one.whole:7.2f} s  {one.whole / one.refresh:6.0f} times  alike {one.alike}  "
                    f"read {one.nbytes_read / 1e6:.1f} MB",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
