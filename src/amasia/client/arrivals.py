"""New files as they land: in a directory, below a prefix, or as events that others send to the control plane."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from amasia import errors
from amasia.client import repositories
from amasia.client.inputs import request
from amasia.client.transport import connect
from amasia.models.arrivals import Arrival, ArrivalDone, ArrivalRequest, Outcome
from amasia.models.base import Page, split_repository
from amasia.stores.sources import is_remote

EVERY = 2.0
"""Seconds between two looks."""
LONGEST = 60.0
"""Seconds between two tries when the store or the control plane does not answer."""
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~")


class Taker(Protocol):
    """What takes files: `Repository.ingest` with its options."""

    def __call__(self, paths: Sequence[str], /) -> Any: ...


@dataclass
class Watch:
    """What was seen, and what is settled."""

    seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    settled: dict[str, tuple[int, float]] = field(default_factory=dict)

    def landed(self, now: dict[str, tuple[int, float]]) -> list[str]:
        """Files that did not change since the last look and are not settled as they are."""
        ready = [name for name, state in now.items() if self.seen.get(name) == state != self.settled.get(name)]
        self.seen = now
        return ready

    def settle(self, names: Iterable[str]) -> None:
        self.settled |= {name: self.seen[name] for name in names}


def create(repository: str, urls: Iterable[str]) -> list[Arrival]:
    """Say that files landed; whoever watches the repository takes them."""
    page = connect().post(_path(repository), request(ArrivalRequest, urls=tuple(urls)), Page[Arrival])
    return list(page.items)


def find(repository: str, outcome: Outcome | None = None) -> list[Arrival]:
    """Arrivals of a repository, the oldest first."""
    wanted = {"outcome": outcome.value} if outcome else {}
    return list(connect().items(_path(repository), Arrival, **wanted))


def watch(
    repository: str,
    places: Sequence[str],
    take: Taker,
    *,
    events: bool = False,
    every: float = EVERY,
    tell: Callable[[str], None] = lambda _: None,
    looks: int | None = None,
    stop: Event | None = None,
) -> None:
    """Take files as they land, until it is stopped.

    A file is taken when two looks see the same size and time of change. So write it under another name (``.tmp``,
    ``.part``, a leading dot) and rename it, or write it without long pauses. What is taken once is known by its
    content, also after a restart.

    Parameters
    ----------
    places
        Directories or patterns on this computer.
    take
        Called with the files of one look; gives a report.
    events
        Also take what others sent as arrivals.
    looks
        How many, for tests; None for no end.
    stop
        Set it to end the watch, after the files that are being taken.
    """
    state, pause, stop = Watch(), every, stop or Event()
    while not stop.is_set() and (looks is None or looks > 0):
        looks = looks and looks - 1
        try:
            _look(state, places, take, tell)
            if events:
                _take_events(repository, places, take, tell)
            pause = every
        except errors.Unavailable as error:
            pause = min(2 * pause, LONGEST)
            tell(f"{error.message} The next try is in {pause:.0f} s.")
        stop.wait(pause)


def _look(state: Watch, places: Sequence[str], take: Taker, tell: Callable[[str], None]) -> None:
    ready = state.landed(_files(places))
    if not ready:
        return
    report = take(ready)
    state.settle(ready)
    tell(str(report))


def _take_events(repository: str, places: Sequence[str], take: Taker, tell: Callable[[str], None]) -> None:
    waiting = find(repository, Outcome.waiting)
    if not waiting:
        return
    outside = [one for one in waiting if not _is_watched(one.url, places)]
    for one in outside:
        # Others name these files, and this process may read what they may not.
        why = "It is a file of the watching computer, outside of what is watched."
        _settle(repository, one, ArrivalDone(outcome=Outcome.refused, reason=why))
    waiting = [one for one in waiting if one not in outside]
    if not waiting:
        return
    report = take([one.url for one in waiting])
    told = {one.path: ArrivalDone(outcome=Outcome.taken) for one in report.taken}
    told |= {one.path: ArrivalDone(outcome=Outcome.skipped, reason=one.reason) for one in report.skipped}
    told |= {one.path: ArrivalDone(outcome=Outcome.refused, reason=one.reason[:2000]) for one in report.refused}
    for one in waiting:
        if one.url in told:
            _settle(repository, one, told[one.url])
    tell(str(report))


def _settle(repository: str, one: Arrival, done: ArrivalDone) -> None:
    connect().put(f"{_path(repository)}/{one.id}", done, Arrival)


def _is_watched(url: str, places: Sequence[str]) -> bool:
    if is_remote(url):
        return True
    path = Path(url.removeprefix("file://")).resolve()
    return any(path.is_relative_to(folder) for folder in map(_folder, places))


def _folder(place: str) -> Path:
    path = Path(place).resolve()
    return path if path.is_dir() else path.parent


def _files(places: Sequence[str]) -> dict[str, tuple[int, float]]:
    found = {}
    for place in places:
        folder = Path(place)
        names = folder.iterdir() if folder.is_dir() else folder.parent.glob(folder.name)
        for path in sorted(names):
            if path.name.startswith(".") or path.name.endswith(_UNFINISHED) or not path.is_file():
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if stat.st_size:
                found[str(path)] = (stat.st_size, stat.st_mtime)
    return found


def _path(repository: str) -> str:
    return f"{repositories.path(*split_repository(repository))}/arrivals"
