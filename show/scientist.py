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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

import amasia
from amasia import clusters, errors
from amasia.client.transport import connect
from amasia.models.repositories import (
    Commit,
    CommitDone,
    CommitRequest,
    Lease,
    LeaseRequest,
    Mode,
    Provenance,
    Repository,
    RepositoryRequest,
    RepositoryStatus,
)
from amasia.stores import repositories as stores

PATIENCE = 90.0
SPEC = {"worker_memory": "512 MiB", "quiet": True}
OWN, SHARED = "desk", "field"
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
    where = "/v1/workspaces/demo/repositories"
    with contextlib.suppress(errors.Conflict):
        connect().post(where, RepositoryRequest(name=name), Repository)
    while connect().get(f"{where}/{name}", Repository, wait=5).status is not RepositoryStatus.ready:
        time.sleep(0.1)


def desk(note: Callable[..., None], dice: random.Random) -> None:
    """Small appends from this process, each in a commit."""
    step = 0
    while not over.is_set():
        note("committing", repository=OWN)
        snapshot = again(note, lambda step=step: write(OWN, step))
        if snapshot:
            note("committed", repository=OWN, snapshot=snapshot)
        step += 1
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
    cluster = again(note, lambda: amasia.Cluster(dice.choice((1, 1, 2)), name=name, idle_timeout="8 s", **SPEC))
    if cluster is None:
        return
    note("created", name=name, id=cluster.id)
    with cluster.get_client() as client:
        for _ in range(dice.randint(1, 3)):
            client.submit(pow, 2, dice.randrange(1000), pure=False).result(timeout=PATIENCE)
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


def write(repository: str, step: int) -> str:
    """One small commit; its snapshot is told only when it is there."""
    link, where = connect(), f"/v1/workspaces/demo/repositories/{repository}"

    source = partial(lend, where)
    session = stores.open(source).writable_session("main")
    data = xr.Dataset({"level": ("x", np.full(8, step, dtype="f4"))})
    to_icechunk(data, session, group="gauge", mode="w")
    begun = link.post(f"{where}/commits", CommitRequest(message=f"step {step}"), Provenance)
    snapshot = stores.commit(source, session, f"step {step}", {"amasia": begun.model_dump(mode="json")})
    link.put(f"{where}/commits/{begun.commit_id}", CommitDone(snapshot=snapshot), Commit)
    return snapshot


def lend(where: str) -> Lease:
    return connect().post(f"{where}/credentials", LeaseRequest(mode=Mode.write), Lease)


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
