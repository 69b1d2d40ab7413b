"""Views that are made from running states: rows are taken out as they were, and put in as they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from amasia import errors
from amasia.stores.views import pieces, reductions
from amasia.stores.views.axes import Grid, Range
from amasia.stores.views.expressions import Node, Reduction, evaluate
from amasia.stores.views.plans import Plan, Replay
from amasia.stores.views.reductions import State
from amasia.stores.views.snapshots import Snapshot
from amasia.stores.views.states import Memory

type Label = Any
type Folded = dict[Label, dict[str, State]]
"""States by group and variable."""


@dataclass(frozen=True)
class Side:
    """The source before or after a change."""

    snapshot: Snapshot
    grid: Grid
    origin: Any = None


@dataclass
class Groups:
    """Where the state of each group is, and how many rows it has."""

    labels: list[Label] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    @property
    def alive(self) -> list[Label]:
        found = [label for label, rows in zip(self.labels, self.rows, strict=True) if rows > 0]
        return sorted(found) if found != [None] else found


def update(plan: Plan, memory: Memory, old: Side | None, new: Side, changed: Sequence[Range]) -> list[set[Label]]:
    """Bring all states up to date; the groups of each reduction that are touched."""
    found = []
    for index, node in enumerate(plan.reductions):
        assert node.reduction is not None
        taken, rows_out = _fold(plan, index, old, changed) if old is not None else ({}, {})
        given, rows_in = _fold(plan, index, new, changed)
        found.append(_merge(plan, index, memory, new, (taken, rows_out), (given, rows_in)))
    return found


def result(plan: Plan, memory: Memory, new: Side, labels: Sequence[set[Label]] | None) -> xr.Dataset:
    """The view from its states, for some groups or (None) for all."""
    assert isinstance(plan.compute, Replay)
    source = plan.compute.source
    known: dict[Node, Any] = {source: _sample(plan, plan.axis, new, plan.wanted)}
    for index, node in enumerate(plan.reductions):
        assert node.reduction is not None
        assert node.reduction.over.axis is not None
        sample = _sample(plan, node.reduction.over.axis, new, plan.wanted)
        template = evaluate(node, {source: sample}, new.origin)
        over = evaluate(node.reduction.over, {source: sample}, new.origin)
        groups = groups_of(memory, index)
        wanted = [one for one in groups.alive if labels is None or one in set().union(*labels)]
        states = {
            name: [memory.read(f"{index}.{name}", groups.labels.index(label)) or {} for label in wanted]
            for name in memory.facts["names"][index]
        }
        known[node] = _filled(node.reduction, template, over, wanted, states)
    return evaluate(plan.compute.result, known, new.origin)  # type: ignore[no-any-return]


def groups_of(memory: Memory, index: int) -> Groups:
    facts = memory.facts.get("groups", {}).get(str(index))
    return Groups(list(facts["labels"]), list(facts["rows"])) if facts else Groups()


def fold(plan: Plan, index: int, side: Side, only: frozenset[Label] | None, rows: Range) -> tuple[Folded, Any, int]:
    """States of some rows by group, how many rows each group has, and the bytes that were read."""
    spec = plan.reductions[index].reduction
    assert spec is not None
    assert spec.over.axis is not None
    assert isinstance(plan.compute, Replay)
    along, axis = plan.along, spec.over.axis
    start, stop, offset = axis.needed(side.grid, *rows)
    ds = side.snapshot.rows(start, stop, plan.wanted)
    known: dict[Node, Any] = {plan.compute.source: ds}
    over = evaluate(spec.over, known, side.origin)
    wanted = {along: slice(rows[0] - offset, rows[1] - offset)}
    part = _dataset(over).isel(wanted)
    names = _labels(spec, part, known, side.origin, wanted, along)
    found: Folded = {}
    counted: dict[Label, int] = {}
    for label, places in _places(names, rows[1] - rows[0]):
        if only is not None and label not in only:
            continue
        counted[label] = len(places)
        found[label] = {
            str(name): reductions.folded(spec, _flat(str(name), spec, variable, along, places))
            for name, variable in part.data_vars.items()
            if along in variable.dims
        }
    return found, counted, ds.nbytes


def _fold(
    plan: Plan, index: int, side: Side, changed: Iterable[Range] | None, only: frozenset[Label] | None = None
) -> tuple[Folded, dict[Label, int]]:
    node = plan.reductions[index]
    assert node.reduction is not None
    assert node.reduction.over.axis is not None
    axis, spec = node.reduction.over.axis, node.reduction
    size = axis.size(side.grid)
    ranges = [(0, size)] if changed is None else axis.touched(side.grid, changed)
    if not ranges:
        return {}, {}
    longest = _longest(plan, axis, side)
    found: Folded = {}
    counted: dict[Label, int] = {}
    for states, rows, nbytes in pieces.each(partial(fold, plan, index, side, only), pieces.split(ranges, longest)):
        side.snapshot.nbytes += nbytes
        for label, each in states.items():
            counted[label] = counted.get(label, 0) + rows[label]
            if label not in found:
                found[label] = each
                continue
            found[label] = {name: reductions.put(spec, found[label][name], state) for name, state in each.items()}
    return found, counted


def _merge(
    plan: Plan,
    index: int,
    memory: Memory,
    new: Side,
    out: tuple[Folded, dict[Label, int]],
    into: tuple[Folded, dict[Label, int]],
) -> set[Label]:
    spec = plan.reductions[index].reduction
    assert spec is not None
    (taken, rows_out), (given, rows_in) = out, into
    groups = groups_of(memory, index)
    touched = {*taken, *given}
    for label in sorted(touched - set(groups.labels)) if touched != {None} else touched - set(groups.labels):
        groups.labels.append(label)
        groups.rows.append(0)
    states: dict[str, dict[int, State]] = {}
    again: set[Label] = set()
    for label in touched:
        slot = groups.labels.index(label)
        groups.rows[slot] += rows_in.get(label, 0) - rows_out.get(label, 0)
        if not groups.rows[slot] and label is not None:
            continue  # nothing is left of it; should it come back, it begins anew
        for name in {*taken.get(label, {}), *given.get(label, {})}:
            merged, doubt = _changed(
                spec,
                memory.read(f"{index}.{name}", slot) if groups.rows[slot] != rows_in.get(label, 0) else None,
                taken.get(label, {}).get(name),
                given.get(label, {}).get(name),
            )
            states.setdefault(name, {})[slot] = merged
            again |= {label} if doubt and groups.rows[slot] else set()
    if again:
        made, _ = _fold(plan, index, new, None, frozenset(again))
        for label, each in made.items():
            for name, state in each.items():
                states[name][groups.labels.index(label)] = state
    for name, kept in states.items():
        memory.keep(f"{index}.{name}", len(groups.labels), kept)
    memory.facts.setdefault("groups", {})[str(index)] = {"labels": groups.labels, "rows": groups.rows}
    names = memory.facts.setdefault("names", [[] for _ in plan.reductions])
    names[index] = sorted({*names[index], *states})
    return touched


def _changed(spec: Reduction, state: State | None, out: State | None, into: State | None) -> tuple[State, bool]:
    """A state after rows were taken out and put in, and whether it is to be doubted."""
    if state is None:
        # A new group, or one all of whose rows are new.
        return into or {}, False
    after = reductions.take(spec, state, out) if out else state
    if into:
        after = reductions.put(spec, after, into)
    if not out:
        return after, False
    empty = {key: np.zeros_like(one) for key, one in out.items()}
    return after, reductions.doubtful(spec, state, out, into or empty, after)


def _longest(plan: Plan, axis: Any, side: Side) -> int:
    """Output rows whose input is a piece."""
    rows = max(pieces.TARGET // side.snapshot.row_nbytes(plan.wanted), 1)
    return max(1, int(rows * axis.size(side.grid) // max(side.grid.rows, 1)))


def _sample(plan: Plan, axis: Any, side: Side, wanted: frozenset[str] | None) -> xr.Dataset:
    """A few input rows that give at least one output row: the last, which are most often those that changed."""
    last = max(axis.size(side.grid), 1)
    start, stop, _ = axis.needed(side.grid, last - 1, last)
    return side.snapshot.rows(start, max(stop, start + 1), wanted)


def _filled(spec: Reduction, template: Any, over: Any, labels: list[Label], states: dict[str, list[State]]) -> Any:
    """What Xarray made of a few rows, with the values of all."""
    group = next(iter(set(map(str, template.dims)) - set(map(str, over.dims))), None) if spec.group else None
    ds = _dataset(template)
    coords = {name: one.variable for name, one in ds.coords.items() if group not in one.dims}
    if group is not None:
        named = np.asarray(labels, dtype=ds[group].dtype if ds[group].dtype.kind != "U" else None)
        if ds[group].dtype == object:
            named = named.astype(object)
        coords[group] = xr.Variable((group,), named, ds[group].attrs)
    data = {}
    for name, one in ds.data_vars.items():
        if str(name) not in states:
            whole = one.variable if group not in one.dims else one.variable.isel({group: [0] * len(labels)})
            data[name] = whole
            continue
        values = np.stack([reductions.final(spec, state) for state in states[str(name)]])
        first = () if group is None else (group,)
        dims = (*first, *(dim for dim in one.dims if dim != group))
        values = values if group is not None else values[0]
        # Of integers Xarray makes floats where some were missing, but perhaps not in these few rows.
        if values.dtype != one.dtype and not (one.dtype.kind in "iub" and values.dtype.kind == "f"):
            with np.errstate(invalid="ignore", over="ignore"):
                values = values.astype(one.dtype)
        data[name] = xr.Variable(dims, values, one.attrs).transpose(*one.dims)
    made = xr.Dataset(data, coords, ds.attrs)
    return made if isinstance(template, xr.Dataset) else made[_ONLY].rename(template.name)


_ONLY = "value"


def _dataset(value: Any) -> xr.Dataset:
    if isinstance(value, xr.Dataset):
        return value
    return value.to_dataset(name=_ONLY)  # type: ignore[no-any-return]


def _labels(
    spec: Reduction, part: xr.Dataset, known: dict[Node, Any], origin: Any, wanted: dict[str, slice], along: str
) -> npt.NDArray[Any] | None:
    if spec.group is None:
        return None
    key = spec.group.key
    if isinstance(key, Node):
        return np.asarray(evaluate(key, known, origin).isel(wanted).values)
    variable, _, component = key.partition(".")
    if component:
        return np.asarray(getattr(part[along].dt, component).values)
    return np.asarray(part[variable].values)


def _places(labels: npt.NDArray[Any] | None, rows: int) -> Iterable[tuple[Label, npt.NDArray[np.intp]]]:
    if labels is None:
        yield None, np.arange(rows)
        return
    if labels.dtype.kind not in "iufbUO":
        raise errors.ViewRefused(
            f"Groups are named by {labels.dtype}.", cure="Group by numbers or text, such as a part of the date."
        )
    named = labels[~np.isnan(labels)] if labels.dtype.kind == "f" else labels
    for label in np.unique(named):
        yield label.item() if isinstance(label, np.generic) else label, np.flatnonzero(labels == label)


def _flat(name: str, spec: Reduction, variable: xr.DataArray, along: str, places: npt.NDArray[np.intp]) -> Any:
    """Values with what is reduced as the first axis."""
    if variable.dtype.kind not in "iufb":
        raise errors.ViewRefused(
            f"{name!r} is of dtype {variable.dtype}, of which no running {spec.op} is kept.",
            cure="Choose the variables: ds[['t2m', …]].",
        )
    dims = [str(dim) for dim in variable.dims if spec.dims is None or dim in spec.dims]
    rest = [dim for dim in variable.dims if dim not in dims]
    first = [along, *(dim for dim in dims if dim != along)]
    values = variable.variable.transpose(*first, *rest).values
    if len(places) != len(values):
        values = values[places]
    return values.reshape(-1, *values.shape[len(first) :])
