"""A process of the control plane's own, which a reconciler keeps running."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger()


class Child:
    """A module of Amasia as a process: started, started again when it died, and ended with its parent.

    Its standard input is a pipe that nothing is written to: when the control plane is killed, the pipe ends, and so
    does the child.
    """

    def __init__(self, module: str, name: str, logs: Path, *, pause: float, grace: float) -> None:
        self._module, self._name, self._logs = module, name, logs
        self._pause, self._grace = pause, grace
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether it does not run, and the last start is long enough ago."""
        alive = self._process is not None and self._process.poll() is None
        return not alive and time.monotonic() >= self._next

    def start(self, arguments: Sequence[str], env: Mapping[str, str], *, pass_fds: Sequence[int] = ()) -> None:
        self._next = time.monotonic() + self._pause
        if self._process is not None:
            log.warning("a process ended", name=self._name, status=self._process.returncode)
        self._logs.mkdir(exist_ok=True)
        with (self._logs / f"{self._name}.log").open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, *arguments],
                env=env,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                pass_fds=pass_fds,
            )

    def stop(self) -> None:
        """Ask it to end, and kill it when it has not after its grace."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
