"""A stand-in for the source's dataset: it writes down what a function does with it, and never has a value."""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from amasia.stores.views import operations
from amasia.stores.views.expressions import Attribute, Form, Node, nodes
from amasia.stores.views.operations import refused

_VALUES = frozenset({
    "values", "data", "item", "to_numpy", "to_pandas", "to_dataframe", "to_series", "to_netcdf", "to_zarr", "to_dict",
    "plot", "equals", "identical", "broadcast_equals", "as_numpy", "indexes", "nbytes", "chunks", "chunksizes", "T",
    "attrs", "encoding", "dims", "sizes", "shape", "size", "ndim", "dtype", "dtypes", "name", "coords", "xindexes",
    "loc", "variables", "variable", "real", "imag", "str", "cf",
})  # fmt: skip


class Traced:
    """Stands for a dataset, an array, or a grouping of one."""

    __slots__ = ("_along", "_coords", "_node")
    __hash__ = object.__hash__

    def __init__(self, node: Node, along: str, coords: frozenset[str] = frozenset()) -> None:
        self._node, self._along, self._coords = node, along, coords

    def __getattr__(self, name: str) -> Any:
        node = self._node
        if name.startswith("_"):
            raise AttributeError(name)
        if node.form is Form.dataset and name in (node.names or {}):
            return self[name]
        if name == "data_vars" and node.names is not None:
            return [one for one in node.names if one not in self._coords]
        if name == "pipe":
            return lambda function, *args, **kwargs: function(self, *args, **kwargs)
        if name in {"items", "keys"}:
            self.__array__()  # what Xarray's own functions ask of what they do not know
        if name in _VALUES:
            raise refused(f".{name} looks at what the data are, and a view is planned before it has any.")
        if name == "dt" and node.form is Form.array:
            return self._made(operations.call(Attribute(name), (node,), {}, self._along, Form.times, name))
        if node.form is Form.times:
            return self._made(operations.call(Attribute(name), (node,), {}, self._along, Form.array, name))
        if node.form is Form.free and not _is_method(name):
            return self._made(operations.call(Attribute(name), (node,), {}, self._along, Form.free, name))
        return lambda *args, **kwargs: self._made(
            operations.method(node, name, plain(args), plain(kwargs), self._along)
        )

    def __getitem__(self, key: Any) -> "Traced":
        node, key = self._node, plain(key)
        if node.form is Form.free:
            return self._made(operations.call(operator.getitem, (node, key), {}, self._along, Form.free, "[…]"))
        if node.form is not Form.dataset or not isinstance(key, str | list):
            raise refused("[…] with positions or values chooses rows.", "Use isel or sel on other dimensions.")
        names = node.names
        wanted = [key] if isinstance(key, str) else [str(one) for one in key]
        missing = [one for one in wanted if names is not None and one not in names]
        if missing:
            raise refused(f"There is no variable {missing[0]!r}; there are {', '.join(names or ())}.", "Name another.")
        runs = names is None or any(names[one] for one in wanted)
        form = Form.array if isinstance(key, str) else Form.dataset
        kept = None
        if form is Form.dataset and names is not None:
            kept = {one: runs for one, runs in names.items() if one in wanted or one in self._coords}
        found = operations.call(operator.getitem, (node, key), {}, self._along, form, f"[{key!r}]", kept)
        if runs:
            return self._made(found)
        return self._made(Node(found.function, found.args, found.kwargs, Form.free, None))

    def __setitem__(self, key: str, value: Any) -> None:
        if self._node.form is not Form.dataset:
            raise refused("An array is written into.", "Use where(condition, other).")
        self._node = operations.method(self._node, "assign", (), {key: plain(value)}, self._along)

    def __iter__(self) -> Iterator[str]:
        if self._node.form is Form.dataset and self._node.names is not None:
            return iter(self.data_vars)
        raise refused("Iteration looks at how many there are.", "Write one operation for all.")

    def __contains__(self, key: object) -> bool:
        if self._node.form is Form.dataset and self._node.names is not None:
            return key in self._node.names
        raise refused("`in` looks at values.", "Use isin.")

    def __array_ufunc__(self, ufunc: np.ufunc, how: str, *inputs: Any, **kwargs: Any) -> "Traced":
        if how != "__call__" or ufunc.nout != 1 or kwargs.get("out") is not None:
            raise refused(f"np.{ufunc.__name__}.{how} is not known to keep to its rows.")
        return self._made(_alike(ufunc, plain(inputs), plain(kwargs), self._along, f"np.{ufunc.__name__}"))

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> Any:
        raise refused(f"np.{function.__name__} is not known to keep to its rows.", "Use Xarray's own method.")

    def __bool__(self) -> bool:
        raise refused("The function asks whether a value is true, and a view is planned before it has any.")

    def __float__(self) -> float:
        raise refused("The function looks at a value, and a view is planned before it has any.")

    def __len__(self) -> int:
        raise refused("The function asks how many rows there are, and they grow.")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise refused(
            "The function hands the data to something that takes plain arrays, where nothing can be followed.",
            "Use Xarray's own methods (x.where(condition, other) for xr.where), or declare halo=(before, after).",
        )

    __int__ = __index__ = __len__

    def _made(self, node: Node) -> "Traced":
        return Traced(node, self._along, self._coords)


