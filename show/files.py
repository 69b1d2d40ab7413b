"""All files of the data folder taken or refused, and what comes out is what Xarray's, xradar's or rioxarray's reads."""

import csv
import json
import os
import pickle
import re
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
import gzip, json, os, pickle, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import pyproj, xarray as xr

def grib(path):
    import cfgrib
    options = {"indexpath": "", "errors": "raise"}
    try:
        return {"/": xr.open_dataset(path, engine="cfgrib", backend_kwargs=options).load()}
    except Exception:
        return {str(n): ds.load() for n, ds in enumerate(cfgrib.open_datasets(path, backend_kwargs=options))}

def radar(path):
    import xradar
    if path.endswith(".gz"):
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "volume"
            plain.write_bytes(gzip.open(path).read())
            return tree(xradar.io.open_nexradlevel2_datatree(plain))
    return tree((xradar.io.open_odim_datatree if path.endswith(".hdf") else xradar.io.open_cfradial1_datatree)(path))

def tree(found):
    return {group: found[group].to_dataset(inherit=False).load() for group in found.groups}

def geotiff(path):
    import rioxarray
    return {"/": rioxarray.open_rasterio(path, mask_and_scale=True).to_dataset(name="band_data").load()}

def netcdf(path):
    if Path(path).read_bytes()[:3] == b"CDF":
        return {"/": xr.open_dataset(path, engine="scipy").load()}
    groups = xr.open_groups(path, engine="h5netcdf", phony_dims="access")
    return {group: ds.load() for group, ds in groups.items() if ds.variables or ds.attrs}

for kind, path, out in json.loads(sys.argv[1]):
    pickle.dump(globals()[kind](path), open(out, "wb"))
os._exit(0)
"""
"""The field's own readers, in a process of their own."""


CLOCK = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d (?=GRIB to CDM)")
"""cfgrib writes into ``history`` when it read the file: two readings of one file differ in that, and only there."""


def prove(base: Path, only: str = "") -> Iterator[Line]:
    """Must show 1."""
    rows = [row for row in csv.DictReader((DATA / "index.csv").open()) if re.search(only, row["file"])]
    repo = icechunk.Repository.create(icechunk.local_filesystem_storage(str(base / "repository")))
    report = ingests.ingest(_target(repo), [DATA / row["file"] for row in rows], ingests.Plan(keep_going=True))
    store = repo.readonly_session("main").store
    references = [base / f"reference-{index}" for index, _ in enumerate(report.taken)]
    _read(report.taken, references)
    wrong = [
        f"{one.path}: {what}"
        for one, reference in zip(report.taken, references, strict=True)
        for what in _differences(one, store, reference)
    ]
    refused = {str(Path(one.path).relative_to(DATA)): one.reason for one in report.refused}
    wrong += [
        f"{name} was refused: {reason}" for name, reason in refused.items() if REFUSED.get(name, "?") not in reason
    ]
    wrong += [f"{name} was taken" for name in REFUSED.keys() - refused.keys()]
    notes = sum(len(one.notes) for one in report.taken)
    wanted = len(rows) - len(REFUSED)
    yield Line(
        1, f"files of {len(rows)} taken, each equal to its own reader's; others refused with the true reason",
        f"{len(report.taken)} taken, {len(refused)} refused, {len(wrong)} differences",
        f"{wanted} taken, {len(REFUSED)} refused, 0 differences", not wrong and len(report.taken) == wanted,
        "; ".join(wrong)[:1500] or f"{notes} notes of what is not kept",
    )  # fmt: skip


def _kind_of(taken: Any) -> str:
    folder = Path(taken.path).parent.name
    return folder if folder in {"radar", "geotiff"} else "grib" if taken.format == "GRIB" else "netcdf"


def _read(taken: list[Any], references: list[Path]) -> None:
    """With the field's own readers, in a process of their own for each kind."""
    asked: dict[str, list[list[str]]] = {}
    for one, reference in zip(taken, references, strict=True):
        asked.setdefault(_kind_of(one), []).append([_kind_of(one), one.path, str(reference)])
    for wishes in asked.values():
        subprocess.run([sys.executable, "-c", REFERENCE, json.dumps(wishes)], check=True, capture_output=True)


def _target(repo: icechunk.Repository) -> ingests.Target:
    def commit(change: Any, message: str, metadata: Any) -> str:
        session = repo.writable_session("main")
        change(session)
        return session.commit(message, dict(metadata))

    return ingests.Target(repo, commit, lambda _: None)


def _differences(taken: Any, store: Any, reference: Path) -> Iterator[str]:
    kind = _kind_of(taken)
    expected = pickle.loads(reference.read_bytes())  # noqa: S301  of the process above
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
        one, other = (CLOCK.sub("", json.dumps(plain(side.get(key, "—")))) for side in (wanted, got))
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
