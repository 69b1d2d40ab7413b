"""Running states: what is kept of rows that were reduced, and how rows are put in and taken out.

A state is a few arrays by name. Integers are counted exactly, floats in pairs (`sums`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from amasia.stores.views import sketches, sums
from amasia.stores.views.expressions import Reduction

type Array = npt.NDArray[Any]
type State = dict[str, Array]

_DOUBT = {"high": 1e-12, "high2": 1e-20}
"""Part of a sum, and of a sum of squares, that may get lost in taking rows out before it is made anew. What is left of
squares, when the mean's is taken from them, may be many times smaller."""


def folded(reduction: Reduction, values: Array) -> State:
    """The state of some rows (the first axis)."""
    if reduction.op == "histogram":
        return {"counts": sketches.count(values, reduction.options["edges"])}
    if reduction.op == "quantile_sketch":
        return _keyed(reduction, values)
    valid = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    state: State = {"count": valid.sum(axis=0, dtype="int64"), "rows": np.full(values.shape[1:], len(values), "int64")}
    if reduction.op in {"min", "max"}:
        return state | {"extreme": _extreme(reduction.op, values, valid)}
    if reduction.op == "count":
        return state
    if values.dtype.kind in "iub" and reduction.op in {"sum", "mean"}:
        return state | {"sum": values.sum(axis=0, dtype="int64")}
    exact = np.where(valid, values, 0).astype("float64")
    with np.errstate(invalid="ignore", over="ignore"):
        high, low = sums.total((exact, np.zeros_like(exact)))
        state |= {"high": high, "low": low}
        if reduction.op in {"var", "std"}:
            state["high2"], state["low2"] = sums.total(sums.squares(exact))
    return state


def put(reduction: Reduction, state: State, rows: State) -> State:
    """A state with the rows of another one put in."""
    if reduction.op == "quantile_sketch":
        return _rekeyed(state, rows, 1)
    state, rows = alike([state, rows])
    made: State = {name: state[name] + rows[name] for name in ("counts", "count", "rows", "sum") if name in state}
    if "extreme" in state:
        choose = np.fmin if reduction.op == "min" else np.fmax
        either = choose(state["extreme"], rows["extreme"])
        only = np.where(state["count"] > 0, state["extreme"], rows["extreme"])
        made["extreme"] = np.where((state["count"] > 0) & (rows["count"] > 0), either, only)
    return made | _summed(state, rows, 1)


def take(reduction: Reduction, state: State, rows: State) -> State:
    """A state with the rows of another one taken out; an extreme stays, see `doubtful`."""
    if reduction.op == "quantile_sketch":
        return _rekeyed(state, rows, -1)
    state, rows = alike([state, rows])
    made: State = {name: state[name] - rows[name] for name in ("counts", "count", "rows", "sum") if name in state}
    if "extreme" in state:
        made["extreme"] = state["extreme"]
    return made | _summed(state, rows, -1)


def alike(states: Sequence[State]) -> list[State]:
    """The same states with the same parts: Xarray makes floats of integers where a bin is empty."""
    if not any("high" in state for state in states):
        return list(states)
    return [_in_pairs(state) if "sum" in state else state for state in states]


def doubtful(reduction: Reduction, before: State, out: State, into: State, after: State) -> bool:
    """Whether a state that rows were taken out of has to be made anew from all its rows."""
    before, out, into, after = alike([before, out, into, after])
    if "extreme" in before:
        # Where the extreme itself was taken out, and nothing as extreme came in.
        lost = (out["count"] > 0) & (out["extreme"] == before["extreme"])
        again = (into["count"] > 0) & (into["extreme"] == after["extreme"])
        return bool((lost & ~again & (after["count"] > 0)).any())
    for high, part in _DOUBT.items():
        if high not in before or not out["count"].any():
            continue
        if not (np.isfinite(before[high]).all() and np.isfinite(out[high]).all()):
            return True
        scale = np.abs(before[high]) + np.abs(out[high])
        left = np.abs(after[high])
        if (scale * sums.EPS > part * np.maximum(left, left.max() * 1e-12)).any():
            return True
    return False


