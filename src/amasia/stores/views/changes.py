"""What is different between two snapshots of a source, in rows."""

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import zarr

from amasia.stores.views.axes import Range, merged
from amasia.stores.views.snapshots import Region, Snapshot, axis_of

_MEANING = frozenset({
    "units", "calendar", "scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "dtype",
    "coordinates", "bounds", "grid_mapping", "valid_range",
})  # fmt: skip
"""Attributes that say how values are read. Others are only passed on."""


@dataclass(frozen=True)
class Change:
    """Rows of the source that are not what they were."""

    rows: tuple[Range, ...] = ()
    """Also those that are new, and those that are no more."""
    moved_from: int | None = None
    """The first row whose place on the coordinate is another, or that is new or gone."""
    attributes: bool = False
    whole: str = ""
    """Why no rows can be told."""
    nbytes: int = 0
    """Read to find out."""


def between(repository: icechunk.Repository, old: Snapshot, new: Snapshot, wanted: Collection[str] | None) -> Change:
    """Compare two snapshots, of which one is the other's ancestor.

    Icechunk tells the chunks that were written. What is in them is compared by value: a step that is appended is
    written into the chunk of the steps before it.
    """
    diff = repository.diff(from_snapshot_id=old.session.snapshot_id, to_snapshot_id=new.session.snapshot_id)
    prefix = "/" + new.group.strip("/")
    here = prefix.rstrip("/")
    if diff.moved_nodes:
        return Change(whole="arrays or groups were moved")
    for paths, what in ((diff.new_arrays, "new"), (diff.deleted_arrays, "gone")):
        for path in sorted(paths):
            name = _inside(path, here)
            if name is not None and (wanted is None or name in wanted or what == "new"):
                return Change(whole=f"array {name!r} is {what}")
    # Chunks that were moved inside an array are not told as updated.
    names = [name for name in new.arrays if wanted is None or name in wanted]
    attributes = bool({prefix, here or "/"} & set(diff.updated_groups))
    for name in names:
        reason, differs = _metadata(name, old.arrays[name], new.arrays[name], new.along)
        if reason:
            return Change(whole=reason)
        attributes |= differs
    return _rows({name: diff.updated_chunks.get(f"{here}/{name}", []) for name in names}, old, new, attributes)


def _rows(updated: dict[str, list[Any]], old: Snapshot, new: Snapshot, attributes: bool) -> Change:
    found: list[Range] = []
    moved: list[int] = []
    nbytes = 0
    for name, places in updated.items():
        one, other = old.arrays[name], new.arrays[name]
        axis = axis_of(other, new.along)
        for region in _regions(other, axis, places):
            read, rows = _compare(name, old, new, region, axis)
            nbytes += read
            if axis is None and rows:
                return Change(whole=f"{name!r}, which every row depends on, changed", nbytes=nbytes)
            found += rows
            moved += [first for first, _ in rows] if name == new.along else []
        if axis is not None and one.shape[axis] != other.shape[axis]:
            low, high = sorted((one.shape[axis], other.shape[axis]))
            found.append((low, high))
            moved.append(low)
    return Change(tuple(merged(found)), min(moved, default=None), attributes, "", nbytes)


def _metadata(name: str, one: zarr.Array[Any], other: zarr.Array[Any], along: str) -> tuple[str, bool]:
    """Why an array cannot be compared by rows, and whether its attributes differ."""
    old: dict[str, Any] = dict(one.metadata.to_dict())
    new: dict[str, Any] = dict(other.metadata.to_dict())
    old_attrs, new_attrs = old.pop("attributes", {}), new.pop("attributes", {})
    old_shape, new_shape = list(one.shape), list(other.shape)
    old.pop("shape"), new.pop("shape")
    axis = axis_of(other, along)
    if axis is not None and len(old_shape) == len(new_shape):
        old_shape[axis] = new_shape[axis] = 0
    if old_shape != new_shape or repr(old) != repr(new):
        return f"{name!r} is stored otherwise", False
    differing = {key for key in {*old_attrs, *new_attrs} if repr(old_attrs.get(key)) != repr(new_attrs.get(key))}
    if differing & _MEANING:
        return f"{name!r} is read otherwise ({', '.join(sorted(differing & _MEANING))} changed)", True
    return "", bool(differing)


def _regions(array: zarr.Array[Any], axis: int | None, places: Iterable[Any]) -> Iterator[Region]:
    """Where chunks are; those that make up whole rows are one."""
    grid = list(zip(array.shape, array.shards or array.chunks, strict=True))
    tiles = math.prod(-(-size // length) for at, (size, length) in enumerate(grid) if at != axis)
    by_rows: dict[Any, list[Region]] = {}
    for place in sorted(map(tuple, places)):
        region = tuple(
            slice(at * length, min((at + 1) * length, size)) for at, (size, length) in zip(place, grid, strict=True)
        )
        by_rows.setdefault(place[axis] if axis is not None else None, []).append(region)
    for regions in by_rows.values():
        if axis is None or len(regions) < tiles:
            yield from regions
        else:
            yield tuple(regions[0][at] if at == axis else slice(0, size) for at, (size, _) in enumerate(grid))


def _compare(name: str, old: Snapshot, new: Snapshot, region: Region, axis: int | None) -> tuple[int, list[Range]]:
    """Bytes read, and the rows that differ in a region; rows that only one of both has are not looked at."""
    before, after = old.region(name, region), new.region(name, region)
    nbytes = before.nbytes + after.nbytes
    if axis is None:
        return nbytes, [(0, 1)] if _differs(before, after).any() else []
    common = (*[slice(None)] * axis, slice(0, min(before.shape[axis], after.shape[axis])))
    differs = _differs(before[common], after[common])
    rows = differs.any(axis=tuple(dim for dim in range(differs.ndim) if dim != axis))
    start = region[axis].start
    return nbytes, [(start + first, start + last) for first, last in _runs(rows)]


def _differs(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    differs = np.asarray(old != new)
    if old.dtype.kind in "fc":
        differs &= ~(np.isnan(old) & np.isnan(new))
    return differs


def _runs(rows: npt.NDArray[np.bool_]) -> Iterator[Range]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype("int8")))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _inside(path: str, here: str) -> str | None:
    """The name of an array in a group, not in one below it."""
    if not path.startswith(f"{here}/"):
        return None
    name = path.removeprefix(f"{here}/")
    return None if "/" in name else name
