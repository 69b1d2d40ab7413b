"""GRIB by cfgrib, each hypercube of a file as a group.

ecCodes and pyproj in one process abort it at exit when imported in the wrong order, and ecCodes may crash it anyway:
`stores.processes` reads GRIB in processes of its own.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr

from amasia import errors
from amasia.stores.readers.contents import Contents

FORMAT = "GRIB"
_NAMES = 3
"""Variables that a group is named after, at most, where nothing else tells it from the others."""


def read(path: Path, stack: ExitStack) -> Contents:
    """The messages of a file as one dataset, or as one group for each of the hypercubes that they make."""
    import pyproj  # noqa: F401, PLC0415  before ecCodes: see above
    from cfgrib import open_datasets  # noqa: PLC0415  loads ecCodes
    from cfgrib.dataset import DatasetBuildError  # noqa: PLC0415
    from cfgrib.xarray_plugin import CfGribBackend  # noqa: PLC0415

    _check_messages(path)
    # The index is made once for all datasets of the file and not left beside the data; no message is passed over.
    index = stack.enter_context(TemporaryDirectory(prefix="amasia-grib-"))
    options = {"indexpath": f"{index}/{{short_hash}}.idx", "errors": "raise"}
    try:
        ds = stack.enter_context(xr.open_dataset(path, engine=CfGribBackend, backend_kwargs=options))
        return Contents(FORMAT, {"/": _same_anywhere(ds)})
    except DatasetBuildError:
        pass
    except (ValueError, OSError, EOFError) as error:
        raise errors.CorruptFile(f"{path}: no GRIB dataset in it ({error}).", cure="Check it with: grib_ls.") from error
    try:
        datasets = open_datasets(str(path), backend_kwargs=options)
    except Exception as error:
        raise errors.MixedGrids(
            f"{path} holds messages that make no datasets ({type(error).__name__}: {error}).",
            cure=f"Split it, and ingest each part into a group of its own: grib_copy {path.name} '[typeOfLevel].grib'",
        ) from error
    for ds in datasets:
        stack.callback(ds.close)
    names, keys = _names(datasets)
    note = f"Its messages make {len(datasets)} datasets; each is a group, named by {', '.join(keys)}."
    groups = {f"/{name}": _same_anywhere(ds) for name, ds in zip(names, datasets, strict=True)}
    return Contents(FORMAT, groups, (note,))


def _same_anywhere(ds: xr.Dataset) -> xr.Dataset:
    """With a history that tells neither the minute of reading nor where the file lay: one file makes one commit."""
    said = ds.attrs.get("history", "")
    return ds.assign_attrs(history=said.partition(" with ")[0].partition(" ")[2]) if said else ds


def _names(datasets: Sequence[xr.Dataset]) -> tuple[list[str], list[str]]:
    """A name for each dataset from as few keys as tell them apart, and these keys."""
    facts = [_facts(ds) for ds in datasets]
    chosen: list[str] = []
    for key in facts[0]:
        before = len({_label(fact, chosen) for fact in facts})
        if before < len(facts) and len({_label(fact, [*chosen, key]) for fact in facts}) > before:
            chosen.append(key)
    labels = [_label(fact, chosen) for fact in facts]
    return [f"{label}_{n}" if labels.count(label) > 1 else label for n, label in enumerate(labels)], chosen


def _label(fact: Mapping[str, str], keys: Sequence[str]) -> str:
    return "_".join(fact[key] for key in keys if fact[key])


def _facts(ds: xr.Dataset) -> dict[str, str]:
    first = next(iter(ds.data_vars.values()))
    kind = str(first.attrs.get("GRIB_typeOfLevel", "level"))
    return {
        "typeOfLevel": kind,
        "stepType": str(first.attrs.get("GRIB_stepType", "")),
        "level": _extent(ds, kind),
        "step": _extent(ds, "step"),
        "time": _extent(ds, "time"),
        "grid": str(first.attrs.get("GRIB_gridType", "")),
        "variables": "_".join(list(map(str, ds.data_vars))[:_NAMES]),
    }


def _extent(ds: xr.Dataset, name: str) -> str:
    """One value as it is, several as how many they are."""
    if name not in ds.coords:
        return ""
    values = ds[name].values
    if values.ndim:
        return f"{values.size}{name}s"
    if values.dtype.kind == "m":
        return f"{values.astype('timedelta64[m]').astype(int)}min"
    if values.dtype.kind == "M":
        return str(values.astype("datetime64[m]")).replace(":", "").replace("-", "")
    return f"{values.item():g}".replace(".", "p")


def _check_messages(path: Path) -> None:
    """Each message says its length and ends in 7777; ecCodes skips a last one that is cut short."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            head = file.read(16)
            if head[:4] != b"GRIB":
                found = head.find(b"GRIB")
                if not head.strip(b"\0\n\r ") or found > 0:
                    place += found if found > 0 else len(head)
                    continue
                raise _corrupt(path, place, "there is no message")
            length = int.from_bytes(head[8:16]) if head[7] == 2 else int.from_bytes(head[4:7])
            if head[7] == 1 and length & 0x800000:
                return  # GRIB 1 above 8 MiB hides its length; ecCodes knows how.
            if length < 16 or place + length > size:
                raise _corrupt(path, place, f"a message of {length} bytes begins where {size - place} are left")
            file.seek(place + length - 4)
            if file.read(4) != b"7777":
                raise _corrupt(path, place, "a message does not end as it should")
            place += length


def _corrupt(path: Path, place: int, what: str) -> errors.CorruptFile:
    return errors.CorruptFile(
        f"{path} is damaged or was cut short: at byte {place} {what}.", cure="Fetch the file again."
    )
