"""Who looks at what was committed: one process, for a while."""

from pathlib import Path

import pytest
import xarray as xr

from amasia.client import arrays
from amasia.reconcilers import datasets
from tests.catalogs import made


def test_the_process_that_looks_at_data_is_kept_for_the_next_look_and_ends_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made(tmp_path) as catalog:
        monkeypatch.setenv("AMASIA_PROFILE", str(catalog.profile))
        catalog.repository("air")
        looked = []
        for step in range(2):
            ds = xr.Dataset({"t": ("x", [1.0, 2.0])}, attrs={"title": f"step {step}"})
            arrays.open_repo("demo/air", mode="write").write(ds, f"step {step}", mode="w")
            catalog.describe()
            looked.append(catalog.loop._child._process)
        assert looked[0] is looked[1]
        assert looked[0].poll() is None
        catalog.loop.look()
        assert looked[0].poll() is None
        monkeypatch.setattr(datasets, "KEEP", 0)
        catalog.loop.look()
        assert looked[0].poll() is not None
