"""Memory limits: a kernel's group around the Dask process where one is to be had, else the agent's own eyes."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")


class Group:
    """A memory cgroup (version 1 or 2) that holds the Dask process and all it starts; the agent stays outside."""

    def __init__(self, path: Path, *, version: int) -> None:
        self.path = path
        self.version = version

    def add(self, pid: int) -> None:
        (self.path / "cgroup.procs").write_text(str(pid))

    def used(self) -> int:
        """Bytes that programs hold, without the kernel's file cache."""
        key = "rss" if self.version == 1 else "anon"
        return self._field("memory.stat", key)

    def peak(self) -> int:
        return self._number("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")

    def kills(self) -> int:
        """How often the kernel killed for memory in this group."""
        return self._field("memory.oom_control" if self.version == 1 else "memory.events", "oom_kill")

    def reset_peak(self) -> None:
        with contextlib.suppress(OSError):
            (self.path / ("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")).write_text("0")

    def kill(self) -> None:
        kill(self._pids())

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _pids(self) -> list[int]:
        with contextlib.suppress(OSError):
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        return []

    def _number(self, name: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self.path / name).read_text())
        return 0

    def _field(self, name: str, key: str) -> int:
        with contextlib.suppress(OSError):
            for line in (self.path / name).read_text().splitlines():
                if line.startswith(f"{key} "):
                    return int(line.split()[1])
        return 0


def make_group(name: str, limit: int) -> Group | None:
    """A group with this limit under the agent's own; None where the kernel or its rights do not let us."""
    for path, version in _candidates(name):
        try:
            _limit(path, version, limit)
        except OSError:
            with contextlib.suppress(OSError):
                path.rmdir()
            continue
        return Group(path, version=version)
    return None


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants that live now."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident(processes: Iterable[psutil.Process]) -> int:
    """Bytes of memory that processes hold together."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_info().rss
    return total


def proportional(processes: Iterable[psutil.Process]) -> int:
    """As `resident`, with shared pages counted once, where the kernel tells: a fork is no second copy. Slower."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += getattr(process.memory_full_info(), "pss", process.memory_info().rss)
    return total


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Seconds of processor time that processes have used together."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def protect_agent() -> None:
    """When the computer runs out of memory, let the kernel take anything before the agent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900")


def expose(pid: int) -> None:
    """Undo for a child what it inherited from `protect_agent`."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("0")


def _candidates(name: str) -> Iterator[tuple[Path, int]]:
    """Where a group might be made: below the agent's own, and for version 2 also beside it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield ROOT / "memory" / own.lstrip("/") / name, 1
        elif not controllers:
            yield ROOT / own.lstrip("/") / name, 2
            yield (ROOT / own.lstrip("/")).parent / name, 2


def _limit(path: Path, version: int, limit: int) -> None:
    path.mkdir(exist_ok=True)
    if version == 2:
        (path / "memory.max").write_text(str(limit))
        with contextlib.suppress(OSError):
            (path / "memory.swap.max").write_text("0")
        return
    (path / "memory.limit_in_bytes").write_text(str(limit))
    with contextlib.suppress(OSError):
        (path / "memory.memsw.limit_in_bytes").write_text(str(limit))
