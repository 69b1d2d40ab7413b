"""Line 2: the demo's story, and its climatology against Xarray's own on the same files."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from demo.places import Place, amasia
from demo.story import TARGET, Facts, story
from show import planes
from show.lines import Line

RTOL = 1e-5
"""That of `assert_allclose`. Departures are small differences of large numbers, so they are held to those."""


def lines(base: Path, cache: Path) -> Iterator[Line]:
    place, facts = Place(base), Facts()
    planes.share_cache(place.home, cache)
    try:
        told = [step.title for step in story(place, facts)]
        yield Line(2, "the demo's story", f"{len(told)} steps", "10 steps", len(told) == 10)
        yield from _facts(place, facts)
        yield from compare(place, facts)
        amasia(place, "down", "--yes")
        left = planes.processes_of(place.home)
        names = "; ".join(" ".join(each.cmdline())[:120] for each in left)
        yield Line(2, "processes left after the story", str(len(left)), "0", not left, names)
    finally:
        planes.kill_all(place.home)


def _facts(place: Place, facts: Facts) -> Iterator[Line]:
    """What its steps came upon."""
    sizes, reason = facts.told["append"], facts.told["ended"]["reason"]
    before, reader, now = sizes["before"], sizes["reader"], sizes["now"]
    figure = f"{before} steps, {reader} for its reader, {now} for others"
    yield Line(2, "a file appended beside a reader", figure, "unseen by the reader", before == reader < now)
    yield Line(2, "a cluster without work ends", reason, "it was idle", "idle" in reason)
    size = (place.base / "climatology.png").stat().st_size
    yield Line(2, "the picture of the climatology", f"{size:,} bytes", "more than 10,000 bytes", size > 10_000)


def compare(place: Place, facts: Facts) -> Iterator[Line]:
    """Each input by Xarray alone, from the files, against what the cluster committed."""
    os.environ.update(place.variables())
    for group, dim in facts.groups.items():
        files = [*facts.files[group], *([facts.later[group]] if group in facts.later else [])]
        what = f"climatology of {'NetCDF' if files[0].suffix == '.nc' else 'GRIB'} {group}"
        with ExitStack() as stack:
            parts = [stack.enter_context(_open(path)) for path in files]
            whole = xr.concat(parts, dim) if len(parts) > 1 else parts[0]
            names = [name for name in whole.data_vars if dim in whole[name].dims and whole[name].dtype.kind == "f"]
            timed = whole[names].load()
        months = timed.groupby(f"{dim}.month")
        normals = months.mean()
        grain = max(float(abs(timed[name]).max()) for name in names) * RTOL
        yield _compare(what, f"{group}/normals", normals, 1e-8)
        yield _compare(f"departures from the {what}", f"{group}/departures", months - normals, grain)


def _open(path: Path) -> xr.Dataset:
    if path.suffix == ".nc":
        return xr.open_dataset(path)
    return xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})


def _compare(what: str, group: str, expected: xr.Dataset, atol: float) -> Line:
    found = xr.open_dataset(f"amasia://{TARGET}", engine="amasia", group=group).load()
    names = sorted(map(str, expected.data_vars))
    try:
        if names != sorted(map(str, found.data_vars)):
            raise AssertionError(f"it has {sorted(map(str, found.data_vars))} and not {names}")
        for name in names:
            xr.testing.assert_allclose(_bare(found[name]), _bare(expected[name]), atol=atol)
    except AssertionError as error:
        return Line(2, what, "differs", f"assert_allclose, atol {atol:.0e}", False, str(error)[:800])
    size = sum(found[name].size for name in names)
    return Line(2, what, f"{size:,} values alike", f"assert_allclose, atol {atol:.0e}", size > 0, ", ".join(names))


def _bare(variable: xr.DataArray) -> xr.DataArray:
    """Values and coordinates of its dimensions, without those that came along."""
    return variable.reset_coords(drop=True)
