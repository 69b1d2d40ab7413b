"""Inputs are found in what a dataset still holds."""

import pickle

import numpy as np
import xarray as xr

from amasia.models.repositories import Input
from amasia.stores import leases, lineage, repositories, writing


def made(source: leases.Source, name: str, chunks) -> tuple[xr.Dataset, Input]:
    ds = xr.Dataset({name: ("x", np.arange(12.0))}, {"x": np.arange(12)})
    session = repositories.open(source).writable_session("main")
    writing.write(session, ds, name)
    repositories.commit(source, session, "put", {})
    store = lineage.mark(repositories.open(source).readonly_session("main"), f"demo/{name}")
    return xr.open_zarr(store, group=name, consolidated=False, chunks=chunks), store.origin


def test_a_graph_tells_all_its_inputs_and_no_others(on_disk: leases.Source) -> None:
    (a, from_a), (b, from_b), (_, from_c) = (made(on_disk, name, {"x": 4}) for name in "abc")
    assert from_a.snapshot != from_b.snapshot
    result = (a.a.rolling(x=3).mean() - b.b.mean()).to_dataset(name="r")
    assert set(lineage.inputs(result)) == {from_a, from_b}
    assert set(lineage.inputs(a + 1)) == {from_a}
    assert from_c in lineage.opened()


def test_a_lazy_dataset_without_dask_tells_its_input(on_disk: leases.Source) -> None:
    a, from_a = made(on_disk, "a", None)
    assert lineage.inputs(a.isel(x=slice(2))) == (from_a,)


def test_what_was_loaded_counts_everything_that_was_opened(on_disk: leases.Source) -> None:
    (a, from_a), (_, from_b) = made(on_disk, "a", None), made(on_disk, "b", None)
    assert {from_a, from_b} <= set(lineage.inputs(a.compute() * 2))


def test_functions_in_a_graph_do_not_hide_its_inputs(on_disk: leases.Source) -> None:
    a, from_a = made(on_disk, "a", {"x": 4})
    factor = 3.0
    result = xr.apply_ufunc(lambda block: block * factor, a, dask="parallelized", output_dtypes=["f8"])
    assert lineage.inputs(result) == (from_a,)


def test_the_mark_survives_pickling_and_the_values_are_the_same(on_disk: leases.Source) -> None:
    a, from_a = made(on_disk, "a", {"x": 4})
    again = pickle.loads(pickle.dumps(a))
    assert lineage.inputs(again) == (from_a,)
    xr.testing.assert_equal(again.compute(), a.compute())
