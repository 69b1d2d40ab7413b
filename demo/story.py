"""The story, step by step. Each step does one thing that a scientist does and says what came of it."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from amasia import errors, open_repo, repositories
from demo.places import ROOT, Failed, Place, amasia, run, settle_scientist, write_activate

SOURCE, TARGET = "demo/reanalysis", "demo/climatology"
GRIB = "era5-2mt-2019-03-uk.grib"


@dataclass
class Facts:
    """What the steps learned, for the later ones and for whoever checks."""

    groups: dict[str, str] = field(default_factory=dict)
    """Group of the source repository → its time dimension."""
    files: dict[str, list[Path]] = field(default_factory=dict)
    later: dict[str, Path] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    title: str
    command: str
    outcome: str


def story(place: Place, facts: Facts, idle: str = "3 seconds") -> Iterator[Step]:
    """Do the next step, then say what was done; in the order of the tutorial."""
    yield _settle(place, facts)
    yield _up(place, facts)
    yield _ingest(place, facts)
    yield _append(place, facts)
    yield _compute(place, facts, idle)
    yield _bill(place, facts)
    yield _provenance(place, facts)
    yield _plot(place)
    yield _idle(place, facts)
    yield _down_up(place, facts)


def data_folder() -> Path | None:
    folder = ROOT.parent / "shared" / "data"
    return folder if (folder / "index.csv").exists() else None


def choose(place: Place, facts: Facts) -> None:
    """Three real files of three formats where they are; the one that the project carries elsewhere.

    The NetCDF3 file is cut in two years, since data keep arriving: the last two years come later.
    """
    place.incoming.mkdir(parents=True, exist_ok=True)
    folder = data_folder()
    if folder is None:
        facts.groups = {"air": "time"}
        _cut(ROOT / "demo" / "data" / "air.nc", "air", "time", -28, "NETCDF4", place, facts)
        return
    facts.groups = {"winds": "TIME", "ostia_monthly": "time", GRIB.partition(".")[0]: "time"}
    _cut(folder / "climatology" / "monthly_navy_winds.cdf", "winds", "TIME", -24, "NETCDF3_CLASSIC", place, facts)
    facts.files["ostia_monthly"] = [folder / "reanalysis" / "ostia_monthly.nc"]
    facts.files[GRIB.partition(".")[0]] = [folder / "reanalysis" / GRIB]


def _cut(path: Path, group: str, dim: str, at: int, format_: str, place: Place, facts: Facts) -> None:
    early, late = place.incoming / f"{group}.nc", place.incoming / f"{group}-later.nc"
    if not late.exists():
        with xr.open_dataset(path, decode_cf=False) as ds:  # the numbers as they are, packed or not
            ds.isel({dim: slice(None, at)}).to_netcdf(early, format=format_)
            ds.isel({dim: slice(at, None)}).to_netcdf(late, format=format_)
    facts.files[group] = [early]
    facts.later[group] = late


def _settle(place: Place, facts: Facts) -> Step:
    settle_scientist(place)
    choose(place, facts)
    write_activate(place)
    names = ", ".join(path.name for paths in facts.files.values() for path in paths)
    return Step(
        "A scientist's laptop: a script, a package under development, some files",
        "uv venv; uv pip install amasia -e seasons",
        f"files: {names}",
    )


def _up(place: Place, facts: Facts) -> Step:
    facts.told["up"] = amasia(place, "up")
    os.environ.update(place.variables())  # from here on this process reads as the scientist does
    for name in (SOURCE, TARGET):
        with suppress(errors.NotFound):  # an earlier telling's
            repositories.delete(name)
    return Step("The platform starts", "amasia up", "control plane, object store and console run")


def _ingest(place: Place, facts: Facts) -> Step:
    amasia(place, "repo", "create", SOURCE)
    paths = [str(path) for paths in facts.files.values() for path in paths]
    facts.told["ingest"] = amasia(place, "repo", "ingest", SOURCE, *paths)
    facts.told["first"] = open_repo(SOURCE).snapshot()
    count = len(paths)
    return Step(
        "Files become a versioned dataset",
        f"amasia repo create {SOURCE}; amasia repo ingest {SOURCE} FILES",
        f"{count} files of {count} formats, a commit each; newest snapshot {facts.told['first']}",
    )


def _append(place: Place, facts: Facts) -> Step:
    (group, path), *_ = facts.later.items()
    dim = facts.groups[group]
    reader = _open(group, facts.told["first"])
    before = reader.load().copy(deep=True)
    amasia(place, "repo", "ingest", SOURCE, str(path), "--group", group, "--append-dim", dim)
    after = _open(group, facts.told["first"]).load()
    now = _open(group, "main").sizes[dim]
    if not after.identical(before):
        raise Failed(f"the snapshot {facts.told['first']} changed under its reader")
    facts.told["append"] = {"before": before.sizes[dim], "reader": after.sizes[dim], "now": now}
    return Step(
        "More time steps arrive",
        f"amasia repo ingest {SOURCE} {path.name} --group {group} --append-dim {dim}",
        f"{group} has {now} steps; whoever reads the first snapshot still sees {after.sizes[dim]}",
    )


def _compute(place: Place, facts: Facts, idle: str) -> Step:
    amasia(place, "repo", "create", TARGET)
    script = place.scientist / "climatology.py"
    out = run(place, place.python, script, SOURCE, TARGET, json.dumps(facts.groups), "2", idle, cwd=place.scientist)
    told = facts.told["compute"] = json.loads(out.strip().splitlines()[-1])
    return Step(
        "Normals and departures, on a cluster, from a plain script",
        "python climatology.py",
        f"first result after {told['first_result_seconds']} s, everything after {told['seconds']} s, "
        f"one commit: {told['snapshot']}",
    )


def _bill(place: Place, facts: Facts) -> Step:
    costs = facts.told["cost"] = amasia(place, "cost")
    amount, currency = costs["amount"] / 1e6, costs["currency"]
    return Step(
        "Every second is on the bill",
        "amasia cost",
        f"{costs['milliseconds'] / 1000:.1f} machine-seconds, {amount:.6f} {currency} so far, "
        f"{costs['reserved'] / 1e6:.6f} {currency} reserved for what still runs",
    )


def _provenance(place: Place, facts: Facts) -> Step:
    newest = facts.told["provenance"] = amasia(place, "repo", "log", TARGET)[0]
    origin = newest["metadata"].get("amasia", {}) if "metadata" in newest else newest
    inputs = ", ".join(f"{item['repository']}@{item['snapshot']}" for item in origin.get("inputs", []))
    return Step(
        "A commit says where it comes from", f"amasia repo log {TARGET}", f"by {origin.get('user')} from {inputs}"
    )


def _idle(place: Place, facts: Facts) -> Step:
    name = facts.told["compute"]["cluster"]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = amasia(place, "cluster", "show", name)
        if found["status"] == "stopped":
            facts.told["ended"] = found
            return Step(
                "The script has ended; nobody stopped the cluster", f"amasia cluster show {name}", found["reason"]
            )
        time.sleep(0.3)
    raise Failed(f"cluster {name} did not stop by itself: {found['status']}, {found['reason']}")


def _down_up(place: Place, facts: Facts) -> Step:
    before = _newest(), amasia(place, "cost")["amount"]
    amasia(place, "down", "--yes")
    amasia(place, "up")
    after = _newest(), amasia(place, "cost")["amount"]
    if before != after:
        raise Failed(f"something was lost between down and up: {before} became {after}")
    facts.told["kept"] = after[0]
    return Step("Down, and up again", "amasia down; amasia up", "every snapshot and every cent is still there")


def _plot(place: Place) -> Step:
    picture = place.base / "climatology.png"
    run(place, sys.executable, "-m", "demo.plot", str(picture), cwd=ROOT)
    return Step("A picture of the result", "python -m demo.plot", str(picture))


def _newest() -> str:
    return open_repo(SOURCE).snapshot()


def _open(group: str, ref: str) -> xr.Dataset:
    return xr.open_dataset(f"amasia://{SOURCE}@{ref}", engine="amasia", group=group)
