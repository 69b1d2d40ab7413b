"""Where bins of time begin, in rows: made by Xarray's own resampling, of no more rows than are new."""

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from amasia import errors
from amasia.stores.views.expressions import Method, Node, walk
from amasia.stores.views.plans import Plan, Replay
from amasia.stores.views.snapshots import Snapshot


def edges(plan: Plan, snapshot: Snapshot, origin: Any, start: int) -> npt.NDArray[np.int64]:
    """First rows of the bins from a row on, and the end of the last. The row begins a bin."""
    node = _resampling(plan)
    before = max(start - 1, 0)
    times = snapshot.times(before, snapshot.size)
    _check_order(times[plan.along].values, plan.along, start)
    options = {key: one for key, one in node.kwargs.items() if key not in {"origin", "skipna", "restore_coord_dims"}}
    if origin is not None:
        options["origin"] = origin
    times = times[start - before :].set_xindex(plan.along)
    counts = times.resample(*node.args[1:], **options).count().fillna(0).values
    return start + np.concatenate([[0], np.cumsum(counts)]).astype("int64")


def origin(plan: Plan, snapshot: Snapshot) -> Any:
    """What bins are counted from, where that depends on the first row of all; else None."""
    if not plan.counted_from:
        return None
    first = snapshot.times(0, 1)[plan.along].values[0]
    if isinstance(first, np.datetime64):
        return first.astype("datetime64[D]" if plan.counted_from == "start_day" else "datetime64[us]").astype(datetime)
    if plan.counted_from == "start":
        return first
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _resampling(plan: Plan) -> Node:
    assert isinstance(plan.compute, Replay)
    return next(node for node in walk(plan.compute.result) if node.function == Method("resample"))


def _check_order(values: npt.NDArray[Any], along: str, start: int) -> None:
    if not (values[1:] >= values[:-1]).all():  # also of what is no time
        raise errors.ViewRefused(
            f"The source's {along!r} is not in order after row {start}, so that bins of it are not ranges of rows.",
            cure=f"Write it in order: ds.sortby({along!r}).",
        )
