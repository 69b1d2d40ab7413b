"""The table of operations: which of Xarray's are known to keep to their rows, and what each depends on.

A method that is not in it is refused by name. Nothing is guessed from shapes.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from amasia import errors
from amasia.stores.views.axes import Axis, Coarsen, Resample
from amasia.stores.views.expressions import Form, Group, Method, Node, Reduction, nodes, walk

REDUCTIONS = frozenset({"sum", "count", "mean", "var", "std", "min", "max"})
"""Kept as running states."""
ROW_BY_ROW = frozenset({
    "fillna", "clip", "round", "astype", "isnull", "notnull", "isin", "where", "assign", "assign_attrs",
    "assign_coords",
    "copy", "compute", "load", "persist", "chunk", "conj", "drop_attrs", "drop_encoding", "drop_vars", "rename",
    "rename_vars", "reset_coords", "set_coords", "to_dataset", "to_dataarray", "transpose", "expand_dims",
})  # fmt: skip
BY_DIMENSION = frozenset({
    "median", "prod", "any", "all", "argmin", "argmax", "idxmin", "idxmax", "cumsum", "cumprod", "diff", "shift",
    "roll", "isel", "sel", "interp", "sortby", "squeeze", "pad", "differentiate", "integrate", "quantile", "rank",
    "dropna", "ffill", "bfill", "interpolate_na", "head", "tail", "thin", "swap_dims", "stack", "dot", "reindex",
    "drop_sel", "drop_isel", "drop_duplicates", "cumulative_integrate", "polyfit", "reduce", "ptp",
})  # fmt: skip
"""Row by row, as long as the dimensions that they name are others."""
_BINS = frozenset({
    "mean", "sum", "min", "max", "std", "var", "count", "median", "first", "last", "prod", "any", "all", "quantile",
    "reduce", "map",
})  # fmt: skip
_WINDOWS = frozenset({"mean", "sum", "min", "max", "std", "var", "count", "median", "prod", "reduce", "construct"})
_BLOCKS = _WINDOWS - {"construct"}
_DATE_PARTS = frozenset({
    "year", "month", "day", "dayofyear", "dayofweek", "weekday", "hour", "minute", "quarter", "season",
    "days_in_month", "is_leap_year",
})  # fmt: skip
_PASSING = frozenset({"dim", "skipna", "ddof", "keep_attrs", "min_count"})
_DECLARE = (
    "Declare what it depends on with halo=(before, after) or depends=…, or compute it from the view when you read."
)
_CURES = {
    "median": "Use amasia.stores.views.quantile_sketch, which can be kept current.",
    "quantile": "Use amasia.stores.views.quantile_sketch, which can be kept current.",
    "diff": "Write x - x.shift({along}=1): it has one row for each row.",
    "cumsum": "Keep the sums by month or year (resample), and accumulate when you read.",
    "first": "It would change with nothing but the first row: read it from the source.",
    "prod": "Sum the logarithms: np.log(x).sum({along!r}).",
    "weighted": "Write it as two sums: (x * w).sum({along!r}) / w.sum({along!r}).",
    "groupby_bins": "Group by a computed array of labels: x.groupby(label).",
}
_ANCHORED = ("MS", "ME", "QS", "QE", "YS", "YE", "W")
COUNTED = ("D", "h", "min", "s")


def method(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    """The node of a method's call.

    Raises
    ------
    ViewRefused
        It is not known to keep to its rows, or not with these arguments.
    """
    if node.form is Form.free:
        return call(Method(name), (node, *args), kwargs, along, Form.free, name)
    rule = _RULES[node.form]
    return rule(node, name, args, kwargs, along)


def call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    along: str,
    form: Form,
    name: str,
    names: Mapping[str, bool] | None = None,
    keeps_groups: bool = False,
) -> Node:
    """A node that treats each row by itself: its rows are those of its operands, which must be the same rows."""
    inputs = list(nodes((args, kwargs)))
    axis, reduced, words = None, False, frozenset[str]()
    for one in inputs:
        reduced |= one.reduced
        words |= one.words
        if one.axis is not None:
            axis = one.axis if axis is None else axis.joined(one.axis)
            if axis is None:
                raise refused(
                    f"{name} puts rows of different steps along {along!r} together.",
                    "Make both with the same steps, or make a view of each.",
                )
    if axis is not None and reduced:
        raise refused(
            f"{name} puts each row of {along!r} together with a value that depends on all rows: a change of one "
            "changes them all.",
            "Make the reduction a view of its own, and combine the two when you read.",
        )
    if axis is not None:
        _check_constants(args, kwargs, along, name)
    groups = {one.by_group for one in inputs if one.reduced}
    alike = keeps_groups and len(groups) == 1 and not _foreign(args, kwargs)
    return Node(
        function,
        args,
        kwargs,
        form if axis is not None else Form.free,
        axis,
        names,
        reduced=reduced,
        by_group=groups.pop() if alike and reduced else None,
        words=words,
    )


def refused(message: str, cure: str = _DECLARE) -> errors.ViewRefused:
    return errors.ViewRefused(message, cure=cure)


def _on_data(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    if name in {"resample", "rolling", "coarsen", "groupby"}:
        return _OPENERS[name](node, args, kwargs, along)
    if name == "weighted":
        return call(Method(name), (node, *args), kwargs, along, Form.weighted, name)
    if name not in REDUCTIONS | ROW_BY_ROW | BY_DIMENSION:
        raise _unknown(node, name, along)
    given = _bound(node, name, args, kwargs)
    if name in ROW_BY_ROW:
        return _row_by_row(node, name, args, kwargs, given, along)
    dims = _dims(node, name, given, along)
    if dims is not None and along not in dims:
        found = call(Method(name), (node, *args), kwargs, along, node.form, name, node.names)
        return replace(found, words=found.words | ({"regrid"} if name in {"interp", "dot"} else set()))
    if name in REDUCTIONS:
        return _reduction(node, name, args, kwargs, dims, None, along)
    if name == "shift" and set(dims or ()) == {along}:
        return _shift(node, args, kwargs, given, along)
    raise _unknown(node, name, along, f"over {along!r}" if dims else f"with no dimension named, so over {along!r} too,")


def _row_by_row(
    node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any], along: str
) -> Node:
    if name == "where" and given.get("drop"):
        raise refused("where(…, drop=True) looks at values to choose rows.", "Leave drop=True away.")
    changed = (
        {*_flat(given)} if name in {"drop_vars", "rename", "assign_coords", "expand_dims", "to_dataset"} else set()
    )
    if name == "assign" and along in _flat(given):
        changed = {along}
    if along in changed and not (name == "rename" and node.form is Form.array):
        raise refused(f"{name} changes {along!r}, the dimension that the view runs along.", "Keep it as it is.")
    names: Mapping[str, bool] | None = node.names
    if name in {"rename", "rename_vars", "to_dataset", "drop_vars", "expand_dims"}:
        names = None
    if name == "assign" and names is not None:
        new = {**(given.get("variables") or {}), **given.get("variables_kwargs", {})}
        names = {**names, **{key: _runs(value) for key, value in new.items()}}
    form = {"to_dataset": Form.dataset, "to_dataarray": Form.array}.get(name, node.form)
    if form is Form.array:
        names = None
    # What is called with a function would hand it real data that nobody has looked at.
    if any(callable(one) and not isinstance(one, type | np.dtype) for one in _values(given)):
        raise refused(f"{name} was given a function.", "Give it the value itself.")
    return call(Method(name), (node, *args), kwargs, along, form, name, names, keeps_groups=True)


def _resample(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    given = _bound(node, "resample", args, kwargs)
    indexer = {**(given.get("indexer") or {}), **given.get("indexer_kwargs", {})}
    freq = indexer.get(along)
    assert node.axis is not None
    if set(indexer) != {along} or not isinstance(freq, str):
        raise refused(f"resample({indexer}) does not resample {along!r} by a frequency.", "Write resample(time='MS').")
    if node.axis.steps:
        raise refused("resample comes after another resample or coarsen.", "Make a view of the view.")
    if given.get("origin", "start_day") in {"end", "end_day"}:
        raise refused("resample counts its bins from the end of the data, which grows.", "Leave origin away.")
    bare = freq.lstrip("0123456789")
    count, unit = freq[: len(freq) - len(bare)], bare.partition("-")[0]
    if not (unit in COUNTED or (unit in _ANCHORED and count in {"", "1"})):
        raise refused(
            f"Bins of {freq!r} begin where the data begin, or are not known.",
            f"Use one of {', '.join(_ANCHORED)}, or a number of {', '.join(COUNTED)}.",
        )
    found = call(Method("resample"), (node, *args), kwargs, along, Form.resample, "resample")
    return replace(found, axis=node.axis.stepped(Resample(freq)), names=node.names)


def _rolling(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    given = _bound(node, "rolling", args, kwargs)
    windows = {**(given.get("dim") or {}), **given.get("window_kwargs", {})}
    found = call(Method("rolling"), (node, *args), kwargs, along, Form.rolling, "rolling")
    assert found.axis is not None
    if along not in windows:
        return found
    center, length = given.get("center", False), int(windows[along])
    centered = center.get(along, False) if isinstance(center, Mapping) else center
    axis = found.axis.widened(length // 2, length // 2) if centered else found.axis.widened(length - 1, 0)
    return replace(found, axis=axis, words=found.words | {"window"}, names=node.names)


def _coarsen(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    given = _bound(node, "coarsen", args, kwargs)
    windows = {**(given.get("dim") or {}), **given.get("window_kwargs", {})}
    found = call(Method("coarsen"), (node, *args), kwargs, along, Form.coarsen, "coarsen")
    assert found.axis is not None
    if along not in windows:
        return found
    side, boundary = given.get("side", "left"), given.get("boundary", "exact")
    if (side.get(along, "left") if isinstance(side, Mapping) else side) != "left":
        raise refused("coarsen(side='right') counts from the end of the data, which grows.", "Use side='left'.")
    boundary = boundary.get(along, "exact") if isinstance(boundary, Mapping) else boundary
    return replace(found, axis=found.axis.stepped(Coarsen(int(windows[along]), boundary)), names=node.names)


def _groupby(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    given = _bound(node, "groupby", args, kwargs)
    key = given.get("group")
    found = call(Method("groupby"), (node, *args), kwargs, along, Form.groupby, "groupby", node.names)
    if isinstance(key, Node):
        if key.axis is None:
            raise refused(f"groupby was given an array that has no {along!r}.", "Group by a part of the date.")
        return replace(found, group=Group("", key))
    if not isinstance(key, str):
        raise refused(f"groupby({key!r}) is not known.", f"Group by a part of the date: groupby('{along}.month').")
    variable, _, part = key.partition(".")
    if part and (variable != along or part not in _DATE_PARTS):
        raise refused(f"groupby({key!r}) is not known.", f"Known parts: {', '.join(sorted(_DATE_PARTS))}.")
    if not part and (variable == along or (node.names is not None and not node.names.get(variable))):
        raise refused(f"groupby({key!r}) does not group rows of {along!r}.", f"Try groupby('{along}.month').")
    return replace(found, group=Group(part or variable, key))


_OPENERS: dict[str, Callable[[Node, tuple[Any, ...], dict[str, Any], str], Node]] = {
    "resample": _resample,
    "rolling": _rolling,
    "coarsen": _coarsen,
    "groupby": _groupby,
}


def _within(known: frozenset[str]) -> Callable[[Node, str, tuple[Any, ...], dict[str, Any], str], Node]:
    def rule(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
        if name not in known:
            raise _unknown(node, name, along)
        dims = kwargs.get("dim")
        if node.form is Form.resample and isinstance(dims, str | list | tuple) and along not in _flat([dims]):
            raise refused(f"resample(…).{name}({dims!r}) does not reduce {along!r}.", "Reduce that dimension first.")
        return call(Method(name), (node, *args), kwargs, along, node.args[0].form, name, node.names)

    return rule


def _on_groups(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    dims = kwargs.get("dim", args[0] if args else None)
    if name not in REDUCTIONS:
        raise _unknown(node, name, along, "by group")
    over = node.args[0]
    if dims is ...:
        names: tuple[str, ...] | None = None
    else:
        names = (along,) if dims is None else tuple(map(str, [dims] if isinstance(dims, str) else dims))
    if names is not None and along not in names:
        raise refused(f"groupby(…).{name}({dims!r}) does not reduce {along!r}.", "Reduce that dimension first.")
    return _reduction(node, name, args, kwargs, names, node.group, along, over)


def _on_weights(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    dims = kwargs.get("dim", args[0] if args else None)
    if dims is None or along in _flat([dims]):
        raise refused(f"weighted(…).{name} over {along!r} is not kept current.", _CURES["weighted"].format(along=along))
    over: Node = node.args[0]
    return call(Method(name), (node, *args), kwargs, along, over.form, name, over.names)


def _on_times(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    raise _unknown(node, name, along)


_RULES: dict[Form, Callable[[Node, str, tuple[Any, ...], dict[str, Any], str], Node]] = {
    Form.dataset: _on_data,
    Form.array: _on_data,
    Form.resample: _within(_BINS),
    Form.rolling: _within(_WINDOWS),
    Form.coarsen: _within(_BLOCKS),
    Form.groupby: _on_groups,
    Form.weighted: _on_weights,
    Form.times: _on_times,
}


def _reduction(
    node: Node,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dims: tuple[str, ...] | None,
    group: Group | None,
    along: str,
    over: Node | None = None,
) -> Node:
    extra = sorted(kwargs.keys() - _PASSING)
    if extra or any(nodes((args, kwargs))):
        raise refused(f"{name} was given {', '.join(extra) or 'an array'}.", f"Known: {', '.join(sorted(_PASSING))}.")
    options = {key: kwargs[key] for key in ("skipna", "ddof", "min_count") if kwargs.get(key) is not None}
    spec = Reduction(name, over or node, dims, group, options)
    return reduction(Method(name), (node, *args), kwargs, spec, node.words)


def reduction(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    spec: Reduction,
    words: frozenset[str] = frozenset(),
) -> Node:
    """A node whose value is kept as a running state."""
    by_group = (spec.group.name or None) if spec.group else None
    return Node(function, args, kwargs, Form.free, None, reduction=spec, reduced=True, by_group=by_group, words=words)


def _shift(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any], along: str) -> Node:
    steps = int({**(given.get("shifts") or {}), **given.get("shifts_kwargs", {})}[along])
    found = call(Method("shift"), (node, *args), kwargs, along, node.form, "shift", node.names)
    assert found.axis is not None
    return replace(found, axis=found.axis.widened(max(steps, 0), max(-steps, 0)), words=found.words | {"window"})


def _bound(node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names that Xarray gives them."""
    owner = xr.Dataset if node.form is Form.dataset else xr.DataArray
    try:
        return dict(inspect.signature(getattr(owner, name)).bind(None, *args, **kwargs).arguments)
    except (AttributeError, TypeError) as error:
        raise refused(
            f"{node.form}.{name} does not take that: {error}.", "Look it up in Xarray's reference."
        ) from error


