"""Many small files into a repository, beside `open_mfdataset(...).to_zarr` and plain VirtualiZarr with Icechunk."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import icechunk
import numpy as np
import psutil
import xarray as xr

from show.files import DATA
from show.lines import Line

WAYS = {
    "amasia": """
import icechunk
from amasia.client import ingests
repo = icechunk.Repository.create(icechunk.local_filesystem_storage(out))
def commit(change, message, metadata):
    session = repo.writable_session("main")
    change(session)
    return session.commit(message, dict(metadata))
report = ingests.ingest(ingests.Target(repo, commit, None), [files + "/*.nc"],
                        ingests.Plan(group="air", append_dim="time", how="native"))
assert len(report.taken) == count, report
""",
    "amasia virtual": """
import icechunk
from amasia.client import ingests
from amasia.stores import virtual
repo = icechunk.Repository.create(icechunk.local_filesystem_storage(out))
def commit(change, message, metadata):
    session = repo.writable_session("main")
    change(session)
    return session.commit(message, dict(metadata))
def name_prefixes(prefixes):
    global repo
    repo = virtual.name_prefixes(repo, prefixes)
report = ingests.ingest(ingests.Target(repo, commit, name_prefixes), [files + "/*.nc"],
                        ingests.Plan(group="air", append_dim="time", how="virtual"))
assert len(report.taken) == count, report
""",
    "xarray": """
import glob, xarray as xr
ds = xr.open_mfdataset(sorted(glob.glob(files + "/*.nc")), engine="h5netcdf", combine="nested", concat_dim="time",
                       data_vars="minimal", coords="minimal", compat="override", join="override")
ds.drop_encoding().chunk(time=1460).to_zarr(out, zarr_format=3, consolidated=False)
""",
    "virtualizarr": """
import glob, icechunk, xarray as xr
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr import open_virtual_dataset
from virtualizarr.parsers import HDFParser
registry = ObjectStoreRegistry({"file://": LocalStore()})
parts = [open_virtual_dataset("file://" + name, registry, HDFParser(), loadable_variables=["time", "lat", "lon"])
         for name in sorted(glob.glob(files + "/*.nc"))]
ds = xr.concat(parts, dim="time", data_vars="minimal", coords="minimal", compat="override", join="override",
               combine_attrs="override")
config = icechunk.RepositoryConfig.default()
place = "file://" + files + "/"
config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(place, icechunk.local_filesystem_store(files + "/")))
allowed = {place: icechunk.Credentials.LocalFileSystemAccess()}
repo = icechunk.Repository.create(icechunk.local_filesystem_storage(out), config, allowed)
session = repo.writable_session("main")
ds.vz.to_icechunk(session.store, group="air")
session.commit("all")
""",
}
_HEAD = """
import sys, warnings
warnings.simplefilter("ignore")
files, out, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
"""


def prove(dose: float, seed: int, base: Path) -> Iterator[Line]:
    """Must show 6."""
    count = max(8, round(1000 * dose))
    files = base / "files"
    _make(files, count, seed)
    took: dict[str, tuple[float, float, float]] = {}
    for name, script in WAYS.items():
        took[name] = _run(script, files, base / name, count)
    same = _same(base, files)
    seconds, peaks, cpu = ({name: one[index] for name, one in took.items()} for index in range(3))
    told = {name: f"{s:.1f} s wall, {cpu:.1f} s CPU, {peak / 1e6:.0f} MB" for name, (s, peak, cpu) in took.items()}
    for mine, other, what, most in (
        ("amasia", "xarray", "copied, beside open_mfdataset(…).to_zarr", 1.0),
        ("amasia virtual", "virtualizarr", "as references, beside plain VirtualiZarr + Icechunk", 1.5),
    ):
        ratio, work, memory = (one[mine] / one[other] for one in (seconds, cpu, peaks))
        yield Line(
            6, f"{count:,} small files in one series, {what}",
            f"{ratio:.2f} of its time, {work:.2f} of its CPU seconds, {memory:.2f} of its memory",
            f"≤ {most:.2f} of its time; equal values", ratio <= most and not same, same or json.dumps(told),
        )  # fmt: skip


def _make(folder: Path, count: int, seed: int) -> None:
    """Files of four steps each, as `air.nc` has them: same grid, packing and attributes, other values."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    first = folder / "air-00000.nc"
    with xr.open_dataset(DATA / "reanalysis/air.nc", engine="h5netcdf", mask_and_scale=False) as real:
        part = real.isel(time=slice(0, 4)).load()
    part.time.encoding = {"units": "hours since 1800-01-01", "calendar": "standard", "dtype": "float64"}
    part.to_netcdf(first, engine="h5netcdf")
    with h5py.File(first) as opened:
        air, time = opened["air"][:], opened["time"][:]
    for index in range(1, count):
        other = folder / f"air-{index:05d}.nc"
        shutil.copyfile(first, other)
        with h5py.File(other, "r+") as opened:
            noise = random.integers(-200, 200, air.shape)
            opened["air"][:] = np.clip(air.astype("int64") + noise, -32000, 32000).astype(air.dtype)
            opened["time"][:] = time + 24 * index


def _run(script: str, files: Path, out: Path, count: int) -> tuple[float, float, float]:
    """Wall seconds, peak bytes of the process and all its children (shared pages once each), CPU seconds."""
    command = [sys.executable, "-c", _HEAD + script, str(files), str(out), str(count)]
    begun, peak, cpu = time.monotonic(), 0.0, {}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    top = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, _sample(top, cpu))
        time.sleep(0.05)
    taken = time.monotonic() - begun
    if process.returncode:
        assert process.stderr
        raise RuntimeError(process.stderr.read().decode()[-800:])
    return taken, peak, sum(cpu.values())


def _sample(top: psutil.Process, cpu: dict[int, float]) -> float:
    total = 0.0
    try:
        family = [top, *top.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in family:
        try:
            total += one.memory_info().rss
            times = one.cpu_times()
            cpu[one.pid] = times.user + times.system
        except psutil.Error:
            continue
    return total


def _same(base: Path, files: Path) -> str:
    """Empty when what Amasia stored, or refers to, is what Xarray stored."""
    other = xr.open_zarr(base / "xarray", consolidated=False).load()
    place = f"{files.as_uri()}/"
    for name in ("amasia", "amasia virtual"):
        storage = icechunk.local_filesystem_storage(str(base / name))
        allowed = {place: icechunk.Credentials.LocalFileSystemAccess()}
        repo = icechunk.Repository.open(storage, authorize_virtual_chunk_access=allowed)
        mine = xr.open_zarr(repo.readonly_session("main").store, group="air", consolidated=False).load()
        if not mine.equals(other):
            return f"the values of {name} differ"
    return ""