def trace(function: Callable[[Any], Any], ds: xr.Dataset, along: str) -> tuple[Node, Node]:
    """The node of the source, and that of a function's result."""
    names = {str(name): along in variable.dims for name, variable in ds.variables.items()}
    source = operations.source(names, along)
    traced = Traced(source, along, frozenset(map(str, ds.coords)))
    return source, _result(plain(function(traced)), along, getattr(function, "__name__", "view"))


def recorded(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], make: Any) -> Any:
    """Call a function of this package, or write its call down when it was given a stand-in."""
    traced = next((one for one in [*args, *kwargs.values()] if isinstance(one, Traced)), None)
    if traced is None:
        return function(*args, **kwargs)
    return traced._made(make(plain(args), plain(kwargs), traced._along))


def plain(value: Any) -> Any:
    """Arguments with nodes in place of stand-ins."""
    if isinstance(value, Traced):
        return value._node
    if type(value) in {list, tuple}:
        return type(value)(plain(one) for one in value)
    if type(value) is dict:
        return {key: plain(one) for key, one in value.items()}
    return value


def dataset(named: Mapping[str, xr.DataArray]) -> xr.Dataset:
    return xr.Dataset(dict(named))


def _result(value: Any, along: str, name: str) -> Node:
    if isinstance(value, dict) and value and all(isinstance(one, Node) for one in value.values()):
        return operations.call(dataset, (value,), {}, along, Form.dataset, "the dict", None, keeps_groups=True)
    if not isinstance(value, Node):
        raise refused(f"The function gives {type(value).__name__}.", "Let it give what it made of the dataset.")
    if value.form not in {Form.dataset, Form.array, Form.free}:
        raise refused(f"The function gives a {value.form}, which is not data yet.", "Add .mean() or the like.")
    if value.axis is None and not value.reduced:
        raise refused(f"What the function gives does not depend on {along!r}.", "Then it needs no view.")
    return operations.call(_Named(name), (value,), {}, along, Form.dataset, "the result", None, keeps_groups=True)


class _Named:
    """An array becomes a dataset, under its own name or its view's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, value: Any) -> xr.Dataset:
        if isinstance(value, xr.Dataset):
            return value
        return value.to_dataset(name=value.name or self.name)  # type: ignore[no-any-return]

    def __dask_tokenize__(self) -> str:
        return self.name


def _alike(function: Callable[..., Any], args: Any, kwargs: Any, along: str, name: str) -> Node:
    """An operator or universal function: form and variables are those of its operands."""
    inputs = [one for one in nodes((args, kwargs)) if one.axis is not None]
    form = Form.array
    names: dict[str, bool] | None = None
    if any(
        one.form is Form.dataset or (one.form is Form.groupby and one.args[0].form is Form.dataset) for one in inputs
    ):
        form = Form.dataset
        names = {}
        for one in inputs:
            names |= {key: runs or names.get(key, False) for key, runs in (one.names or {}).items()}
        names = {} if any(one.names is None and one.form is Form.dataset for one in inputs) else names
    for one in inputs:
        if one.form not in {Form.dataset, Form.array, Form.groupby}:
            raise refused(f"{name} is given a {one.form}, which is not data yet.", "Add .mean() or the like.")
    return operations.call(function, args, kwargs, along, form, name, names or None, keeps_groups=True)


def _is_method(name: str) -> bool:
    return callable(getattr(xr.Dataset, name, None)) or callable(getattr(xr.DataArray, name, None))


def _operator(name: str, function: Callable[..., Any], swapped: bool) -> Callable[..., Any]:
    def method(self: Traced, *others: Any) -> Traced:
        operands = (*others, self) if swapped else (self, *others)
        return self._made(_alike(function, plain(operands), {}, self._along, name))

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"):
    _function = getattr(operator, _name)
    setattr(Traced, f"__{_name.strip('_')}__", _operator(_name, _function, False))
    setattr(Traced, f"__r{_name.strip('_')}__", _operator(_name, _function, True))
for _name in ("lt", "le", "eq", "ne", "gt", "ge", "neg", "pos", "abs", "invert"):
    setattr(Traced, f"__{_name}__", _operator(_name, getattr(operator, _name), False))