def _dims(node: Node, name: str, given: dict[str, Any], along: str) -> tuple[str, ...] | None:
    """Dimensions that a call names; None for all."""
    given = {key: value for key, value in given.items() if key != "self"}
    if "dim" in given and given["dim"] is not None and given["dim"] is not ...:
        one = given["dim"]
        return tuple(map(str, [one] if isinstance(one, str) else one))
    if name in {"sortby", "differentiate", "integrate"}:
        return _dims_of_variables(node, list(given.values()), along)
    if name in {"squeeze", "stack", "drop_sel", "drop_isel", "polyfit"}:
        return tuple(_flat({key: one for key, one in given.items() if not isinstance(one, bool)})) or None
    if name in {"isel", "sel", "interp", "shift", "roll", "pad", "head", "tail", "thin", "reindex", "swap_dims"}:
        keys: dict[str, Any] = {}
        for one in given.values():
            keys |= one if isinstance(one, Mapping) else {}
        return tuple(map(str, keys)) or None
    return None


def _dims_of_variables(node: Node, given: list[Any], along: str) -> tuple[str, ...] | None:
    """The same where variables are named, which may have ``along`` whatever they are called."""
    if any(nodes(given)) or any(map(callable, given)):
        return None
    found = _flat(given)
    known = node.names if node.names is not None else walk(node)[0].names or {}  # an array's: as the source has them
    runs = {along} if any(known.get(one, True) for one in found) else set()
    return tuple(found | runs) or None


