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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

from amasia.models.views import Applied
from amasia.stores import views
from show.histories import commit
from show.lines import Line

STEPS = 10_000
GRID = (121, 240)
"""A global grid of one and a half degrees."""
GOAL = 50.0
RUNS = 16
CHUNK = 32
"""Steps in a chunk of the source."""
LAST = np.datetime64("2020-01-10", "s")
"""Of the history, before more is appended."""
KINDS: dict[str, Callable[[Any], Any]] = {
    "monthly mean": lambda ds: ds.resample(time="MS").mean(),
    "climatology": lambda ds: ds.groupby("time.month").mean(),
}


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu: float
    """Seconds of all threads: what a busy machine does not change much."""


@dataclass(frozen=True)
class Measured:
    kind: str
    steps: int
    refresh: Cost
    """From the call to the commit, of the median of several appended steps."""
    whole: Cost
    """Of plain Xarray, from opening the source to the commit of the result: the quicker of two runs."""
    alike: bool
    nbytes_read: int


class History:
    """A source of so many days, and the views that follow it."""

    def __init__(self, steps: int, folder: Path, grid: tuple[int, int]) -> None:
        self.steps, self.folder, self.grid = steps, folder, grid
        self.first = LAST - (steps - 1) * np.timedelta64(86400, "s")
        self.source = _make(folder / f"source{steps}")
        self.targets = {kind: _make(folder / f"{kind.replace(' ', '-')}{steps}") for kind in KINDS}
        self.costs: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
        self.read = dict.fromkeys(KINDS, 0)
        for start in range(0, steps, 1000):
            self.append(start, min(1000, steps - start))
        for kind in KINDS:
            self.refresh(kind)

    def step(self, run: int) -> None:
        """One day more, and each view refreshed."""
        self.append(self.steps + run, 1)
        for kind in KINDS:
            cost, (done,) = _timed(lambda kind=kind: self.refresh(kind))
            assert not done.whole, done
            self.costs[kind].append(cost)
            self.read[kind] = done.nbytes_read

    def measured(self, kind: str) -> Measured:
        expected, costs = None, []
        for run in range(2):
            target = _make(self.folder / f"plain-{kind.replace(' ', '-')}{self.steps}-{run}")
            cost, expected = _timed(lambda target=target: self.whole(target, kind))
            costs.append(cost)
        found = xr.open_zarr(self.targets[kind].readonly_session("main").store, consolidated=False, chunks=None).load()
        assert expected is not None
        alike = bool(np.allclose(found["t"], expected["t"], rtol=1e-4))  # single floats, summed one after the other
        refresh = Cost(
            *(statistics.median(getattr(one, what) for one in self.costs[kind]) for what in ("seconds", "cpu"))
        )
        whole = Cost(*(min(getattr(one, what) for one in costs) for what in ("seconds", "cpu")))
        return Measured(kind, self.steps, refresh, whole, alike, self.read[kind])

    def append(self, start: int, rows: int) -> None:
        numbers = np.random.default_rng(start)
        values = numbers.normal(280, 10, (rows, *self.grid)).round(1).astype("float32")
        times = self.first + np.arange(start, start + rows) * np.timedelta64(86400, "s")
        ds = xr.Dataset({"t": (("time", "y", "x"), values)}, coords={"time": times})
        session = self.source.writable_session("main")
        if start:
            to_icechunk(ds, session, append_dim="time", align_chunks=True)
        else:
            units = "days since 1750-01-01"
            chunks = {"t": {"chunks": (CHUNK, *self.grid)}, "time": {"chunks": (4096,), "units": units}}
            to_icechunk(ds, session, encoding=chunks)
        session.commit(f"days from {start}")

    def refresh(self, kind: str) -> list[Applied]:
        definition = views.define(KINDS[kind], along="time")
        return views.refresh(self.source, self.targets[kind], definition, view="v", source_name="bench", commit=commit)

    def whole(self, target: icechunk.Repository, kind: str) -> xr.Dataset:
        store = self.source.readonly_session("main").store
        made: xr.Dataset = KINDS[kind](xr.open_zarr(store, consolidated=False, chunks=None)).compute()
        session = target.writable_session("main")
        to_icechunk(made, session)
        session.commit("whole")
        return made


def measure(sizes: Sequence[int], folder: Path, grid: tuple[int, int] = GRID, runs: int = RUNS) -> list[Measured]:
    """Both ways, for sources of so many days.

    All histories end on the same day, and grow by the same days, in turns: they differ in their length, and not in the
    rows of the last month or in what the machine did meanwhile. Lengths are rounded up to end in the same place of a
    chunk as the last one.
    """
    longest = sizes[-1]
    histories = [History(size + (longest - size) % CHUNK, folder, grid) for size in sizes]
    for run in range(runs):
        for history in histories:
            history.step(run)
    return [history.measured(kind) for history in histories for kind in KINDS]


def lines(dose: float, base: Path) -> Iterator[Line]:
    steps = max(300, round(STEPS * dose))
    found = measure([max(steps // 10, 100), steps], base)
    for few, many in zip(found[: len(KINDS)], found[len(KINDS) :], strict=True):
        ratio = many.whole.seconds / many.refresh.seconds
        figure = f"{_ms(many.refresh.seconds)} against {many.whole.seconds:.2f} s: {ratio:.0f} times faster"
        detail = (
            f"CPU {_ms(many.refresh.cpu)} against {many.whole.cpu:.2f} s: {many.whole.cpu / many.refresh.cpu:.0f} "
            f"times; {many.nbytes_read / 1e6:.1f} MB read; values {'alike' if many.alike else 'differ'}; "
            f"load {os.getloadavg()[0]:.0f}"
        )
        # A small dose has little to recompute: only the values count there.
        holds = many.alike and (ratio >= GOAL or dose < 1)
        goal = f"{GOAL:.0f} times" if dose >= 1 else "values alike"
        yield Line(5, f"{many.kind}: 1 step more of {many.steps:,}", figure, goal, holds, detail)
        growth = many.refresh.seconds / few.refresh.seconds
        what = f"{many.kind}: cost for {many.steps / few.steps:.1f} times the history"
        detail = (
            f"{_ms(few.refresh.seconds)} with {few.steps:,} steps; CPU {_ms(few.refresh.cpu)} and "
            f"{_ms(many.refresh.cpu)}: {many.refresh.cpu / few.refresh.cpu:.2f} times; median of {RUNS}"
        )
        yield Line(5, what, f"{growth:.2f} times", "under 2 times", growth < 2, detail)


def _timed[Found](work: Callable[[], Found]) -> tuple[Cost, Found]:
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    return Cost(time.perf_counter() - begun, time.process_time() - cpu), found


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _make(folder: Path) -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder)))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--grid", type=int, nargs=2, default=GRID)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    icechunk.set_logs_filter("error")
    with tempfile.TemporaryDirectory(prefix="amasia-bench-") as folder:
        for one in measure(arguments.steps, Path(folder), tuple(arguments.grid)):
            print(
                f"{one.steps:>7,} steps  {one.kind:<14} refresh {_ms(one.refresh.seconds)} "
                f"(CPU {_ms(one.refresh.cpu)})  plain {one.whole.seconds:.2f} s (CPU {one.whole.cpu:.2f} s)  "
                f"{one.whole.seconds / one.refresh.seconds:.0f} times (CPU {one.whole.cpu / one.refresh.cpu:.0f})  "
                f"alike {one.alike}  read {one.nbytes_read / 1e6:.1f} MB"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
