"""What is different between two snapshots of a source, in rows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import zarr

from amasia.stores.views.axes import Range, merged
from amasia.stores.views.snapshots import Snapshot, dimensions

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
    before, after = old.arrays, new.arrays
    names = [name for name in after if wanted is None or name in wanted]
    attributes = bool({prefix, here or "/"} & set(diff.updated_groups))
    for name in names:
        reason, differs = _metadata(name, before[name], after[name], new.along)
        if reason:
            return Change(whole=reason)
        attributes |= differs
    return _rows(diff.updated_chunks, before, after, names, here, new.along, attributes)


def _rows(
    updated: dict[str, Any],
    before: dict[str, zarr.Array[Any]],
    after: dict[str, zarr.Array[Any]],
    names: list[str],
    here: str,
    along: str,
    attributes: bool,
) -> Change:
    found: list[Range] = []
    moved: list[int] = []
    nbytes = 0
    for name in names:
        one, other = before[name], after[name]
        axis = _axis(other, along)
        for place in sorted(map(tuple, updated.get(f"{here}/{name}", []))):
            read, rows = _compare(one, other, place, axis)
            nbytes += read
            if axis is None and rows:
                return Change(whole=f"{name!r}, which every row depends on, changed", nbytes=nbytes)
            found += rows
            moved += [start for start, _ in rows] if name == along else []
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
    axis = _axis(other, along)
    if axis is not None and len(old_shape) == len(new_shape):
        old_shape[axis] = new_shape[axis] = 0
    if old_shape != new_shape or repr(old) != repr(new):
        return f"{name!r} is stored otherwise", False
    differing = {key for key in {*old_attrs, *new_attrs} if repr(old_attrs.get(key)) != repr(new_attrs.get(key))}
    if differing & _MEANING:
        return f"{name!r} is read otherwise ({', '.join(sorted(differing & _MEANING))} changed)", True
    return "", bool(differing)


def _compare(
    one: zarr.Array[Any], other: zarr.Array[Any], place: tuple[int, ...], axis: int | None
) -> tuple[int, list[Range]]:
    """Bytes read, and the rows that differ in one chunk; rows that only one of both has are not looked at."""
    lengths = other.shards or other.chunks
    shape = list(other.shape)
    if axis is not None:
        shape[axis] = min(one.shape[axis], other.shape[axis])
    block = tuple(
        slice(at * length, min((at + 1) * length, size)) for at, length, size in zip(place, lengths, shape, strict=True)
    )
    if any(part.stop <= part.start for part in block):
        return 0, []
    old, new = np.asarray(one[block]), np.asarray(other[block])
    differs = _differs(old, new)
    if axis is None:
        return old.nbytes + new.nbytes, [(0, 1)] if differs.any() else []
    rows = differs.any(axis=tuple(dim for dim in range(differs.ndim) if dim != axis))
    start = block[axis].start
    return old.nbytes + new.nbytes, [(start + first, start + last) for first, last in _runs(rows)]


def _differs(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    differs = np.asarray(old != new)
    if old.dtype.kind in "fc":
        differs &= ~(np.isnan(old) & np.isnan(new))
    return differs


def _runs(rows: npt.NDArray[np.bool_]) -> Iterator[Range]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype("int8")))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _axis(array: zarr.Array[Any], along: str) -> int | None:
    names = dimensions(array)
    return names.index(along) if along in names else None


def _inside(path: str, here: str) -> str | None:
    """The name of an array in a group, not in one below it."""
    if not path.startswith(f"{here}/"):
        return None
    name = path.removeprefix(f"{here}/")
    return None if "/" in name else name
