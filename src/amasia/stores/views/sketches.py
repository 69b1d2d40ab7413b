"""Summaries that can be kept current: they are counts, so what was counted can be taken away again."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from amasia import errors
from amasia.stores.views import operations
from amasia.stores.views.expressions import Form, Node, Reduction, nodes
from amasia.stores.views.tracing import recorded

type Counts = npt.NDArray[np.int64]


def histogram(da: Any, bins: Sequence[float], dim: str | Sequence[str]) -> Any:
    """Count values in bins, over some dimensions.

    Parameters
    ----------
    da
        An array, or what a view's function was given.
    bins
        Edges, rising. A bin holds its left edge; the last one holds its right edge too. Others are not counted, NaN
        neither.
    dim
        Counted over. In a view it has the dimension that the view runs along.

    Returns
    -------
    DataArray
        Integers along ``bin`` (the middle of each, with its edges beside it) and the other dimensions.
    """
    edges = np.asarray(bins, "float64")
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise errors.InvalidRequest("The edges of a histogram do not rise.", cure="Give two or more rising numbers.")
    return recorded(_histogram, (da, tuple(edges.tolist()), _names(dim)), {}, _histogram_node)


def quantile_sketch(
    da: Any, q: float | Sequence[float], dim: str | Sequence[str], accuracy: float = 0.01, smallest: float = 1e-6
) -> Any:
    """Quantiles from logarithmic bins: each is right within ``accuracy`` of its own size.

    Parameters
    ----------
    da
        An array, or what a view's function was given.
    q
        Between 0 and 1.
    dim
        Taken over. In a view it has the dimension that the view runs along.
    accuracy
        Relative; half of it costs twice as many bins.
    smallest
        Smaller values count as 0.

    Returns
    -------
    DataArray
        Along ``quantile`` and the other dimensions. NaN where there was no value.
    """
    wanted = (float(q),) if isinstance(q, int | float) else tuple(float(one) for one in q)
    if not wanted or not all(0 <= one <= 1 for one in wanted):
        raise errors.InvalidRequest(f"q is {q!r}.", cure="Give numbers between 0 and 1.")
    if not (0.0001 <= accuracy < 0.5 and smallest > 0):
        raise errors.InvalidRequest(
            f"accuracy is {accuracy} and smallest {smallest}.", cure="Give an accuracy in [0.0001, 0.5), smallest > 0."
        )
    return recorded(_quantiles, (da, wanted, _names(dim), accuracy, smallest), {}, _quantiles_node)


def regrid(da: Any, weights: Any, dims: Sequence[str], onto: Mapping[str, Any]) -> Any:
    """Apply a fixed linear operator to some dimensions, row by row.

    Parameters
    ----------
    da
        An array, or what a view's function was given.
    weights
        A matrix, dense or of `scipy.sparse`: (cells of the new grid, cells of the old grid).
    dims
        Of the old grid, in the order in which its cells are counted.
    onto
        New dimensions and their coordinates (or lengths), in the order in which their cells are counted.
    """
    return recorded(_regrid, (da, weights, tuple(dims), dict(onto)), {}, _regrid_node)


def count(values: npt.NDArray[Any], edges: Sequence[float]) -> Counts:
    """Counts by bin over the first axis: (bins, the other axes)."""
    bins = np.asarray(edges)
    places = np.searchsorted(bins, values, side="right") - 1
    places = np.where(values == bins[-1], len(bins) - 2, places)
    inside = (places >= 0) & (places < len(bins) - 1) & ~np.isnan(values)
    return _counted(places, inside, len(bins) - 1)


def keys(values: npt.NDArray[Any], accuracy: float, smallest: float) -> npt.NDArray[np.int64]:
    """The logarithmic bin of each value: 0 for zero, rising with the value. Infinity counts as the largest float."""
    size = np.minimum(np.abs(np.nan_to_num(values.astype("float64"), nan=0.0, posinf=1e308, neginf=-1e308)), 1e308)
    step = np.log1p(2 * accuracy / (1 - accuracy))
    with np.errstate(divide="ignore"):
        found = np.ceil(np.log(size / smallest) / step) + 1
    found = np.where(size < smallest, 0, np.maximum(found, 1))
    return (np.sign(values) * found).astype("int64", copy=False) if values.size else found.astype("int64")


def count_keys(values: npt.NDArray[Any], accuracy: float, smallest: float) -> tuple[Counts, int]:
    """Counts by logarithmic bin over the first axis, and the key of the first."""
    valid = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    found = keys(np.where(valid, values, 0), accuracy, smallest)
    if not valid.any():
        return np.zeros((0, *values.shape[1:]), "int64"), 0
    low = int(found[valid].min())
    return _counted(found - low, valid, int(found[valid].max()) - low + 1), low


def quantiles(
    counts: Counts, low: int, q: Sequence[float], accuracy: float, smallest: float
) -> npt.NDArray[np.float64]:
    """(q, other axes) from counts by logarithmic bin."""
    total = counts.sum(axis=0)
    upto = np.cumsum(counts, axis=0)
    step = np.log1p(2 * accuracy / (1 - accuracy))
    names = np.arange(low, low + len(counts), dtype="float64")
    middle = np.sign(names) * smallest * np.exp((np.abs(names) - 1) * step) * (1 - accuracy)
    middle[names == 0] = 0.0
    found = []
    for one in q:
        rank = np.floor(one * np.maximum(total - 1, 0))
        place = (upto <= rank).sum(axis=0)
        value = middle[np.minimum(place, len(counts) - 1)] if len(counts) else np.zeros(total.shape)
        found.append(np.where(total > 0, value, np.nan))
    return np.stack(found)


def _histogram(da: xr.DataArray, edges: tuple[float, ...], dims: tuple[str, ...]) -> xr.DataArray:
    values, rest = _rows(da, dims)
    middle = (np.asarray(edges[:-1]) + np.asarray(edges[1:])) / 2
    coords = {"bin": middle, "bin_left": ("bin", list(edges[:-1])), "bin_right": ("bin", list(edges[1:]))}
    return _like(da, count(values, edges), ("bin", *rest), coords)


def _quantiles(
    da: xr.DataArray, q: tuple[float, ...], dims: tuple[str, ...], accuracy: float, smallest: float
) -> xr.DataArray:
    values, rest = _rows(da, dims)
    counts, low = count_keys(values, accuracy, smallest)
    found = quantiles(counts, low, q, accuracy, smallest)
    return _like(da, found, ("quantile", *rest), {"quantile": list(q)})


def _regrid(da: Any, weights: Any, dims: tuple[str, ...], onto: dict[str, Any]) -> Any:
    if isinstance(da, xr.Dataset):
        return da.map(lambda one: _regrid(one, weights, dims, onto) if set(dims) <= set(one.dims) else one)
    rest = [dim for dim in da.dims if dim not in dims]
    values = da.transpose(*rest, *dims).values
    sizes = [one if isinstance(one, int) else len(one) for one in onto.values()]
    flat = values.reshape(-1, int(np.prod([da.sizes[dim] for dim in dims])))
    made = np.asarray((weights @ flat.T).T).reshape(*values.shape[: len(rest)], *sizes)
    coords = {key: one for key, one in onto.items() if not isinstance(one, int)}
    return _like(da, made, (*map(str, rest), *onto), coords, rest)


def _like(
    da: xr.DataArray,
    values: npt.NDArray[Any],
    dims: tuple[str, ...],
    coords: Mapping[str, Any],
    kept: Sequence[Hashable] | None = None,
) -> xr.DataArray:
    """Values with those of an array's coordinates that still fit."""
    rest = set(dims if kept is None else kept)
    fitting = {name: one for name, one in da.coords.items() if set(one.dims) <= rest and name not in coords}
    return xr.DataArray(values, dims=dims, coords={**fitting, **coords}, name=da.name, attrs=da.attrs)


