"""Processes of this computer, known by number and birth, so that a reused number is never mistaken."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from amasia.models.homes import Identity

SAME = 2.0
"""Seconds by which the kernel's answer about one birth may move when the clock is set."""


def identify(pid: int) -> Identity | None:
    """Who has this number now; None for nobody."""
    try:
        return Identity(pid=pid, created=psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def is_alive(identity: Identity) -> bool:
    """Whether this very process runs. A zombie does not."""
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.created) < SAME
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def terminate(identity: Identity) -> None:
    """Ask a process to end, also one that is suspended."""
    if not is_alive(identity):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(identity.pid, signal.SIGTERM)


def kill_all(identity: Identity) -> None:
    """Kill a session's leader, everything in its session and in its memory group, and remove the group."""
    for pid in [*_session(identity), *_members(identity)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if identity.cgroup:
        with contextlib.suppress(OSError):
            Path(identity.cgroup).rmdir()


def _session(identity: Identity) -> Iterator[int]:
    leader = identify(identity.pid)
    if leader is not None and abs(leader.created - identity.created) >= SAME:
        return  # the number has a new owner, so nothing is left of the old session
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == identity.pid:
                yield pid


def _members(identity: Identity) -> list[int]:
    if not identity.cgroup:
        return []
    try:
        return [int(pid) for pid in (Path(identity.cgroup) / "cgroup.procs").read_text().split()]
    except OSError:
        return []
