"""What a machine's directory holds: the words between a provider and the agent that it started there."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import ValidationError

from amasia import files
from amasia.models.base import Model, Time

BOOT = "boot.json"
"""The machine's `Boot`, mode 0600."""
IDENTITY = "identity.json"
"""The agent's `Identity`: written by the provider when it started it, and by the agent when it holds the lock."""
LOCK = "lock"
"""Locked by the one agent of this machine for as long as it lives."""
STOPPED = "stopped"
"""Its presence forbids an agent to begin, and tells a running one to end."""
EXIT = "exit.json"
"""The machine's `Exit`. Its presence says that this machine is over and never begins again."""
ALIVE = "alive"
"""Touched by the agent twice a second: the best known time of an end that nobody wrote down."""
NOTICE = "notice"
"""Written by the machine's system when its provider will take it back: the time of that, as ISO 8601."""
LOG = "log"
LEASE = "lease"
"""Until when it was paid for, in whole seconds since the computer booted: a clock that nobody sets, which the boot
script's watchdog reads as well."""


class Identity(Model):
    """A process, so that another one with the same number is not taken for it."""

    pid: int
    created: float
    """Seconds since the epoch, from the kernel."""
    cgroup: str = ""
    """Directory of the memory group around the Dask process; empty where there is none."""


class Exit(Model):
    at: Time
    reason: str
    by: Literal["agent", "provider"] = "agent"


def moment(created: float) -> datetime:
    """When a process of this birth began: on Linux births count from a boot time in whole seconds, up to 1 s early."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return datetime.fromtimestamp(created, UTC)
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return datetime.fromtimestamp(created - psutil.boot_time() + boot, UTC)


def read[M: Model](path: Path, model: type[M]) -> M | None:
    """A file of a machine's directory; None where it is missing or cannot be read as this model."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def write(path: Path, model: Model, *, replace: bool = True) -> None:
    """Whole or not at all, readable by its owner only. `FileExistsError` where it may not replace."""
    files.write(path, model.model_dump_json(), private=True, replace=replace)
