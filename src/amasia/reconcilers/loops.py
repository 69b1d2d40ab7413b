"""A function that is called again and again in a thread, whatever it raises."""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

_LONGEST = 10.0
"""Seconds between two rounds that fail."""


class Loop:
    """Calls ``round_`` every ``seconds`` until `stop`.

    After an error the next round comes all the same, later each time; the same error in a row is logged once.
    """

    def __init__(self, name: str, seconds: float, round_: Callable[[], None]) -> None:
        self.name = name
        self.seconds = seconds
        self.last = time.monotonic()
        self._round = round_
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reconcile {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def age(self) -> float:
        """Seconds since the last round ended."""
        return time.monotonic() - self.last

    def _run(self) -> None:
        failures, said = 0, ""
        while not self._end.wait(max(self.seconds, min(_LONGEST, self.seconds * 2**failures))):
            try:
                self._round()
            except Exception as error:
                failures = min(failures + 1, 10)
                if (text := repr(error)) != said:
                    log.exception("reconciler failed", loop=self.name)
                said = text
            else:
                if failures:
                    log.info("reconciler works again", loop=self.name)
                failures, said = 0, ""
            self.last = time.monotonic()
