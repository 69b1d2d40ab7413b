"""Whereabouts: on which host a machine was begun, written down before that host is asked.

Kept in the location's directory on the control plane's computer, so that a control plane that was killed at any line
asks the same host again. What a host itself remembers is the truth; this says whom to ask.
"""

import contextlib
import time
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from amasia import files

FORGET = 48 * 3600.0
"""Seconds after which a note is dropped whose machine no host has any more."""


class Whereabouts:
    """Notes by machine: a host's name; empty where it is certain that no host has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()
        self._lock = Lock()

    def turn(self, machine_id: str) -> Lock:
        """Held by whoever places this machine: one at a time, and other machines meanwhile."""
        with self._lock:
            return self._turns.setdefault(machine_id, Lock())

    def get(self, machine_id: str) -> str | None:
        """None where nothing was written down here."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / machine_id).read_text()
        return None

    def put(self, machine_id: str, host: str) -> None:
        """Whole or not at all, and on the disk before this returns."""
        files.write(self.folder / machine_id, host, durable=True)

    def stop(self, machine_id: str) -> None:
        (self.folder / f"{machine_id}~stopped").touch()

    def is_stopped(self, machine_id: str) -> bool:
        """A start asks after it wrote its note, and a stop reads the note after this: one of them sees the other."""
        return (self.folder / f"{machine_id}~stopped").exists()

    def forget(self, living: set[str]) -> None:
        before = time.time() - FORGET
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.name.partition("~")[0] not in living and path.stat().st_mtime < before:
                    path.unlink()
