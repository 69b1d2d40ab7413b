"""Line 7: what goes through Amasia, beside plain Icechunk on the same store with the same codecs, in one run."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

import amasia
from benchmarks.peers import plain
from show import planes
from show.lines import Line
from show.planes import Plane

ROUNDS = {"written": 9, "read": 41}
"""A read takes a third of a second, in which a neighbour is heard: single pairs differ by a tenth."""
SIZE = (160, 512, 512)
"""160 MiB of float32."""
CHUNKS = {"time": 16, "y": 512, "x": 512}
GOAL = 0.95


def lines(dose: float, base: Path) -> Iterator[Line]:
    """The process becomes a client of a control plane of its own; rounds alternate, so that both see the same noise."""
    place = Plane(base)
    with planes.cleared(place):
        place.up()
        os.environ.update({key: value for key, value in place.client().items() if key.startswith("AMASIA_")})
        yield from _lines({what: max(3, round(rounds * dose)) for what, rounds in ROUNDS.items()})


def _lines(rounds: dict[str, int]) -> Iterator[Line]:
    amasia.repositories.create("demo/bench")
    repo = amasia.open_repo("demo/bench", mode="write")
    peer = plain(repo)
    values = np.random.default_rng(1).normal(size=SIZE).astype("float32").round(2)
    ds = xr.Dataset({"t": (("time", "y", "x"), values)})

    def write() -> None:
        repo.write(ds, "bench", group="ours", mode="w", chunks=CHUNKS, inputs=())

    write()
    encoding = {"t": {"chunks": tuple(CHUNKS.values()), "compressors": repo.to_xarray("ours")["t"].encoding["compressors"]}}  # fmt: skip # noqa: E501

    def write_plain() -> None:
        session = peer.writable_session("main")
        to_icechunk(ds, session, group="plain", mode="w", encoding=encoding)
        session.commit("bench")

    def read() -> None:
        xr.open_dataset("amasia://demo/bench", engine="amasia", group="ours").load()

    def read_plain() -> None:
        xr.open_zarr(peer.readonly_session("main").store, group="plain", consolidated=False, chunks=None).load()

    yield _beside("written", write, write_plain, rounds["written"], ds.nbytes)
    yield _beside("read", read, read_plain, rounds["read"], ds.nbytes)


def _beside(what: str, ours: Callable[[], None], theirs: Callable[[], None], rounds: int, nbytes: int) -> Line:
    ours(), theirs()  # neither pays for what only the first time costs
    pairs = [_pair(ours, theirs, number) for number in range(rounds)]
    ratio = statistics.median(their / our for our, their in pairs)
    mine, peers = (nbytes / 1e6 / statistics.median(column) for column in zip(*pairs, strict=True))
    figure = f"{ratio:.3f} ({mine:.0f} and {peers:.0f} MB/s)"
    return Line(7, f"{what} through Amasia over plain Icechunk, median of {rounds} alternating rounds", figure,
                f"{GOAL}", ratio >= GOAL)  # fmt: skip


def _pair(ours: Callable[[], None], theirs: Callable[[], None], number: int) -> tuple[float, float]:
    """Seconds of one each; who is first alternates."""
    if number % 2:
        late = _seconds(theirs)
        return _seconds(ours), late
    return _seconds(ours), _seconds(theirs)


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