def final(reduction: Reduction, state: State) -> Array:
    """The value that a state stands for: of the rest of the dimensions, before them a sketch's own."""
    options, op = reduction.options, reduction.op
    if op == "histogram":
        return state["counts"]
    if op == "quantile_sketch":
        chosen = {key: options[key] for key in ("q", "accuracy", "smallest")}
        return sketches.quantiles(state["counts"], int(state["low"]), **chosen)
    count = state["count"]
    if op == "count":
        return count
    kept = count if options.get("skipna", True) else np.where(count < state["rows"], 0, count)
    if op == "sum":
        return _sum(state, kept, options)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if op in {"min", "max"}:
            whole = state["extreme"].dtype.kind != "f"
            return state["extreme"] if whole else np.where(kept > 0, state["extreme"], np.nan)
        if op == "mean":
            total = state["sum"] if "sum" in state else state["high"] + state["low"]
            return np.where(kept > 0, total / count, np.nan)
        variance = _variance(state, count, int(options.get("ddof", 0)))
        found = np.where(kept > options.get("ddof", 0), variance, np.nan)
        return np.sqrt(found) if op == "std" else found


def _in_pairs(state: State) -> State:
    high = state["sum"].astype("float64")
    rest = {name: one for name, one in state.items() if name != "sum"}
    return rest | {"high": high, "low": (state["sum"] - high.astype("int64")).astype("float64")}


def _sum(state: State, kept: Array, options: Mapping[str, Any]) -> Array:
    if "sum" in state:
        return state["sum"]
    total: Array = state["high"] + state["low"]
    if not options.get("skipna", True):
        return np.where(state["count"] < state["rows"], np.nan, total)
    least = options.get("min_count", 0)
    return np.where(state["count"] < least, np.nan, total) if least else total


def _variance(state: State, count: Array, ddof: int) -> Array:
    """From exact sums: the squares are many digits larger than what is left of them."""
    high, low = state["high"], state["low"]
    mean = (high + low) / count
    # sum (x - m)^2 = S2 - 2 m S1 + n m^2, in pairs, for a mean that is rounded.
    product = sums.squares(mean)
    crossed = _product(mean, high)
    left = sums.add((state["high2"], state["low2"]), (-2 * crossed[0], -2 * crossed[1] - 2 * mean * low))
    left = sums.add(left, _times(product, count))
    spread = np.maximum(left[0] + left[1], 0.0)
    spread = np.where(spread < state["high2"] * 2.0**-88, 0.0, spread)
    return np.asarray(spread / np.maximum(count - ddof, 0))


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """a·b, and what the float is short of: from (a+b)² - (a-b)² it would not be exact."""
    high = a * b
    split = 2.0**27 + 1
    a1 = a * split - (a * split - a)
    b1 = b * split - (b * split - b)
    a2, b2 = a - a1, b - b1
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


def _times(pair: tuple[Array, Array], count: Array) -> tuple[Array, Array]:
    high, low = _product(pair[0], count.astype("float64"))
    return high, low + pair[1] * count


def _extreme(op: str, values: Array, valid: Array) -> Array:
    if values.dtype.kind != "f":
        return np.asarray(values.min(axis=0) if op == "min" else values.max(axis=0))
    worst = np.inf if op == "min" else -np.inf
    filled = np.where(valid, values, worst)
    return np.asarray(filled.min(axis=0) if op == "min" else filled.max(axis=0), values.dtype)


def _summed(state: State, rows: State, sign: int) -> State:
    made: State = {}
    for high, low in (("high", "low"), ("high2", "low2")):
        if high in state:
            other = (rows[high], rows[low]) if sign > 0 else sums.minus((rows[high], rows[low]))
            made[high], made[low] = sums.add((state[high], state[low]), other)
    return made


def _keyed(reduction: Reduction, values: Array) -> State:
    options = reduction.options
    counts, low = sketches.count_keys(values, options["accuracy"], options["smallest"])
    return {"counts": counts, "low": np.asarray(low, "int64")}


def _rekeyed(state: State, rows: State, sign: int) -> State:
    """Both on the bins of both."""
    if not len(rows["counts"]):
        return state
    if not len(state["counts"]):
        return {"counts": sign * rows["counts"], "low": rows["low"]}
    first = min(int(state["low"]), int(rows["low"]))
    last = max(int(one["low"]) + len(one["counts"]) for one in (state, rows))
    counts = np.zeros((last - first, *state["counts"].shape[1:]), "int64")
    for one, times in ((state, 1), (rows, sign)):
        at = int(one["low"]) - first
        counts[at : at + len(one["counts"])] += times * one["counts"]
    return {"counts": counts, "low": np.asarray(first, "int64")}
