"""What differs between two snapshots of a repository, in numbers and in words."""

from enum import StrEnum
from typing import Any

from amasia.models.base import Model

WORDY = 4
"""Stretches of one dimension that are named one by one; a picture shows the rest."""


class ChangeKind(StrEnum):
    added = "added"
    removed = "removed"
    replaced = "replaced"
    """Another array under the same path: nothing of the old one is in it."""
    changed = "changed"


class Span(Model):
    """Where along one dimension something changed, in stretches of indices; ends are exclusive."""

    dim: str
    size: int
    """The longer one, before or after."""
    stretches: tuple[tuple[int, int], ...]
    more: int = 0
    """Further stretches that are not listed."""

    @property
    def words(self) -> str:
        named = ", ".join(f"{start}…{stop}" for start, stop in self.stretches[:WORDY])
        rest = self.more + max(0, len(self.stretches) - WORDY)
        return f"{self.dim} {named}{f' and {rest} more stretches' if rest else ''} of {self.size}"


class Grid(Model):
    """Changed chunks on a grid of at most 96 by 16 cells: a cell stands for one chunk or for many."""

    across: str
    """The dimension from left to right; the others, but for ``down``, are looked through."""
    down: str = ""
    rows: tuple[str, ...]
    """One digit a cell: the share of its chunks that changed, in tenths rounded up, ``9`` for all; ``0`` for none."""


class ArrayChange(Model):
    path: str
    kind: ChangeKind
    dims: tuple[str, ...] = ()
    shape_before: tuple[int, ...] | None = None
    """None where there was no such array."""
    shape: tuple[int, ...] | None = None
    chunks: tuple[int, ...] = ()
    """Lengths of the stored chunks, after; before, where it was removed."""
    dtype_before: str = ""
    dtype: str = ""
    attributes: dict[str, tuple[Any, Any]] = {}
    """Before and after of each that differs; None where there was none."""
    chunks_changed: int = 0
    chunks_total: int = 0
    spans: tuple[Span, ...] = ()
    """Only of dimensions along which a part changed, and not all."""
    grid: Grid | None = None

    @property
    def words(self) -> str:
        """``t2m: time 120…132 of 132 changed, 12 of 400 chunks``."""
        return f"{self.path.strip('/')}: {'; '.join(self._parts())}"

    def _parts(self) -> list[str]:
        if self.kind in (ChangeKind.added, ChangeKind.removed):
            shape = self.shape if self.kind is ChangeKind.added else self.shape_before
            return [f"{self.kind.value}, {self.dtype or self.dtype_before} {_sized(self.dims, shape or ())}"]
        parts = ["replaced by another array"] if self.kind is ChangeKind.replaced else []
        if self.shape_before != self.shape:
            parts.append(f"was {_sized(self.dims, self.shape_before or ())}, is {_sized(self.dims, self.shape or ())}")
        if self.dtype_before != self.dtype:
            parts.append(f"dtype was {self.dtype_before}, is {self.dtype}")
        if self.attributes:
            parts.append(f"attributes changed: {', '.join(self.attributes)}")
        if self.chunks_changed:
            where = ", ".join(span.words for span in self.spans) or "everything"
            parts.append(f"{where} changed, {self.chunks_changed} of {self.chunks_total} chunks")
        return parts or ["metadata changed"]


class Diff(Model):
    repository: str = ""
    before: str
    """Id of a snapshot."""
    after: str
    base: str = ""
    """The last snapshot that both have in their history, where neither is in the other's: then what is told changed on
    either way from there, and may be equal in both by chance."""
    known: bool = True
    """False where the store no longer tells."""
    groups_added: tuple[str, ...] = ()
    groups_removed: tuple[str, ...] = ()
    groups_changed: tuple[str, ...] = ()
    """Their attributes."""
    arrays: tuple[ArrayChange, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """A line for each thing that differs."""
        groups = [
            f"{path}: group {what}"
            for what, paths in (
                ("added", self.groups_added),
                ("removed", self.groups_removed),
                ("attributes changed", self.groups_changed),
            )
            for path in paths
        ]
        return (*groups, *(array.words for array in self.arrays))


def _sized(dims: tuple[str, ...], shape: tuple[int, ...]) -> str:
    """``(time: 12, x: 4)``."""
    return f"({', '.join(f'{dim}: {size}' for dim, size in zip(dims, shape, strict=False))})"