def _flat(value: Any) -> set[str]:
    """Every name in arguments, as a key or as a value."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, Mapping):
        return {str(key) for key in value} | {one for inner in value.values() for one in _flat(inner)}
    if isinstance(value, list | tuple | set):
        return {one for inner in value for one in _flat(inner)}
    return set()


def _values(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [one for inner in value.values() for one in _values(inner)]
    return [value]


def _runs(value: Any) -> bool:
    return any(one.axis is not None for one in nodes(value))


def _foreign(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operand is an array that is neither the source's nor a number."""
    return any(
        isinstance(one, xr.Dataset | xr.DataArray | np.ndarray) and one.ndim if hasattr(one, "ndim") else False
        for one in [*args, *kwargs.values()]
    )


def _check_constants(args: tuple[Any, ...], kwargs: Mapping[str, Any], along: str, name: str) -> None:
    for one in [*args, *_values(kwargs)]:
        if isinstance(one, xr.Dataset | xr.DataArray) and along in one.dims and name not in {"isin", "interp"}:
            raise refused(
                f"{name} was given an array that has {along!r} itself, and does not grow with the source.",
                "Write it into the source, or reduce it first.",
            )
        if isinstance(one, np.ndarray) and one.ndim and name not in {"isin", "interp", "reindex", "sel", "isel"}:
            raise refused(
                f"{name} was given a plain array of shape {one.shape}, whose dimensions have no names.",
                "Give it names: xr.DataArray(values, dims=[…]).",
            )


def _unknown(node: Node, name: str, along: str, how: str = "") -> errors.ViewRefused:
    said = f"{node.form}.{name} {how}".strip()
    cure = _CURES.get(name, _DECLARE).format(along=along)
    return refused(f"{said} is not known to depend on bounded parts of {along!r}.", cure)


def source(names: Mapping[str, bool], along: str) -> Node:
    return Node(None, (), {}, Form.dataset, Axis(along), names)
