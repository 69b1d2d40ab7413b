"""Along one dimension: which output rows depend on which input rows, there and back.

Ranges are half-open. An empty range is a place where rows were cut off: what lies around it may have changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from amasia import errors

type Range = tuple[int, int]


@dataclass(frozen=True)
class Coarsen:
    """Blocks of so many rows, counted from the first."""

    length: int
    boundary: str

    def size(self, rows: int) -> int:
        if self.boundary == "exact" and rows % self.length:
            raise errors.ViewRefused(
                f"{rows} rows are not whole blocks of {self.length}.", cure="Use coarsen(…, boundary='trim') or 'pad'."
            )
        return -(-rows // self.length) if self.boundary == "pad" else rows // self.length


@dataclass(frozen=True)
class Resample:
    """Bins of time. They differ in length, so their edges are kept."""

    freq: str


@dataclass(frozen=True)
class Grid:
    """How many rows there are, and where the bins of a resampling begin."""

    rows: int
    edges: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, "int64"))
    """First row of each bin, and the end of the last."""

    @property
    def bins(self) -> int:
        return len(self.edges) - 1

    def bin(self, row: int) -> int:
        """The bin that holds a row. An empty bin begins where the next one does, and holds nothing."""
        return max(int(np.searchsorted(self.edges[:-1], row, side="right")) - 1, 0)

    def within(self, start: int, stop: int) -> Range:
        """Rows of some bins, and of as many more that the first and the last of them hold any."""
        while start > 0 and self.edges[start] == self.edges[start + 1]:
            start -= 1
        while stop < self.bins and self.edges[stop - 1] == self.edges[stop]:
            stop += 1
        return int(self.edges[start]), int(self.edges[stop])


@dataclass(frozen=True)
class Axis:
    """The way from the source's rows to those of the result: windows, and steps that change their number."""

    dim: str
    steps: tuple[Coarsen | Resample, ...] = ()
    halos: tuple[Range, ...] = ((0, 0),)
    """Rows before and after that a row depends on: of the source, and after each step."""

    def widened(self, before: int, after: int) -> "Axis":
        *others, (a, b) = self.halos
        return replace(self, halos=(*others, (a + before, b + after)))

    def stepped(self, step: Coarsen | Resample) -> "Axis":
        return replace(self, steps=(*self.steps, step), halos=(*self.halos, (0, 0)))

    def joined(self, other: "Axis") -> "Axis | None":
        """What depends on both; None where their rows are not the same rows."""
        if self.dim != other.dim or self.steps != other.steps:
            return None
        halos = tuple((max(a, c), max(b, d)) for (a, b), (c, d) in zip(self.halos, other.halos, strict=True))
        return replace(self, halos=halos)

    @property
    def resamples(self) -> bool:
        return any(isinstance(step, Resample) for step in self.steps)

    def sizes(self, grid: Grid) -> list[int]:
        """Rows of the source, and after each step."""
        found = [grid.rows]
        for step in self.steps:
            found.append(step.size(found[-1]) if isinstance(step, Coarsen) else grid.bins)
        return found

    def size(self, grid: Grid) -> int:
        return self.sizes(grid)[-1]

    def touched(self, grid: Grid, changed: Iterable[Range]) -> list[Range]:
        """Output rows that depend on changed input rows."""
        sizes, found = self.sizes(grid), list(changed)
        for level, (before, after) in enumerate(self.halos):
            if level:
                found = [_forward(self.steps[level - 1], grid, one, sizes[level - 1]) for one in found]
            size = sizes[level]
            found = [(min(max(start - after, 0), size), min(stop + before, size)) for start, stop in found]
        return merged(found)

    def needed(self, grid: Grid, start: int, stop: int) -> tuple[int, int, int]:
        """Input rows that output rows depend on, and the output row that the first of them goes into."""
        sizes = self.sizes(grid)
        for level in reversed(range(len(self.halos))):
            before, after = self.halos[level]
            start, stop = max(start - before, 0), min(stop + after, sizes[level])
            if level < len(self.steps) and isinstance(step := self.steps[level], Coarsen):
                start -= start % step.length
                stop = min(-(-stop // step.length) * step.length, sizes[level])
            if level:
                start, stop = _back(self.steps[level - 1], grid, start, stop, sizes[level - 1])
        offset = start
        for step in self.steps:
            offset = offset // step.length if isinstance(step, Coarsen) else grid.bin(offset)
        return start, stop, offset


@dataclass(frozen=True)
class Declared:
    """As many rows as the source has, and dependences as their author says. They never run backwards."""

    dim: str
    depends: Callable[[int, int], Range]
    resamples: bool = False

    def size(self, grid: Grid) -> int:
        return grid.rows

    def touched(self, grid: Grid, changed: Iterable[Range]) -> list[Range]:
        found = []
        for start, stop in changed:
            first = _first(grid.rows, lambda row, at=start: self.depends(row, row + 1)[1] > at)  # type: ignore[misc]
            last = _first(grid.rows, lambda row, at=stop: self.depends(row, row + 1)[0] >= at)  # type: ignore[misc]
            found.append((min(first, start), min(max(last, stop), grid.rows)))
        return merged(found)

    def needed(self, grid: Grid, start: int, stop: int) -> tuple[int, int, int]:
        first, last = self.depends(start, stop)
        first, last = max(min(first, start), 0), min(max(last, stop), grid.rows)
        return first, last, first


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same rows in order, each once."""
    found: list[Range] = []
    for start, stop in sorted(ranges):
        if stop <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def _forward(step: Coarsen | Resample, grid: Grid, changed: Range, size: int) -> Range:
    start, stop = changed
    if isinstance(step, Coarsen):
        return start // step.length, -(-stop // step.length)
    return grid.bin(start), grid.bins if stop >= size else grid.bin(stop - 1) + 1


def _back(step: Coarsen | Resample, grid: Grid, start: int, stop: int, size: int) -> Range:
    if isinstance(step, Coarsen):
        return start * step.length, min(stop * step.length, size)
    return grid.within(start, stop)


def _first(rows: int, holds: Callable[[int], bool]) -> int:
    """The first row for which it holds, when it holds for all after it."""
    low, high = 0, rows
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
