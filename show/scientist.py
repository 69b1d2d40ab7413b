"""``python -m show.scientist DIARY SEED``: someone who works all day while the control plane is killed again and again.

Each thing that was acknowledged goes into the diary as a JSON line before the next one begins. SIGTERM ends the day.
"""

import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import amasia
from amasia import clusters, errors, repositories

PATIENCE = 90.0
SPEC = {"worker_memory": "512 MiB", "quiet": True}
OWN, SHARED = "demo/desk", "demo/field"
"""What the scientist's own process commits to, and what the workers commit to."""

over = threading.Event()
writing = threading.Lock()


def main(diary: Path, seed: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    out = diary.open("a", buffering=1)

    def note(what: str, **facts: Any) -> None:
        with writing:
            out.write(json.dumps({"what": what, "at": time.time(), **facts}) + "\n")

    for name in (OWN, SHARED):
        again(note, lambda name=name: create(name))
    threads = [
        threading.Thread(target=day, args=(note, random.Random(seed + n))) for n, day in enumerate((desk, field))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    note("over")


def create(name: str) -> None:
    with contextlib.suppress(errors.Conflict):
        repositories.create(name)
    amasia.open_repo(name)  # it may have been asked for before a kill


def desk(note: Callable[..., None], dice: random.Random) -> None:
    """Small appends from this process, each in a commit."""
    while not over.is_set():
        note("committing", repository=OWN)
        snapshot = again(note, lambda: write(OWN))
        if snapshot:
            note("committed", repository=OWN, snapshot=snapshot)
        over.wait(dice.uniform(0.2, 1.5))


def field(note: Callable[..., None], dice: random.Random) -> None:
    """Clusters: started, used, scaled, and stopped or left to their idle stop."""
    turn = 0
    while not over.is_set():
        turn += 1
        name = f"field-{turn}"
        try:
            visit(note, dice, name)
        except errors.AmasiaError as error:
            note("trouble", name=name, kind=error.kind, text=str(error)[:500])
            again(note, lambda name=name: stop(name))
        except Exception as error:  # Dask's own, where a cluster ended under a task
            note("trouble", name=name, kind=type(error).__name__, text=str(error)[:500])
            again(note, lambda name=name: stop(name))


def visit(note: Callable[..., None], dice: random.Random, name: str) -> None:
    note("creating", name=name)
    cluster = again(note, lambda: amasia.Cluster(dice.choice((1, 1, 2)), name=name, idle_timeout="12 s", **SPEC))
    if cluster is None:
        return
    note("created", name=name, id=cluster.id)
    with cluster.get_client() as client:
        for _ in range(dice.randint(1, 3)):
            note("committing", repository=SHARED)
            snapshot = client.submit(write, SHARED, pure=False).result(timeout=PATIENCE)
            note("committed", repository=SHARED, snapshot=snapshot)
        if dice.random() < 0.4:
            note("scaling", name=name)
            again(note, lambda: clusters.scale(name, dice.choice((1, 2, 3))))
            over.wait(dice.uniform(0, 3))
    if dice.random() < 0.6:
        note("stopping", name=name)
        again(note, lambda: stop(name))
    else:
        note("leaving", name=name)
    cluster.created = False  # so that close() leaves it to what was decided
    again(note, cluster.close)


def stop(name: str) -> None:
    try:
        clusters.stop(name)
    except errors.NotFound:
        return


def write(repository: str) -> str:
    """One small commit; its snapshot is told only when it is there. The first makes the group, the others append."""
    repo, at = amasia.open_repo(repository, mode="write"), time.time_ns()
    data = xr.Dataset({"level": (("at", "x"), np.full((1, 8), at % 1000, dtype="f4"))}, coords={"at": [at]})
    if repo.groups():
        return repo.append(data, "at", f"reading {at}", group="gauge")
    return repo.write(data, f"reading {at}", group="gauge", growing="at")


def again[T](note: Callable[..., None], act: Callable[[], T]) -> T | None:
    """Repeat while the control plane is away, as a patient person would; None when it was for nothing."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (errors.Unavailable, errors.TimedOut, errors.Conflict) as error:
            note("waiting", kind=error.kind, text=str(error)[:300])
            if time.monotonic() > end:
                note("gave up", kind=error.kind, text=str(error)[:500])
                return None
            time.sleep(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