def _rows(da: xr.DataArray, dims: tuple[str, ...]) -> tuple[npt.NDArray[Any], list[str]]:
    """Values with the dimensions that are reduced as one first axis, and the names of the others."""
    rest = [str(dim) for dim in da.dims if dim not in dims]
    values = da.transpose(*dims, *rest).values
    return values.reshape(-1, *values.shape[len(dims) :]), rest


def _counted(places: Any, inside: npt.NDArray[np.bool_], bins: int) -> Counts:
    shape = places.shape[1:]
    cells = int(np.prod(shape))
    flat = places.reshape(len(places), cells) * cells + np.arange(cells)
    found = np.bincount(flat[inside.reshape(len(places), cells)].astype("int64"), minlength=bins * cells)
    return found.reshape(bins, *shape).astype("int64")


def _names(dim: str | Sequence[str]) -> tuple[str, ...]:
    return (dim,) if isinstance(dim, str) else tuple(dim)


def _histogram_node(args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    return _sketch(_histogram, "histogram", args, along, {"edges": args[1]})


def _quantiles_node(args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    options = {"q": args[1], "accuracy": args[3], "smallest": args[4]}
    return _sketch(_quantiles, "quantile_sketch", args, along, options)


def _sketch(function: Any, op: str, args: tuple[Any, ...], along: str, options: dict[str, Any]) -> Node:
    over, dims = args[0], args[2]
    if along not in dims:
        return operations.call(function, args, {}, along, Form.array, op)
    if over.form is not Form.array or over.axis is None:
        raise operations.refused(f"{op} was given a {over.form}.", "Give it one variable: ds['t2m'].")
    return operations.reduction(function, args, {}, Reduction(op, over, dims, None, options), over.words)


def _regrid_node(args: tuple[Any, ...], kwargs: dict[str, Any], along: str) -> Node:
    if along in args[2] or along in args[3]:
        raise operations.refused(f"regrid over {along!r} puts rows together.", "Use interp on the other dimensions.")
    over: Node = args[0]
    if over.axis is None or any(True for _ in nodes(args[1:])):
        raise operations.refused("regrid was given something that does not grow.", "Do it before, and give the result.")
    return Node(_regrid, args, {}, over.form, over.axis, over.names, words=over.words | {"regrid"})
