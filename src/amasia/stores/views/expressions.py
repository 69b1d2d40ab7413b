"""What a view's function does, as a graph that can be looked at and replayed with Xarray itself."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dask.base import tokenize

from amasia.stores.views.axes import Axis


class Form(StrEnum):
    """What a node stands for; each has methods of its own."""

    dataset = "Dataset"
    array = "DataArray"
    resample = "Resample"
    rolling = "Rolling"
    coarsen = "Coarsen"
    groupby = "GroupBy"
    weighted = "Weighted"
    times = "dt"
    free = "value"
    """Has no rows along the dimension, so that anything may be done with it."""


@dataclass(frozen=True)
class Method:
    name: str

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(value, self.name)(*args, **kwargs)


@dataclass(frozen=True)
class Attribute:
    name: str

    def __call__(self, value: Any) -> Any:
        return getattr(value, self.name)


@dataclass(frozen=True)
class Group:
    """What rows are grouped by: a part of the date (``time.month``), a variable, or an array that was computed."""

    name: str
    """Of the dimension that the groups make."""
    key: Any


@dataclass(frozen=True)
class Reduction:
    """A value that is kept as a running state: over rows, perhaps over other dimensions too, perhaps by group."""

    op: str
    over: "Node"
    dims: tuple[str, ...] | None
    """None for all."""
    group: Group | None
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Node:
    """One call. Its arguments may hold other nodes."""

    function: Callable[..., Any] | None
    """None for the source."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    form: Form
    axis: Axis | None
    """None where it has no rows along the dimension."""
    names: Mapping[str, bool] | None = None
    """A dataset's variables, and whether each has rows; None where that is not known."""
    reduction: Reduction | None = None
    reduced: bool = False
    """Depends on every row, by a reduction."""
    by_group: str | None = None
    """The dimension of groups, as long as each group is treated for itself."""
    group: Group | None = None
    """Of a GroupBy."""
    words: frozenset[str] = field(default=frozenset())
    """What is on the way to it: ``regrid``, ``window``."""


def evaluate(node: Node, known: dict[Node, Any], origin: Any = None) -> Any:
    """Replay a node with real Xarray.

    Parameters
    ----------
    known
        Values of nodes, at least of the source; results are added.
    origin
        Where bins of a resampling are counted from, when they depend on the first row of all.
    """
    if node in known:
        return known[node]
    args = _mapped(node.args, known, origin)
    kwargs = _mapped(dict(node.kwargs), known, origin)
    if origin is not None and isinstance(node.function, Method) and node.function.name == "resample":
        kwargs["origin"] = origin
    assert node.function is not None
    value = known[node] = node.function(*args, **kwargs)
    return value


def nodes(value: Any) -> Iterator[Node]:
    """Every node that a value holds, not those inside these."""
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from nodes(one)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from nodes(one)


def walk(node: Node) -> list[Node]:
    """A node and all that it is made of, each once, the source first."""
    found: dict[Node, None] = {}

    def visit(one: Node) -> None:
        if one in found:
            return
        for inner in nodes((one.args, one.kwargs)):
            visit(inner)
        found[one] = None

    visit(node)
    return list(found)


def digest(node: Node) -> str:
    """Names what is computed: the same for the same function in another process."""
    order = walk(node)
    places = {one: index for index, one in enumerate(order)}

    def plain(value: Any) -> Any:
        if isinstance(value, Node):
            return ("node", places[value])
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        if isinstance(value, Mapping):
            return {str(key): plain(one) for key, one in value.items()}
        return value

    return str(tokenize([(one.function, plain(one.args), plain(one.kwargs)) for one in order]))


def _mapped(value: Any, known: dict[Node, Any], origin: Any) -> Any:
    if isinstance(value, Node):
        return evaluate(value, known, origin)
    if isinstance(value, list | tuple):
        return type(value)([_mapped(one, known, origin) for one in value])
    if isinstance(value, dict):
        return {key: _mapped(one, known, origin) for key, one in value.items()}
    return value
