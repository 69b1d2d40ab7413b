"""What one request may cost, without the libraries that ask."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from fastapi.responses import JSONResponse

from amasia import errors
from amasia.integrations.publishing import bounds
from amasia.integrations.publishing.bounds import Allowance, Bounded, metered


@pytest.fixture
def ds() -> xr.Dataset:
    store = zarr.storage.MemoryStore()
    xr.Dataset({"v": (("t", "x"), np.arange(1000.0).reshape(10, 100))}).to_zarr(
        store, zarr_format=3, consolidated=False, encoding={"v": {"chunks": (10, 10)}}
    )
    return metered(xr.open_zarr(store, chunks=None, consolidated=False))


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Allowance:
    found = Allowance(1600)
    bounds._allowance.set(found)
    return found


def test_what_is_read_is_what_is_there_however_it_is_indexed(ds: xr.Dataset) -> None:
    bounds._allowance.set(None)
    own = np.arange(1000.0).reshape(10, 100)
    np.testing.assert_array_equal(ds.v.values, own)
    np.testing.assert_array_equal(ds.v[2:9:3, ::-7].values, own[2:9:3, ::-7])
    np.testing.assert_array_equal(ds.v[[1, 3], [5, 5, 7]].values, own[[1, 3]][:, [5, 5, 7]])
    points = {"t": ("p", [0, 9, 9]), "x": ("p", [99, 0, 5])}
    np.testing.assert_array_equal(ds.v.isel({k: xr.DataArray(v[1], dims=v[0]) for k, v in points.items()}).values,
                                  own[[0, 9, 9], [99, 0, 5]])  # fmt: skip
    assert float(ds.v[3, 4]) == own[3, 4]
    np.testing.assert_array_equal(asyncio.run(ds[["v"]].isel(t=slice(1, 3)).load_async()).v.values, own[1:3])


def test_reading_more_than_is_allowed_is_refused_before_it_is_read(ds: xr.Dataset, allowed: Allowance) -> None:
    assert ds.v[:2].values.nbytes == 1600
    with pytest.raises(errors.TooLarge, match="'v'"):
        ds.v[0, 0].load()
    assert isinstance(allowed.refusal, errors.TooLarge)


def test_the_chunks_around_a_part_count_too(ds: xr.Dataset, allowed: Allowance) -> None:
    allowed.bytes = 100
    assert [float(ds.v[0, x]) for x in (0, 10)] == [0, 10]
    assert (allowed.taken, allowed.read) == (16, 1600)
    with pytest.raises(errors.TooLarge, match="chunks"):
        ds.v[0, 20].load()


def ask(app: Bounded) -> tuple[Coroutine[Any, Any, None], list[int]]:
    """One request, and the status of its answer when it was awaited."""
    told: list[int] = []

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    async def receive():
        await asyncio.sleep(3600)

    async def run() -> None:
        await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    return run(), told


def bounded(app, **options) -> Bounded:
    def answer(error):
        return JSONResponse({}, status_code=error.status)

    return Bounded(app, **{"most": 1, "seconds": 5, "bytes": 1, "answer": answer} | options)


def test_a_request_that_takes_too_long_is_answered_and_keeps_its_turn() -> None:
    end = threading.Event()

    async def slow(scope, receive, send) -> None:
        await asyncio.to_thread(end.wait, 5)
        await JSONResponse({})(scope, receive, send)

    async def story() -> None:
        app = bounded(slow, seconds=0.1)
        (first, told), (second, told_second) = ask(app), ask(app)
        await first
        assert told == [504]
        await second  # the turn is not free: it waits in vain
        assert told_second == [504]
        end.set()
        await asyncio.sleep(0.1)
        third, told_third = ask(app)
        await third
        assert told_third == [200]
        assert told == [504]

    asyncio.run(story())


def test_no_more_are_worked_on_at_once_than_may_be_and_a_crowd_is_turned_away() -> None:
    at_once: list[int] = []
    running = 0

    async def counted(scope, receive, send) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.01)
        running -= 1
        await JSONResponse({})(scope, receive, send)

    async def story() -> None:
        app = bounded(counted, most=2)
        asked = [ask(app) for _ in range(40)]
        await asyncio.gather(*(run for run, _ in asked))
        statuses = [told[0] for _, told in asked]
        assert max(at_once) == 2
        assert statuses.count(200) == 2 * (1 + bounds.QUEUE)
        assert statuses.count(503) == 40 - 34

    asyncio.run(story())
