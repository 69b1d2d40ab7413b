"""What was begun for each machine: kept on disk, so that whoever asks a cloud again after a crash asks the same thing.

Clouds make a request repeatable by a token, if every byte of it is the same; and an answer that was lost is known only
by repeating it. So a request is written down before it is sent, and forgotten when its answer is.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from amasia.models import homes
from amasia.models.base import NAME, Model, Time

DAY = 24 * 3600.0


class Launch(Model):
    """The tries to make one machine."""

    tries: int = 0
    asked_at: Time | None = None
    """When the last request was sent."""
    request: dict[str, Any] = {}
    """Sent, and nobody knows its answer; empty otherwise."""
    handle: dict[str, Any] = {}
    """Of the machine, once it was made."""


class Launches:
    """A directory with a file for each machine, which its owner alone can read: requests hold join tokens."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "launches"

    @contextlib.contextmanager
    def locked(self, machine_id: str) -> Iterator[None]:
        """One start of a machine at a time, from whichever thread or process."""
        self._make()
        with FileLock(self._path(machine_id, "lock"), mode=0o600):
            yield

    def get(self, machine_id: str) -> Launch:
        return homes.read(self._path(machine_id, "json"), Launch) or Launch()

    def put(self, machine_id: str, launch: Launch) -> None:
        self._make()
        homes.write(self._path(machine_id, "json"), launch)

    def stop(self, machine_id: str) -> None:
        """Let no start outlive this moment."""
        if NAME.fullmatch(machine_id):
            self._make()
            self._path(machine_id, "stopped").touch(mode=0o600)

    def is_stopped(self, machine_id: str) -> bool:
        return self._path(machine_id, "stopped").exists()

    def forget(self, alive: Iterable[str], age: float = DAY) -> None:
        """Remove what is old and belongs to no living machine."""
        keep, before = set(alive), time.time() - age
        for path in self.folder.glob("*") if self.folder.exists() else ():
            with contextlib.suppress(FileNotFoundError):
                if path.stem not in keep and path.stat().st_mtime < before:
                    path.unlink()

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _path(self, machine_id: str, kind: str) -> Path:
        return self.folder / f"{machine_id}.{kind}"
