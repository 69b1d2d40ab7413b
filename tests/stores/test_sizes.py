"""What one commit added, on S3 and in a directory, held against the objects themselves."""

from collections.abc import Callable

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr

from amasia import errors
from amasia.stores import leases, objects, repositories, sizes, writing


def commit(source: leases.Source, change: Callable[[icechunk.Session], object]) -> str:
    session = repositories.open(source).writable_session("main")
    change(session)
    return repositories.commit(source, session, "x", {})


def test_each_commit_added_what_is_there_since_and_was_not_before(source: leases.Source) -> None:
    """Chunks of several arrays, one written again, tiny ones that live in the manifests, one forgotten array."""
    administrator = source.as_mode("administer")

    def there() -> dict[str, int]:
        found = objects.find(leases.current(administrator))
        return {one.key: one.nbytes for one in found if one.key.partition("/")[0] not in ("repo", "overwritten")}

    repo = repositories.open(source)
    values = np.random.default_rng(1).normal(size=(6, 4000))
    whole = xr.Dataset({"v": (("t", "x"), values), "w": ("x", values[0])}, {"t": np.arange(6)})
    parent, before = repo.lookup_branch("main"), there()
    for change in (
        lambda session: writing.write(session, whole, chunks={"t": 1, "x": 4000}),
        lambda session: zarr.open_array(session.store, path="v").set_basic_selection(2, values[3]),
        lambda session: writing.write(session, whole.drop_vars("w"), mode="w", chunks={"t": 6, "x": 1000}),
    ):
        snapshot = commit(source, change)
        after = there()
        new = {key: nbytes for key, nbytes in after.items() if key not in before}
        found = sizes.added(administrator, repositories.open(source), snapshot, parent)
        assert found.nbytes == sum(new.values())
        assert found.chunks_nbytes == sum(nbytes for key, nbytes in new.items() if key.startswith("chunks/")) > 20_000
        parent, before = snapshot, after


def test_attributes_cost_no_chunk_and_a_snapshot_that_is_not_there_is_said(source: leases.Source) -> None:
    ds = xr.Dataset({"v": ("x", np.random.default_rng(2).random(5000))})
    base = commit(source, lambda session: writing.write(session, ds))
    titled = commit(source, lambda session: zarr.open_group(session.store).attrs.update(title="A title"))
    repo = repositories.open(source)
    found = sizes.added(source, repo, titled, base)
    assert found.chunks_nbytes == 0 < found.nbytes < 5000
    with pytest.raises(errors.NotFound):
        sizes.added(source, repo, "1CECHNKREP0F1RSTCM99", base)
