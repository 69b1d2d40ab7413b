"""How a view can be kept current: which outputs depend on which inputs, proven from its function or declared."""

from dataclasses import dataclass, field, replace

import xarray as xr

from amasia import errors
from amasia.models.views import ViewKind
from amasia.stores.views import tracing
from amasia.stores.views.axes import Axis, Coarsen, Declared, Resample
from amasia.stores.views.definitions import Definition, Depends
from amasia.stores.views.expressions import Form, Method, Node, Reduction, digest, evaluate, nodes, walk
from amasia.stores.views.operations import COUNTED


@dataclass(frozen=True)
class Replay:
    """Replays a node from the source's rows."""

    source: Node
    result: Node

    def __call__(self, ds: xr.Dataset, origin: object = None) -> xr.Dataset:
        return evaluate(self.result, {self.source: ds}, origin)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Declaration:
    """Calls the author's function."""

    definition: Definition

    def __call__(self, ds: xr.Dataset, origin: object = None) -> xr.Dataset:
        found = self.definition.function(ds.copy(deep=True))  # it may write into what it is given
        return found if isinstance(found, xr.Dataset) else found.to_dataset(name=found.name or self.definition.name)


@dataclass(frozen=True)
class Plan:
    """What `plan` found out."""

    kind: ViewKind
    text: str
    """Which output region depends on which input region, in words."""
    digest: str
    """Changes when the function does something else: then everything is computed anew."""
    along: str
    axis: Axis | Declared
    compute: Replay | Declaration
    reductions: tuple[Node, ...] = ()
    """Running states that the result is made of; none where each output row has input rows of its own."""
    wanted: frozenset[str] | None = None
    """Variables of the source that are read; None for all."""
    counted_from: str = ""
    """``start_day`` or ``start`` where bins of time are counted from the first row of all."""
    declared: bool = field(default=False)


def plan(definition: Definition, ds: xr.Dataset) -> Plan:
    """Find out how a view can be kept current.

    Parameters
    ----------
    definition
        Of `define`.
    ds
        The source, or any dataset with its variables and dimensions. No value of it is looked at.

    Raises
    ------
    ViewRefused
        Names the operation whose dependence is not known or not bounded.
    """
    along = definition.along
    if along not in ds.dims:
        raise errors.ViewRefused(
            f"The source has no dimension {along!r}; it has {', '.join(map(str, ds.dims))}.", cure="Name one of them."
        )
    if definition.declared:
        return _declared(definition, ds)
    source, result = _traced(definition, ds)
    reductions = tuple(node for node in walk(result) if node.reduction is not None)
    axis = result.axis
    if axis is None:
        axis = _common([node.reduction.over for node in reductions if node.reduction is not None], along)
    kind = _kind(result, reductions, axis)
    if definition.kind is not None and definition.kind is not kind:
        raise errors.ViewRefused(
            f"The view is declared as {definition.kind.value} and is recognised as {kind.value}.",
            cure="Leave kind away, or declare halo=(before, after).",
        )
    found = Plan(
        kind=kind,
        text="",
        digest=f"{digest(result)} {definition.target_group} {sorted((definition.chunks or {}).items())}",
        along=along,
        axis=axis,
        compute=Replay(source, result),
        reductions=reductions,
        wanted=_wanted(source, result, ds),
        counted_from=_counted_from(result),
    )
    return replace(found, text=_words(found))


def _traced(definition: Definition, ds: xr.Dataset) -> tuple[Node, Node]:
    try:
        return tracing.trace(definition.function, ds, definition.along)
    except errors.ViewRefused:
        raise
    except Exception as error:  # whatever a function does with something that has no values
        raise errors.ViewRefused(
            f"{definition.name} cannot be followed: {type(error).__name__}: {error}.",
            cure="Use Xarray's methods on what it is given, or declare halo=(before, after).",
        ) from error


