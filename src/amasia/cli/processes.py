"""The control plane of this computer as a process: begin it, find it, end it. Its files are its home directory's."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil

from amasia.client.transport import Connection
from amasia.errors import AmasiaError, ControlPlaneDown, TimedOut, Unavailable, from_wire
from amasia.models import homes
from amasia.models.base import Model, now
from amasia.models.health import Health
from amasia.models.machines import Boot
from amasia.settings import ServerSettings

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ERROR_FILE = "server-error.json"


class FirstUser(Model):
    """What the control plane writes at its first start, for its owner's eyes only."""

    user: str
    password: str
    token: str
    url: str
    workspace: str


class LeftMachine(Model):
    """A machine that runs without a control plane."""

    id: str
    pid: int
    memory: int
    until: datetime
    """It has ended itself by then."""


def read(path: Path) -> dict[str, Any]:
    """A JSON file of the home directory; empty where it is missing or half written."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def first_user(home: Path) -> FirstUser | None:
    found = read(home / "first-user.json")
    return FirstUser.model_validate(found) if found else None


def server(home: Path) -> psutil.Process | None:
    """The process of the control plane, if it runs."""
    pid = read(home / "server.json").get("pid")
    return _process(pid, "amasia.server") if pid else None


def health(url: str) -> Health | None:
    try:
        return Connection(url).get("/v1/health", Health)
    except AmasiaError:
        return None


def begin(settings: ServerSettings, *, foreground: bool = False) -> subprocess.Popen[bytes]:
    """Start the control plane; in a session of its own unless it is to stay in the foreground."""
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True)
        (home / ERROR_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The home {home} cannot be used ({error.strerror}).", cure="Choose another: amasia up --home DIRECTORY"
        ) from error
    command = [sys.executable, "-m", "amasia.server"]
    chosen = {"AMASIA_HOME": str(home), "AMASIA_PORT": str(settings.port)}
    for name in ("host", "public_url", "tls_certificate", "tls_key"):
        if value := getattr(settings, name):
            chosen[f"AMASIA_{name.upper()}"] = str(value)
    with (home / "logs" / "server.log").open("ab") as log:
        out = None if foreground else log
        return subprocess.Popen(
            command,
            env=os.environ | chosen,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=not foreground,
        )


def wait_until_up(process: subprocess.Popen[bytes], settings: ServerSettings, seen: Callable[[Health], None]) -> None:
    """Follow a control plane's start.

    Raises
    ------
    AmasiaError
        It ended: the server's own error, as it wrote it.
    TimedOut
    """
    end = monotonic() + START_SECONDS
    while monotonic() < end:
        if process.poll() is not None:
            raise _start_failed(process.returncode, settings.home)
        running = server(settings.home)  # one that answers here may be another home's
        found = health(settings.url) if running and running.pid == process.pid else None
        if found:
            seen(found)
            if found.ok:
                return
        sleep(0.1)
    raise TimedOut(
        f"The control plane is not well after {START_SECONDS:g} s; it goes on trying.",
        cure=f"What it says: {settings.home / 'logs' / 'server.log'}",
    )


def end(process: psutil.Process) -> None:
    """Ask a process to end and wait for that; `Unavailable` if it does not."""
    try:
        process.terminate()
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        raise Unavailable(
            f"Process {process.pid} did not end within {STOP_SECONDS:g} s.", cure=f"End it by hand: kill {process.pid}"
        ) from None


def store(home: Path) -> psutil.Process | None:
    """The process of the embedded object store, if it runs."""
    record = read(home / "store" / "pid.json")
    found = _process(record["pid"], "") if record else None
    return found if found and abs(found.create_time() - record["started"]) < 1 else None


def kill(process: psutil.Process) -> None:
    """End the object store. Its answered writes are on disk, so that it may be killed where it does not end soon."""
    try:
        process.terminate()
        process.wait(2)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(10)
    except psutil.NoSuchProcess:
        return


def left_machines(settings: ServerSettings) -> list[LeftMachine]:
    """Machines of the local provider that run although no control plane does; each ends with its lease."""
    folder = settings.home / "machines"
    if not folder.exists():
        return []
    latest = now() + timedelta(seconds=settings.lease_seconds)
    found = []
    for machine in folder.iterdir():
        identity = homes.read(machine / homes.IDENTITY, homes.Identity)
        boot = homes.read(machine / homes.BOOT, Boot)
        if identity and boot and not (machine / homes.EXIT).exists() and _process(identity.pid, machine.name):
            found.append(LeftMachine(id=machine.name, pid=identity.pid, memory=boot.memory, until=latest))
    return found


def _process(pid: int, word: str) -> psutil.Process | None:
    """The process of that number, unless the number belongs to something else by now."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not any(word in part for part in process.cmdline()):
            return None
        return process
    except psutil.Error:
        return None


def _start_failed(status: int, home: Path) -> AmasiaError:
    written = read(home / ERROR_FILE)
    if written:
        return from_wire(written)
    log = home / "logs" / "server.log"
    tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
    return ControlPlaneDown(
        "\n  ".join([f"The control plane ended with status {status} while it was starting.", *tail]),
        cure=f"Its whole log: {log}",
    )
