"""``kill -9`` inside one process: at a random line of chosen code, every thread that runs it is gone.

A process that is killed does nothing more: so from that moment each next line of that code, in whichever thread, raises
too. What a library does on the way out (rolls back, lets go of a lock) is what a system does for a dead process.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

TOOL = sys.monitoring.DEBUGGER_ID


class Killed(BaseException):
    """Nobody may catch it and go on."""


class Reaper:
    """Counts the lines that run of files below some folders or with some names, and strikes at a chosen one."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts
        self.lines = 0
        self.dead = False
        self.place = ""
        self._left: int | None = None

    def arm(self, lines: int) -> None:
        """Strike when so many more lines have run."""
        self._left = lines

    def disarm_for(self, work: Callable[[], None]) -> None:
        """Work that is no part of what is to be killed."""
        left, self._left = self._left, None
        work()
        self._left = left

    def revive(self) -> None:
        """A new process: what ran before is gone for good."""
        self.dead, self._left = False, None

    @contextmanager
    def watching(self) -> Iterator["Reaper"]:
        sys.monitoring.use_tool_id(TOOL, "amasia-reaper")
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, self._line)
        sys.monitoring.set_events(TOOL, sys.monitoring.events.LINE)
        before = sys.unraisablehook
        sys.unraisablehook = lambda told: None if isinstance(told.exc_value, Killed) else before(told)
        try:
            yield self
        finally:
            sys.unraisablehook = before
            sys.monitoring.set_events(TOOL, 0)
            sys.monitoring.free_tool_id(TOOL)

    def _line(self, code: CodeType, line: int) -> Any:
        if not any(part in code.co_filename for part in self.parts):
            return sys.monitoring.DISABLE
        if self.dead:
            raise Killed
        self.lines += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.dead, self.place = True, f"{code.co_filename.rpartition('amasia/')[2]}:{line}"
                raise Killed
        return None