def _declared(definition: Definition, ds: xr.Dataset) -> Plan:
    depends: Depends
    if definition.depends is not None:
        depends, said = definition.depends, "as its author's function says"
    else:
        before, after = definition.halo or (0, 0)
        depends = _Halo(before, after)
        said = f"rows {before} before to {after} after it"
    kind = definition.kind or ViewKind.general
    if kind in {ViewKind.reduction, ViewKind.groupby, ViewKind.coarsen, ViewKind.resample}:
        raise errors.ViewRefused(
            f"A view of kind {kind.value} cannot be declared: its outputs are not its inputs' rows.",
            cure="Write it with Xarray's own methods, so that it is recognised.",
        )
    return Plan(
        kind=kind,
        text=f"{kind.value} (declared, not proven): each output row of {definition.along!r} depends on input {said}.",
        digest=f"{digest(Node(definition.function, (), {}, Form.free, None))} {definition.halo}",
        along=definition.along,
        axis=Declared(definition.along, depends),
        compute=Declaration(definition),
        declared=True,
    )


@dataclass(frozen=True)
class _Halo:
    before: int
    after: int

    def __call__(self, start: int, stop: int) -> tuple[int, int]:
        return start - self.before, stop + self.after


def _common(overs: list[Node], along: str) -> Axis:
    """What all reductions are made from; a resampling in one of them needs its bins."""
    axes = [node.axis for node in overs if node.axis is not None]
    resampled = {step for axis in axes for step in axis.steps if isinstance(step, Resample)}
    if len(resampled) > 1:
        raise errors.ViewRefused(
            f"Reductions over bins of {' and '.join(sorted(step.freq for step in resampled))}.",
            cure="Make a view of each.",
        )
    return next((axis for axis in axes if axis.resamples), axes[0] if axes else Axis(along))


def _kind(result: Node, reductions: tuple[Node, ...], axis: Axis) -> ViewKind:
    if reductions:
        grouped = any(node.reduction and node.reduction.group for node in reductions)
        return ViewKind.groupby if grouped else ViewKind.reduction
    if axis.resamples:
        return ViewKind.resample
    if axis.steps:
        return ViewKind.coarsen
    if any(halo != (0, 0) for halo in axis.halos):
        return ViewKind.window
    return ViewKind.regrid if "regrid" in result.words else ViewKind.elementwise


def _wanted(source: Node, result: Node, ds: xr.Dataset) -> frozenset[str] | None:
    """Names that are taken from the source, and its coordinates; None where it is used as a whole."""
    found: set[str] = {str(name) for name in ds.coords}
    for node in walk(result):
        if source not in nodes((node.args, node.kwargs)):
            continue
        if getattr(node.function, "__name__", "") != "getitem":
            return None
        key = node.args[1]
        found |= {key} if isinstance(key, str) else set(key)
    return frozenset(found)


def _counted_from(result: Node) -> str:
    """Bins of a day, or of several hours, are counted from the first row; those of the calendar are not."""
    for node in walk(result):
        if node.function == Method("resample") and node.axis is not None:
            freq = next(step.freq for step in node.axis.steps if isinstance(step, Resample))
            origin = node.kwargs.get("origin", "start_day")
            counted = freq.lstrip("0123456789") in COUNTED
            return origin if counted and isinstance(origin, str) and origin in {"start", "start_day"} else ""
    return ""


def _words(plan: Plan) -> str:
    along, axis = plan.along, plan.axis
    assert isinstance(axis, Axis)
    parts = [f"each row of {along!r} is made from the same input row"]
    if axis.steps or any(halo != (0, 0) for halo in axis.halos):
        parts = []
        for level, (before, after) in enumerate(axis.halos):
            if level:
                parts.append(_step(axis.steps[level - 1], along))
            if (before, after) != (0, 0):
                parts.append(f"each row depends on {before} before and {after} after it")
    before_states = "" if parts[0].endswith("same input row") and plan.reductions else "; ".join(parts)
    states = [_state(node.reduction, along) for node in plan.reductions if node.reduction is not None]
    said = "; then ".join([*([before_states] if before_states else []), *dict.fromkeys(states)])
    return f"{plan.kind.value}: {said}."


def _step(step: Coarsen | Resample, along: str) -> str:
    if isinstance(step, Resample):
        return f"each output row is one bin of {step.freq} of {along!r} and depends on the input rows in it"
    return f"output row i depends on input rows [{step.length}·i, {step.length}·(i+1)) of {along!r}"


def _state(reduction: Reduction, along: str) -> str:
    where = f"each {reduction.group.name or 'group'}" if reduction.group else "the result"
    if reduction.op in {"min", "max"}:
        how = "changed rows are merged in, and where a removed value was the extreme the group is computed anew"
    else:
        how = "old values of changed rows are taken out and new ones are put in"
    return f"{where} has a running {reduction.op} over {along!r}: {how}"
