"""A function that is called again and again in a thread, whatever it raises."""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Loop:
    """Calls ``round_`` every ``seconds`` until `stop`; an error is logged and the next round comes all the same."""

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
        while not self._end.wait(self.seconds):
            try:
                self._round()
            except Exception:
                log.exception("reconciler failed", loop=self.name)
            self.last = time.monotonic()
