"""``make bench``: an Amasia cluster beside Dask's own, and a repository beside plain Icechunk on the same store."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from distributed import Client, LocalCluster
from icechunk.xarray import to_icechunk
from rich.console import Console
from rich.table import Table

import amasia
from benchmarks import peers
from demo.places import Place
from demo.places import amasia as command

RUNS = 3
SIZE = (240, 512, 512)
"""Of the array that is written and read: 240 MiB of float32."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="amasia-bench-") as folder:
        place = Place(Path(folder))
        os.environ.update(place.variables())
        command(place, "up")
        try:
            _show([("start of 2 workers to the first result, s", *_starts()), *_throughput()])
        finally:
            command(place, "down", "--yes")


def _starts() -> tuple[float, float]:
    """Seconds of ours and of Dask's own local cluster; the first of ours builds the environment and is not counted."""
    _ours()
    return _median(_ours), _median(_local)


def _ours() -> None:
    with amasia.Cluster(n_workers=2, quiet=True) as cluster:
        cluster.get_client().submit(sum, [1, 2]).result()


def _local() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(sum, [1, 2]).result()


def _throughput() -> list[tuple[str, float, float]]:
    """MB per second written and read, through Amasia and through plain Icechunk with the same lease."""
    amasia.repositories.create("demo/bench")
    repo = amasia.open_repo("demo/bench", mode="write")
    values = np.random.default_rng(1).normal(size=SIZE).astype("float32").round(2)
    ds = xr.Dataset({"t": (("time", "y", "x"), values)})
    megabytes = ds.nbytes / 1e6
    chunks = {"time": 16, "y": 512, "x": 512}

    def write() -> None:
        repo.write(ds, "bench", group="ours", mode="w", chunks=chunks)

    def write_plain() -> None:
        session = plain.writable_session("main")
        to_icechunk(ds, session, group="plain", mode="w", encoding={"t": encoding})
        session.commit("bench")

    write()
    stored = repo.to_xarray("ours")["t"].encoding
    encoding = {"chunks": tuple(chunks.values()), "compressors": stored["compressors"]}
    plain = peers.plain(repo)
    ours, theirs = megabytes / _median(write), megabytes / _median(write_plain)

    def read() -> None:
        xr.open_dataset("amasia://demo/bench", engine="amasia", group="ours").load()

    def read_plain() -> None:
        xr.open_zarr(plain.readonly_session("main").store, group="plain", consolidated=False, chunks=None).load()

    return [
        ("write, MB/s", ours, theirs),
        ("read, MB/s", megabytes / _median(read), megabytes / _median(read_plain)),
    ]


def _median(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _show(rows: list[tuple[str, float, float]]) -> None:
    table = Table(
        "what", "Amasia", "peer", "ratio", title=f"median of {RUNS} runs; peers: LocalCluster, plain Icechunk"
    )
    for what, ours, peer in rows:
        table.add_row(what, f"{ours:.1f}", f"{peer:.1f}", f"{ours / peer:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
