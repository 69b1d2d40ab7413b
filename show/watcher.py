"""``python -m show.watcher HOME REPORT``: an independent eye on when machines of a home are born and die: agents, and
boot scripts that have not come to theirs.

It knows nothing of the control plane's records: it reads the kernel's process table, and a pidfd tells it the moment
of each end. One JSON line for each life, written when it ends.
"""

import contextlib
import json
import os
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

LOOK = 0.1
YOUNG = 2.0
"""Seconds in which a new process may still become an agent (it has its parent's name until it executes)."""


@dataclass
class Life:
    machine: str
    pid: int
    born: float


def main(home: str, report: str) -> None:
    machines = f"{Path(home).absolute()}/machines/"
    lives: dict[int, Life] = {}
    """By pidfd."""
    known: set[int] = set()
    with Path(report).open("a", buffering=1) as out:
        poll = select.poll()
        while True:
            for life in _newborn(machines, known):
                with contextlib.suppress(ProcessLookupError):
                    descriptor = os.pidfd_open(life.pid)
                    lives[descriptor] = life
                    poll.register(descriptor, select.POLLIN)
                    _tell(out, "born", life, life.born)
            for descriptor, _ in poll.poll(LOOK * 1000):
                _tell(out, "died", lives.pop(descriptor), time.time())
                poll.unregister(descriptor)
                os.close(descriptor)


def _newborn(machines: str, known: set[int]) -> list[Life]:
    there = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    known &= there
    found = []
    for pid in there - known:
        with contextlib.suppress(psutil.Error, OSError):
            words, born = psutil.Process(pid).cmdline(), birth(pid)
            machine = _machine(words, machines)
            if machine and os.getsid(pid) == pid:  # its children bear its name until they execute
                found.append(Life(machine, pid, born))
                known.add(pid)
            elif time.time() - born > YOUNG:
                known.add(pid)
    return found


def _machine(words: list[str], machines: str) -> str:
    """Whose agent or boot script a command line is; empty for everything else."""
    inside = [word.removeprefix(machines).split("/") for word in words if word.startswith(machines)]
    is_script = words[:1] == ["/bin/sh"] and bool(inside) and inside[0][1:] == ["boot.sh"]
    return inside[0][0] if inside and (is_script or "amasia.agent" in words) else ""


def birth(pid: int) -> float:
    """Seconds since the epoch. Read here, not asked of psutil, whose word the records rely on."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _tell(out: TextIO, what: str, life: Life, at: float) -> None:
    out.write(json.dumps({"what": what, "machine": life.machine, "pid": life.pid, "born": life.born, "at": at}) + "\n")


def lifetimes(report: Path) -> dict[str, float]:
    """Seconds that each machine lived; -1 for one that lives on, -2 for one that was alive twice at once."""
    spans: dict[str, list[tuple[float, float]]] = {}
    living: set[tuple[str, int]] = set()
    for line in report.read_text().splitlines():
        item = json.loads(line)
        key = item["machine"], item["pid"]
        if item["what"] == "born":
            living.add(key)
            continue
        living.discard(key)
        spans.setdefault(item["machine"], []).append((item["born"], item["at"]))
    seconds = {machine: _sole(lives) for machine, lives in spans.items()}
    return seconds | dict.fromkeys((machine for machine, _ in living), -1.0)


def _sole(lives: list[tuple[float, float]]) -> float:
    """A second agent that finds the lock taken leaves within a few seconds; anything more is a doubled machine."""
    longest = max(lives, key=lambda life: life[1] - life[0])
    others = [life for life in lives if life is not longest]
    return -2.0 if any(end - start > 5 for start, end in others) else longest[1] - longest[0]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
