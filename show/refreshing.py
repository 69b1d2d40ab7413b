"""Line 4: ``kill -9`` of processes that refresh views, at random moments, one or two of them at a time.

``python -m show.refreshing --dose 0.1 --seed 7`` runs it alone.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import icechunk
from filelock import FileLock

from amasia.models.views import ViewKind
from amasia.stores import views
from show import histories
from show.lines import Line

KILLS = 200
PRELOADED = ["pandas", "xarray", "scipy.sparse", "zarr", "distributed", "cftime", "filelock", "pydantic"]
VIEWS = {
    "monthly": (ViewKind.resample, "monthly means"),
    "climatology": (ViewKind.groupby, "monthly climatology"),
    "extremes": (ViewKind.reduction, "range"),
}


def refresh(folder: Path, seed: int, begun: Any) -> None:
    """Bring every view up to date; in a process of its own, which says when it begins."""
    begun.set()
    chance = random.Random(seed)
    icechunk.set_logs_filter("error")
    for name in chance.sample(list(VIEWS), len(VIEWS)):
        kind, function = VIEWS[name]

        def commit(session: icechunk.Session, message: str, metadata: dict[str, Any], name: str = name) -> str:
            # A directory does not compare and swap; Amasia's own commits hold such a lock too.
            with FileLock(folder / f"{name}.lock"):
                return histories.commit(session, message, metadata)

        views.refresh(
            _open(folder / "source"),
            _open(folder / name),
            histories.definition(kind, histories.FUNCTIONS[kind][function]),
            view="v",
            source_name="s",
            commit=commit,
            coalesce=chance.random() < 0.3,
        )


def lines(dose: float, seed: int, base: Path) -> Iterator[Line]:
    chance = random.Random(seed)
    wanted = max(3, round(KILLS * dose))
    # Icechunk does not live through a fork: each process imports it for itself, and finds the rest loaded.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    folder = Path(tempfile.mkdtemp(dir=base))
    source = histories.Source(seed, _make(folder / "source"))
    for name in VIEWS:
        _make(folder / name)

    def start() -> BaseProcess:
        begun = processes.Event()
        process = processes.Process(target=refresh, args=(folder, chance.randrange(10**6), begun))
        process.start()
        begun.wait(60)
        return process

    took = []
    for _ in range(3 if dose > 0.1 else 1):
        source.step()
        process = start()
        began = time.monotonic()
        process.join()
        took.append(time.monotonic() - began)
    kills = rounds = failed = 0
    while kills < wanted and rounds < 5 * wanted:
        rounds += 1
        source.step()
        running = [start() for _ in range(chance.choice([1, 1, 2]))]
        for process in running:
            process.join(chance.uniform(0, 1.1 * statistics.median(took)))
            if process.exitcode is None:
                process.kill()
                kills += 1
            process.join()
            failed += process.exitcode not in {0, -9}
        if chance.random() < 0.1:
            last = start()
            began = time.monotonic()
            last.join()
            failed += last.exitcode != 0
            took.append(time.monotonic() - began)
    last = start()
    last.join()
    failed += last.exitcode != 0
    yield from _compared(folder, source, kills, rounds, failed)


def _compared(folder: Path, source: histories.Source, kills: int, rounds: int, failed: int) -> Iterator[Line]:
    found = histories.Tried()
    for name, (kind, function) in VIEWS.items():
        target = _open(folder / name)
        histories.check_once(source.repository, target, found, name)
        if histories.applied_by(target)[-1] != next(iter(source.repository.ancestry(branch="main"))).id:
            found.wrong.append(f"{name} is behind")
        try:
            made = histories.FUNCTIONS[kind][function]
            found.values += histories.compare(kind, made, source.whole(), target)
        except AssertionError as error:
            found.wrong.append(f"{name}: {error}")
    commits = len(list(source.repository.ancestry(branch="main"))) - 2
    figure = f"{kills} kills in {rounds} rounds, {commits} source commits, {len(found.wrong)} wrong, {failed} failed"
    holds = not found.wrong and not failed and kills > 0
    yield Line(
        4, "views under kill -9: each source commit once", figure, "0 wrong", holds, "; ".join(found.wrong)[:900]
    )


def _make(folder: Path) -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder)))


def _open(folder: Path) -> icechunk.Repository:
    return icechunk.Repository.open(icechunk.local_filesystem_storage(str(folder)))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dose", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    icechunk.set_logs_filter("error")
    with tempfile.TemporaryDirectory(prefix="amasia-show-") as base:
        found = list(lines(arguments.dose, arguments.seed, Path(base)))
    for line in found:
        print("yes" if line.holds else "NO ", line.what, line.figure, line.detail)
    return 0 if all(line.holds for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
