"""Whether a declared function depends on more rows than its author said: tried on a few, since it cannot be proven."""

import numpy as np
import xarray as xr

from amasia import errors
from amasia.stores.views import pieces
from amasia.stores.views.axes import Declared
from amasia.stores.views.plans import Plan
from amasia.stores.views.running import Side

_ROWS = 4
"""Output rows of one sample."""
_WIDER = (8, 1000)
"""Rows more on each side that must make no difference: at least and at most, else as many as a piece holds."""


def check(plan: Plan, side: Side) -> None:
    """Compute some rows from what they are said to depend on, and from more.

    Raises
    ------
    ViewRefused
        They differ: changes would go on unseen, and the parts of a long computation would not fit together.
    """
    assert isinstance(plan.axis, Declared)
    rows = side.grid.rows
    least, most = _WIDER
    wider = min(max(pieces.TARGET // side.snapshot.row_nbytes(plan.wanted) // 2, least), most)
    for start in sorted({0, max((rows - _ROWS) // 2, 0), max(rows - _ROWS, 0)}):
        stop = min(start + _ROWS, rows)
        first, last, _ = plan.axis.needed(side.grid, start, stop)
        narrow = _rows(plan, side, (first, last), start, stop)
        wide = _rows(plan, side, (max(first - wider, 0), min(last + wider, rows)), start, stop)
        _compare(plan.along, start, (first, last), narrow, wide)


def check_length(made: xr.Dataset, along: str, rows: int) -> None:
    if made.sizes.get(along) != rows:
        raise errors.ViewRefused(
            f"The function gave {made.sizes.get(along, 'no')} rows of {along!r} for {rows}.",
            cure="A function of declared dependence must give one row for each.",
        )


def _rows(plan: Plan, side: Side, given: tuple[int, int], start: int, stop: int) -> xr.Dataset:
    """Some output rows, computed from given input rows."""
    made = plan.compute(side.snapshot.rows(*given, plan.wanted), side.origin)
    check_length(made, plan.along, given[1] - given[0])
    return made.isel({plan.along: slice(start - given[0], stop - given[0])}).load()


def _compare(along: str, start: int, given: tuple[int, int], narrow: xr.Dataset, wide: xr.Dataset) -> None:
    for name, one in wide.data_vars.items():
        if along not in one.dims:
            continue
        for row in range(one.sizes[along]):
            few, many = (ds[name].variable.isel({along: row}) for ds in (narrow, wide))
            if not _alike(few, many):
                raise errors.ViewRefused(
                    f"What is declared is too narrow: row {start + row} of {str(name)!r}, computed from the rows "
                    f"[{given[0]}, {given[1]}) that it is said to depend on, is another when more rows are given.",
                    cure="Declare a wider halo=(before, after), or depends=… with all the rows that are used.",
                )


def _alike(one: xr.Variable, other: xr.Variable) -> bool:
    """Floats that were added in another order are alike."""
    if one.dtype.kind != "f" or one.dtype != other.dtype or one.sizes != other.sizes:
        return bool(one.equals(other))  # type: ignore[no-untyped-call]
    part = float(np.sqrt(np.finfo(one.dtype).eps))
    scale = float(np.max(np.abs(other.values), initial=0, where=np.isfinite(other.values)))
    return np.allclose(one.values, other.values, rtol=part, atol=part * scale, equal_nan=True)
