"""What differs between two snapshots: arrays, their shapes, dtypes and attributes, and which chunks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import icechunk
import numpy as np
import zarr
from numpy.typing import NDArray

from amasia.models.diffs import ArrayChange, ChangeKind, Diff, Grid, Span
from amasia.stores.failures import translated
from amasia.stores.leases import Source

COLUMNS, ROWS = 96, 16
"""Most cells of a picture, across and down."""
STRETCHES = 64
"""Most stretches of one dimension that are listed."""

type Array = zarr.Array[Any]
type Touched = dict[str, NDArray[np.int64]]
"""Indices of the changed chunks by the path of the array."""


@dataclass
class _Touches:
    """What the transactions between two snapshots touched, whatever came of it in the end."""

    groups: set[str] = field(default_factory=set)
    arrays: set[str] = field(default_factory=set)
    renewed: set[str] = field(default_factory=set)
    chunks: Touched = field(default_factory=dict)

    def take(self, diff: icechunk.Diff) -> None:
        self.groups |= diff.new_groups | diff.deleted_groups | diff.updated_groups
        self.renewed |= diff.new_arrays | diff.deleted_arrays
        self.arrays |= self.renewed | diff.updated_arrays
        for old, new in diff.moved_nodes:
            self.arrays |= {old, new}
        for path, indices in diff.updated_chunks.items():
            found = np.asarray(indices, dtype=np.int64).reshape(len(indices), -1)
            before = self.chunks.get(path)
            joined = found if before is None else np.unique(np.concatenate([before, found]), axis=0)
            self.chunks[path] = joined


def compare(repository: icechunk.Repository, before: str, after: str, source: Source | None = None) -> Diff:
    """What differs between two snapshots, in either order and on whatever branches.

    Parameters
    ----------
    repository
        Open for reading.
    before, after
        Ids of snapshots.
    source
        Of the repository, for the name in errors.

    Returns
    -------
    Diff
        A chunk that was written again counts as changed, also where its values are what they were.

    Raises
    ------
    NotFound
        No such snapshot, or it has expired.
    """
    with translated(source):
        touches, base = _touches(repository, before, after)
        old = repository.readonly_session(snapshot_id=before).store
        new = repository.readonly_session(snapshot_id=after).store
        arrays = [
            change(path, _array(old, path), _array(new, path), touches.chunks.get(path), path in touches.renewed)
            for path in sorted(touches.arrays | set(touches.chunks))
        ]
        groups = {path: (_attributes(old, path), _attributes(new, path)) for path in sorted(touches.groups)}
    return Diff(
        before=before,
        after=after,
        base=base,
        groups_added=tuple(path for path, (was, now) in groups.items() if was is None and now is not None),
        groups_removed=tuple(path for path, (was, now) in groups.items() if was is not None and now is None),
        groups_changed=tuple(path for path, (was, now) in groups.items() if None not in (was, now) and was != now),
        arrays=tuple(found for found in arrays if found is not None),
    )


def change(
    path: str, before: Array | None, after: Array | None, chunks: NDArray[np.int64] | None, renewed: bool = False
) -> ArrayChange | None:
    """How one array differs; None where it does not, or was only there in between."""
    array = after if after is not None else before
    if array is None:
        return None
    kind = _kind(before, after, renewed)
    lengths = _chunks(array)
    longest = _longest(before, after)
    extents = tuple(-(-size // length) for size, length in zip(longest, lengths, strict=True))
    dims = _dims(array)
    touched = chunks if chunks is not None and after is not None else np.empty((0, len(extents)), dtype=np.int64)
    # A chunk of another grid than today's, from before a replacement, has no place on this one.
    touched = touched[(touched < np.asarray(extents)).all(axis=1)] if touched.shape[1] == len(extents) else touched[:0]
    attributes = _changed_attributes(before, after) if kind is ChangeKind.changed else {}
    same = before is not None and after is not None and _form(before) == _form(after)
    if kind is ChangeKind.changed and same and not len(touched) and not attributes:
        return None
    return ArrayChange(
        path=path,
        kind=kind,
        dims=dims,
        shape_before=None if before is None else before.shape,
        shape=None if after is None else after.shape,
        chunks=lengths,
        dtype_before="" if before is None else str(before.dtype),
        dtype="" if after is None else str(after.dtype),
        attributes=attributes,
        chunks_changed=len(touched),
        chunks_total=math.prod(extents),
        spans=spans(touched, dims, longest, lengths),
        grid=grid(touched, dims, extents),
    )


def spans(
    touched: NDArray[np.int64], dims: Sequence[str], shape: Sequence[int], lengths: Sequence[int]
) -> tuple[Span, ...]:
    """Changed chunks as stretches of indices along each dimension of which not all changed."""
    if not len(touched):
        return ()
    found = []
    for axis, (dim, size, length) in enumerate(zip(dims, shape, lengths, strict=True)):
        indices = np.unique(touched[:, axis])
        if len(indices) == -(-size // length):
            continue
        breaks = np.flatnonzero(np.diff(indices) > 1)
        starts = indices[np.r_[0, breaks + 1]] * length
        stops = np.minimum((indices[np.r_[breaks, len(indices) - 1]] + 1) * length, size)
        stretches = tuple(zip(starts[:STRETCHES].tolist(), stops[:STRETCHES].tolist(), strict=True))
        found.append(Span(dim=dim, size=size, stretches=stretches, more=max(0, len(starts) - STRETCHES)))
    return tuple(found)


def grid(touched: NDArray[np.int64], dims: Sequence[str], extents: Sequence[int]) -> Grid | None:
    """Changed chunks on the two dimensions that have most chunks; None where there is nothing to draw."""
    if not len(touched) or not dims:
        return None
    widest = sorted(range(len(dims)), key=lambda axis: (-extents[axis], axis))[:2]
    across = widest[0]
    down = widest[1] if len(widest) > 1 and extents[widest[1]] > 1 else None
    columns = min(COLUMNS, extents[across])
    rows = 1 if down is None else min(ROWS, extents[down])
    x = touched[:, across] * columns // extents[across]
    y = np.zeros_like(x) if down is None else touched[:, down] * rows // extents[down]
    counts = np.bincount(y * columns + x, minlength=rows * columns).reshape(rows, columns)
    wide = np.bincount(np.arange(extents[across]) * columns // extents[across], minlength=columns)
    high = np.ones(1) if down is None else np.bincount(np.arange(extents[down]) * rows // extents[down], minlength=rows)
    through = math.prod(extents) // (extents[across] * (1 if down is None else extents[down]))
    tenths = np.ceil(9 * counts / (high[:, None] * wide[None, :] * through)).astype(int)
    return Grid(
        across=dims[across],
        down="" if down is None else dims[down],
        rows=tuple("".join(map(str, row)) for row in tenths.tolist()),
    )


def _touches(repository: icechunk.Repository, before: str, after: str) -> tuple[_Touches, str]:
    """What was touched on the way from one to the other; by their last common snapshot, where that is neither."""
    touches = _Touches()
    if before == after:
        return touches, ""
    ways = [(before, after)]
    mine = [info.id for info in repository.ancestry(snapshot_id=before)]
    base = next(info.id for info in repository.ancestry(snapshot_id=after) if info.id in set(mine) | {before})
    if base == after:
        ways = [(after, before)]
    elif base != before:
        ways = [(base, before), (base, after)]
    for start, end in ways:
        touches.take(repository.diff(from_snapshot_id=start, to_snapshot_id=end))
    return touches, base if len(ways) > 1 else ""


def _kind(before: Array | None, after: Array | None, renewed: bool) -> ChangeKind:
    if before is None:
        return ChangeKind.added
    if after is None:
        return ChangeKind.removed
    return ChangeKind.replaced if renewed else ChangeKind.changed


def _array(store: Any, path: str) -> Array | None:
    try:
        return zarr.open_array(store, path=path.strip("/"), mode="r")
    except (zarr.errors.NodeNotFoundError, zarr.errors.NodeTypeValidationError, FileNotFoundError):
        return None


def _attributes(store: Any, path: str) -> Mapping[str, Any] | None:
    try:
        return dict(zarr.open_group(store, path=path.strip("/"), mode="r").attrs)
    except (zarr.errors.GroupNotFoundError, zarr.errors.NodeTypeValidationError, FileNotFoundError):
        return None


def _changed_attributes(before: Array | None, after: Array | None) -> dict[str, tuple[Any, Any]]:
    assert before is not None
    assert after is not None
    old, new = dict(before.attrs), dict(after.attrs)
    return {
        key: (old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }


def _form(array: Array) -> tuple[Any, ...]:
    return array.shape, str(array.dtype), _chunks(array), _dims(array)


def _chunks(array: Array) -> tuple[int, ...]:
    """Of what is stored as one object; at least 1, also along a dimension of length 0."""
    return tuple(max(1, length) for length in (array.shards or array.chunks))


def _longest(before: Array | None, after: Array | None) -> tuple[int, ...]:
    shapes = [array.shape for array in (before, after) if array is not None]
    if len({len(shape) for shape in shapes}) > 1:
        return shapes[-1]
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def _dims(array: Array) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None) or (None,) * array.ndim
    return tuple(name or f"dim_{axis}" for axis, name in enumerate(names))
