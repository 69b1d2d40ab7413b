"""``amasia doctor``."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import typer
import uv

from amasia import ports
from amasia.cli import processes
from amasia.cli.options import Json, examples, noun
from amasia.cli.output import show_json, show_table
from amasia.client import accounts
from amasia.client.sizes import format_bytes
from amasia.errors import AmasiaError, InvalidRequest
from amasia.models.base import Model
from amasia.settings import ServerSettings, check_listening, client_settings, is_loopback

app = noun("Check this computer.")
ROOM = 2 << 30
"""Free bytes below which environments and data hardly fit."""


class Check(Model):
    name: str
    ok: bool
    found: str
    cure: str = ""
    needed: bool = True
    """False for what only makes things better."""


@app.command(epilog=examples("amasia doctor", "amasia doctor --json"))
def doctor(as_json: Json = False) -> None:
    """Check this computer, and say what to do. The exit status is 1 if something that is needed is missing."""
    found = list(check())
    if as_json:
        show_json(found)
    else:
        marks = {(True, True): "ok", (True, False): "ok", (False, False): "could be better", (False, True): "BAD"}
        rows = [(marks[one.ok, one.needed], one.name, one.found, "" if one.ok else one.cure) for one in found]
        show_table(["", "what", "found", "cure"], rows)
    if any(not one.ok and one.needed for one in found):
        raise typer.Exit(1)


def check() -> Iterator[Check]:
    """Every check, in the order in which to cure them."""
    checks: list[Callable[[], Iterator[Check]]] = [
        _python,
        _uv,
        _disk,
        _memory_limits,
        _ports,
        _listening,
        _profile,
        _sign_in,
    ]
    for one in checks:
        yield from one()


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check(name="Python", ok=sys.version_info >= (3, 12), found=version, cure="Use Python 3.12 or newer.")


def _uv() -> Iterator[Check]:
    try:
        yield Check(name="uv", ok=True, found=uv.find_uv_bin())
    except FileNotFoundError as error:
        yield Check(name="uv", ok=False, found=f"missing: {error}", cure="pip install --force-reinstall uv")


def _disk() -> Iterator[Check]:
    home = ServerSettings().home
    free = shutil.disk_usage(_existing(home)).free
    cure = "Free some space, or put it elsewhere: AMASIA_HOME=/bigger/disk"
    yield Check(name="disk", ok=free >= ROOM, found=f"{format_bytes(free)} free for {home}", cure=cure)


def _memory_limits() -> Iterator[Check]:
    groups = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")]
    ok = any((group / "cgroup.procs").exists() and os.access(group, os.W_OK) for group in groups)
    found = "held by the kernel (cgroups)" if ok else "held by the agents, which look four times a second"
    cure = "Delegate a memory cgroup to your user (systemd: Delegate=memory)."
    yield Check(name="memory limits", ok=ok, found=found, cure=cure, needed=False)


def _ports() -> Iterator[Check]:
    settings = ServerSettings()
    ours = processes.server(settings.home) is not None
    for name, port, variable in (
        ("console port", settings.port, "AMASIA_PORT"),
        ("store port", settings.store_port, "AMASIA_STORE_PORT"),
    ):
        free = ports.is_free(port, settings.host)
        state = "free" if free else "ours" if ours else f"taken by {_holder(port)}"
        cure = f"End that, or choose another: {variable}={port + 10}"
        yield Check(name=name, ok=free or ours, found=f"{port} is {state}", cure=cure)


def _listening() -> Iterator[Check]:
    settings = ServerSettings()
    try:
        check_listening(settings)
    except InvalidRequest as error:
        yield Check(name="listening", ok=False, found=error.message, cure=error.cure)
        return
    where = "this computer only" if is_loopback(settings.host) else f"others reach {settings.url}"
    open_ = settings.plain_http and not settings.secure and not is_loopback(settings.host)
    found = f"{where}, {'TLS' if settings.secure else 'plain HTTP'}"
    cure = "Whoever listens on the way reads tokens, unless a proxy in front of it speaks TLS."
    yield Check(name="listening", ok=not open_, found=found, cure=cure, needed=False)


def _profile() -> Iterator[Check]:
    path = client_settings().profile
    if not path.exists():
        yield Check(name="profile", ok=True, found=f"none yet at {path}")
        return
    mode = path.stat().st_mode & 0o777
    yield Check(
        name="profile",
        ok=not mode & 0o077,
        found=f"{path}, mode {mode:04o}",
        cure=f"Others can read your token: chmod 600 {path}",
    )


def _sign_in() -> Iterator[Check]:
    try:
        me = accounts.get()
    except AmasiaError as error:
        yield Check(name="control plane", ok=False, found=error.message, cure=error.cure, needed=False)
        return
    yield Check(name="control plane", ok=True, found=f"{client_settings().url}, signed in as {me.user.name}")


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def _holder(port: int) -> str:
    try:
        for one in psutil.net_connections("tcp"):
            if one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN and one.pid:
                return f"process {one.pid} ({psutil.Process(one.pid).name()})"
    except psutil.Error:
        pass
    return "another program"
