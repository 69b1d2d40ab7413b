"""The Dask process of a machine: begun, listened to, ended, and its death put into words."""

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import IO, Any

from amasia.agent import memory
from amasia.agent.logs import Log
from amasia.agent.masks import Mask
from amasia.agent.words import over_memory, while_running

RUNNING = "running.json"
"""Keys of the tasks that a worker executes at this moment, rewritten in place at every change."""
DRAIN = 1.0
"""Seconds to wait for the last words of a process that is over; its children may hold its output open."""


@dataclass
class News:
    """What a Dask process last said of itself."""

    status: str = "starting"
    address: str = ""
    dashboard_address: str = ""
    reason: str = ""
    scheduler: dict[str, Any] | None = None


@dataclass
class Limit:
    """The memory that a machine's programs may hold, and who watches over it."""

    size: int
    group: memory.Group | None
    kills: int = 0
    peak: int = 0
    exceeded: bool = False

    def reset(self) -> None:
        self.peak, self.exceeded = 0, False
        if self.group:
            self.kills = self.group.kills()
            self.group.reset_peak()

    def watch(self, pid: int) -> None:
        """Look how much is used; where no kernel guards the limit, kill whoever passes it."""
        if self.group:
            return
        processes = memory.tree(pid)
        used = memory.resident(processes)
        if used > self.size:
            used = memory.proportional(processes)
        self.peak = max(self.peak, used)
        if used > self.size:
            self.exceeded = True
            memory.kill(process.pid for process in processes)

    def was_passed(self) -> bool:
        if self.group and self.group.kills() > self.kills:
            self.peak = max(self.peak, self.group.peak())
            return True
        return self.exceeded


@dataclass
class Dask:
    """A running Dask process: instructions go in and news come out as JSON lines, by pipes of its own."""

    role: str
    child: subprocess.Popen[bytes]
    instructions: int
    news_pipe: int
    running: Path
    copier: Thread | None = None
    """Brings its output to the log, where there are secrets to hide in it."""
    born: float = field(default_factory=monotonic)
    news: News = field(default_factory=News)
    _rest: bytes = b""

    def tell(self, **instruction: Any) -> None:
        """Hand over an instruction; a process that is gone does not mind."""
        with contextlib.suppress(OSError):
            os.write(self.instructions, json.dumps(instruction).encode() + b"\n")

    def listen(self) -> bool:
        """Take in the news that have come; whether there were any."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.news_pipe, 65536):
                self._rest += piece
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):
                self.news = News(**{**vars(self.news), **json.loads(line)})
        return bool(lines)

    def is_over(self) -> bool:
        return self.child.poll() is not None

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Free what the agent holds of a process that is over."""
        self._signal(signal.SIGKILL)
        self.child.wait()
        self._drain()
        for descriptor in (self.instructions, self.news_pipe):
            os.close(descriptor)

    def running_keys(self) -> list[str]:
        try:
            return [str(key) for key in json.loads(self.running.read_text())]
        except (OSError, ValueError):
            return []

    def death(self, limit: Limit, log: Log) -> str:
        """Why it ended, in words."""
        self._drain()
        if self.news.status == "dying":
            return self.news.reason
        if limit.was_passed():
            return over_memory(self.role, limit.peak, limit.size, self.running_keys())
        doing = while_running(self.running_keys())
        code = self.child.returncode
        if code < 0:
            return f"the {self.role} was killed by {signal.Signals(-code).name}{doing}"
        tail = log.tail()
        return f"the {self.role} ended with status {code}{doing}" + (f": {tail}" if tail else "")

    def _drain(self) -> None:
        if self.copier:
            self.copier.join(DRAIN)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, number)


def begin(
    role: str,
    python: Path,
    home: Path,
    environ: dict[str, str],
    limit: Limit,
    setup: dict[str, Any],
    log: Log,
    mask: Mask,
) -> Dask:
    """Start ``python -m amasia.agent.dask`` under the memory limit. Amasia's own secrets go through its pipe only."""
    there, instructions = os.pipe()
    news_pipe, back = os.pipe()
    running = home / RUNNING
    running.write_text("[]")
    limit.reset()
    output, copier = _output(log, mask)
    with output:
        child = subprocess.Popen(
            [str(python), "-m", "amasia.agent.dask", role, str(there), str(back), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home,
            env=environ,
            pass_fds=(there, back),
            process_group=0,
        )
    os.close(there)
    os.close(back)
    os.set_blocking(news_pipe, False)
    os.set_blocking(instructions, False)
    memory.expose(child.pid)
    if limit.group:
        limit.group.add(child.pid)
    dask = Dask(role, child, instructions, news_pipe, running, copier)
    dask.tell(**setup, running=str(running))
    return dask


def _output(log: Log, mask: Mask) -> tuple[IO[bytes], Thread | None]:
    """Where a process writes to: the log itself, unless there is something to hide on the way."""
    if not mask:
        return log.path.open("ab"), None
    out, into = os.pipe()
    copier = Thread(target=mask.copy, args=(out, log.path), daemon=True)
    copier.start()
    return open(into, "wb"), copier
