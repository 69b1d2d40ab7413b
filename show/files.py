"""All files of the data folder taken or refused, and what comes out is what Xarray's, xradar's or rioxarray's reads."""

import csv
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import xarray as xr

from amasia.client import ingests
from amasia.stores.encoding import plain
from show.lines import Line

DATA = Path(os.environ.get("AMASIA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
REFUSED = {
    "basemap/land-110m.json": "TopoJSON",
    "basemap/countries-110m.json": "TopoJSON",
    "climatology/coads_climatology.cdf": "hour since 0000-01-01",
}
"""And what the reason must say."""
REFERENCE = """
import gzip, pickle, sys, tempfile, warnings
warnings.simplefilter("ignore")
import pyproj, xarray as xr
kind, path, out = sys.argv[1:]
def tree(found): return {g: found[g].to_dataset(inherit=False).load() for g in found.groups}
if kind == "grib":
    import cfgrib
    options = {"indexpath": "", "errors": "raise"}
    try: groups = {"/": xr.open_dataset(path, engine="cfgrib", backend_kwargs=options).load()}
    except Exception:
        groups = {str(n): ds.load() for n, ds in enumerate(cfgrib.open_datasets(path, backend_kwargs=options))}
elif kind == "radar":
    import xradar
    if path.endswith(".gz"):
        plain = tempfile.NamedTemporaryFile(); plain.write(gzip.open(path).read()); plain.flush()
        groups = tree(xradar.io.open_nexradlevel2_datatree(plain.name))
    elif path.endswith(".hdf"): groups = tree(xradar.io.open_odim_datatree(path))
    else: groups = tree(xradar.io.open_cfradial1_datatree(path))
elif kind == "geotiff":
    import rioxarray
    groups = {"/": rioxarray.open_rasterio(path, mask_and_scale=True).to_dataset(name="band_data").load()}
elif open(path, "rb").read(3) == b"CDF": groups = {"/": xr.open_dataset(path, engine="scipy").load()}
else: groups = {g: d.load() for g, d in xr.open_groups(path, engine="h5netcdf", phony_dims="access").items()}
pickle.dump(groups, open(out, "wb"))
import os; os._exit(0)
"""
"""The field's own readers, in a process of their own."""


def prove(base: Path) -> Iterator[Line]:
    """Must show 1."""
    rows = list(csv.DictReader((DATA / "index.csv").open()))
    repo = icechunk.Repository.create(icechunk.local_filesystem_storage(str(base / "repository")))
    report = ingests.ingest(_target(repo), [DATA / row["file"] for row in rows], ingests.Plan(keep_going=True))
    store = repo.readonly_session("main").store
    wrong = [f"{one.path}: {what}" for one in report.taken for what in _differences(one, store, base / "reference")]
    refused = {str(Path(one.path).relative_to(DATA)): one.reason for one in report.refused}
    wrong += [f"{name} was refused: {reason}" for name, reason in refused.items() if REFUSED.get(name, "?") not in reason]
    wrong += [f"{name} was taken" for name in REFUSED.keys() - refused.keys()]
    notes = sum(len(one.notes) for one in report.taken)
    yield Line(
        1, f"files of {len(rows)} taken, each equal to its own reader's; others refused with the true reason",
        f"{len(report.taken)} taken, {len(refused)} refused, {len(wrong)} differences",
        f"{len(rows) - len(REFUSED)} taken, {len(REFUSED)} refused, 0 differences", not wrong
        and len(report.taken) == len(rows) - len(REFUSED), "; ".join(wrong)[:1500] or f"{notes} notes of what is not kept",
    )  # fmt: skip


def _target(repo: icechunk.Repository) -> ingests.Target:
    def commit(change: Any, message: str, metadata: Any) -> str:
        session = repo.writable_session("main")
        change(session)
        return session.commit(message, dict(metadata))

    return ingests.Target(repo, commit, lambda _: None)


def _differences(taken: Any, store: Any, scratch: Path) -> Iterator[str]:
    kind = Path(taken.path).parent.name
    kind = kind if kind in {"radar", "geotiff"} else "grib" if taken.format == "GRIB" else "netcdf"
    subprocess.run([sys.executable, "-c", REFERENCE, kind, taken.path, scratch], check=True, capture_output=True)
    expected = {path: ds for path, ds in pickle.loads(scratch.read_bytes()).items() if ds.variables or ds.attrs}
    if len(expected) != len(taken.groups):
        yield f"{len(taken.groups)} groups instead of {len(expected)}"
        return
    found = {group: xr.open_zarr(store, group=group, consolidated=False, chunks=None).load() for group in taken.groups}
    notes = " ".join(taken.notes)
    for (path, wanted), (group, got) in zip(expected.items(), found.items(), strict=True):
        if kind != "grib" and path != "/" and not group.endswith(path):
            yield f"{group} instead of {path}"
        yield from (f"{group}: {what}" for what in _unlike(wanted, got, notes))


def _unlike(wanted: xr.Dataset, got: xr.Dataset, notes: str) -> Iterator[str]:
    for name, variable in wanted.variables.items():
        if name not in got.variables:
            if f"'{name}'" not in notes:
                yield f"{name} is gone"
            continue
        other = got.variables[name]
        if (name in wanted.coords) != (name in got.coords):
            yield f"{name} is a coordinate in one only"
        if _kind(variable) != _kind(other):
            yield f"{name} is {other.dtype}, not {variable.dtype}"
        if variable.shape != other.shape or not _equal(variable.values, other.values):
            yield f"{name} has other values"
        link = {key: variable.encoding[key] for key in ("grid_mapping",) if key in variable.encoding}
        yield from _attributes(str(name), variable.attrs | link, other.attrs)
        calendar = variable.encoding.get("calendar", "standard")
        if variable.dtype.kind == "O" and "units" in variable.encoding and other.encoding.get("calendar") != calendar:
            yield f"{name} has calendar {other.encoding.get('calendar')}, not {calendar}"
    yield from (f"{name} is new" for name in got.variables.keys() - wanted.variables.keys())
    yield from _attributes("the group", wanted.attrs, got.attrs)


def _attributes(owner: str, wanted: dict[Any, Any], got: dict[Any, Any]) -> Iterator[str]:
    for key in wanted.keys() | got.keys():
        one, other = (json.dumps(plain(side.get(key, "—"))) for side in (wanted, got))
        if one != other:
            yield f"attribute {key} of {owner} is {other[:60]}, not {one[:60]}"


def _kind(variable: xr.Variable) -> str:
    """Byte order is the file's; text is text; times have no width."""
    kind = variable.dtype.kind
    if kind in "UT" or (kind == "O" and isinstance(next(iter(variable.values.flat), ""), str)):
        return "text"
    return kind if kind in "mMOSV" else f"{kind}{variable.dtype.itemsize}"


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind in "fc":
        return np.array_equal(one, other, equal_nan=True)
    if one.dtype.kind in "mM":
        return bool(((one == other) | (np.isnat(one) & np.isnat(other))).all())
    if one.dtype.kind == "V":
        return one.astype(other.dtype).tobytes() == other.tobytes()
    return bool(np.all(one == other))
