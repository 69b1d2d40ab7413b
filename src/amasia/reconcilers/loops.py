"""A function that is called again and again in a thread, whatever it raises."""

import threading
import time
from collections.abc import Callable

import structlog

from amasia.database.engine import Changes
from amasia.models.health import Round

log = structlog.get_logger()

GAP = 0.05
"""Seconds between two rounds at least, however much is written."""
LONGEST = 30.0
"""Seconds between two tries of a round that fails again and again."""


class Loop:
    """Calls ``round_`` until `stop`: every ``seconds``, and sooner when something was written.

    An error is logged when it is a new one, and the next rounds come all the same, less and less often.
    """

    def __init__(self, name: str, seconds: float, round_: Callable[[], None], changes: Changes | None = None) -> None:
        self.name = name
        self.seconds = seconds
        self.last = time.monotonic()
        self._round = round_
        self._changes = changes or Changes()
        self._failures = 0
        self._told = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reconcile {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._changes.note()
        self._thread.join(timeout=30)

    def age(self) -> float:
        """Seconds since the last round ended."""
        return time.monotonic() - self.last

    def round(self) -> Round:
        """How it goes, for operators."""
        problem = self._told.partition(":")[0] if self._failures else ""
        return Round(name=self.name, seconds=self.seconds, age=self.age(), failures=self._failures, problem=problem)

    def _run(self) -> None:
        seen = 0
        while not self._end.wait(GAP):
            seen = self._rest(seen)
            if self._end.is_set():
                return
            try:
                self._round()
                self._recover()
            except Exception as error:
                self._failures = min(self._failures + 1, 10)
                self._tell(error)
            self.last = time.monotonic()

    def _rest(self, seen: int) -> int:
        if not self._failures:
            return self._changes.wait(seen, self.seconds)
        self._end.wait(min(self.seconds * 2**self._failures, LONGEST))
        return seen

    def _recover(self) -> None:
        if self._failures:
            log.info("reconciler works again", loop=self.name)
        self._failures = 0

    def _tell(self, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"
        if told != self._told or self._failures == 1:
            log.exception("reconciler failed", loop=self.name)
        self._told = told
