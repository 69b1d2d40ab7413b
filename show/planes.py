"""A control plane of one's own in a directory: begun, killed, asked, and cleared away to the last process."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uv

from amasia import ports
from amasia.client.transport import Connection
from amasia.errors import AmasiaError
from amasia.models.health import Health

ROOT = Path(__file__).parent.parent
START_SECONDS = 90.0


def free_pair() -> int:
    """A port below those that the system gives out by itself, free like the one after it."""
    for _ in range(1000):
        port = random.randrange(12_000, 30_000, 2)
        if ports.is_free(port) and ports.is_free(port + 1):
            return port
    raise RuntimeError("no two free ports between 12000 and 30000")


@dataclass
class Plane:
    """The home, ports and profile of one control plane, and its process while it runs."""

    base: Path
    settings: dict[str, str] = field(default_factory=dict)
    """More variables for it, such as ``{"AMASIA_LEASE_SECONDS": "20"}``."""
    port: int = field(default_factory=free_pair)
    host: str = "127.0.0.1"
    """That it and its store listen on; another one is on a network of this computer's own, which needs no TLS."""
    process: subprocess.Popen[bytes] | None = None
    scheme: str = "http"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def share_cache(self, cache: Path) -> None:
        share_cache(self.home, cache)

    def variables(self) -> dict[str, str]:
        return {
            "AMASIA_HOME": str(self.home),
            "AMASIA_PROFILE": str(self.base / "profile.json"),
            "AMASIA_CACHE": str(self.base / "captures"),
            "AMASIA_HOST": self.host,
            "AMASIA_PORT": str(self.port),
            "AMASIA_STORE_PORT": str(self.port + 1),
            **({} if self.host == "127.0.0.1" else {"AMASIA_STORE_HOST": self.host, "AMASIA_PLAIN_HTTP": "1"}),
            **self.settings,
        }

    def environ(self) -> dict[str, str]:
        return clean() | self.variables()

    def begin(self) -> None:
        """Start its process, in a session of its own, and do not wait."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        with (self.home / "logs" / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amasia.server"],
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def up(self, seconds: float = START_SECONDS) -> float:
        """Start it if need be and wait until it is well; how long that took."""
        begun = time.monotonic()
        if self.process is None or self.process.poll() is not None:
            self.begin()
        while not self.is_well():
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"the control plane ended with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() - begun > seconds:
                raise RuntimeError(f"the control plane is not well after {seconds:.0f} s: {self.last_words()}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def is_well(self) -> bool:
        try:
            return Connection(self.url, timeout=5).get("/v1/health", Health).ok
        except AmasiaError:
            return False

    def last_words(self) -> str:
        log = self.home / "logs" / "server.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""

    def kill(self) -> None:
        """``kill -9``, and nothing after it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def link(self) -> Connection:
        """Signed in as the first user."""
        told = json.loads((self.home / "first-user.json").read_text())
        return Connection(self.url, told["token"])

    def client(self) -> dict[str, str]:
        """Variables for a script of the first user."""
        told = json.loads((self.home / "first-user.json").read_text())
        return self.environ() | {"AMASIA_URL": self.url, "AMASIA_TOKEN": told["token"], "AMASIA_WORKSPACE": "demo"}

    def amasia(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """``amasia …`` as a person would run it."""
        command = [sys.executable, "-m", "amasia.cli.main", *map(str, words)]
        return subprocess.run(command, env=self.environ(), cwd=self.base, capture_output=True, text=True, check=False)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """A plain script of the first user, to its end."""
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=self.client(), cwd=self.base, capture_output=True, text=True, check=False)

    def processes(self) -> list[psutil.Process]:
        """Everything of this home that runs, by the kernel's word and not by any record of ours."""
        return processes_of(self.home)

    def machines(self) -> list[psutil.Process]:
        """What runs of its machines."""
        return processes_of(self.home / "machines")

    def clear(self) -> None:
        """Kill whatever is left of it."""
        kill_all(self.home)
        if self.process is not None:
            self.process.wait()


def clean() -> dict[str, str]:
    """This process's environment without what is somebody's own."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AMASIA_", "PYTHONDONT"))}


def share_cache(home: Path, cache: Path) -> None:
    """Let a home use environments that others on this disk have built, and the packages that uv has here already."""
    cache.mkdir(parents=True, exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    own = uv_cache()
    with contextlib.suppress(FileExistsError):
        if own.is_dir() and own.stat().st_dev == cache.stat().st_dev:
            (cache / "uv").symlink_to(own)
    with contextlib.suppress(FileExistsError):
        (home / "cache").symlink_to(cache.absolute())


def uv_cache() -> Path:
    """Where this user's uv keeps packages."""
    told = subprocess.run([uv.find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True)
    return Path(told.stdout.strip())


@contextlib.contextmanager
def cleared(plane: Plane) -> Iterator[Plane]:
    try:
        yield plane
    finally:
        plane.clear()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder, name it on their command line or have it in their environment."""
    word = str(folder)
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _names(process, word)]


def kill_all(folder: Path) -> None:
    for process in processes_of(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _names(process: psutil.Process, word: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        told = [process.cwd(), *process.cmdline(), *process.environ().values()]
        return any(_within(text, word) for text in told)
    return False


def _within(text: str, word: str) -> bool:
    start = text.find(word)
    return start >= 0 and text[start + len(word) : start + len(word) + 1] in ("", "/", ":", "'", '"', " ")


def show_error(done: subprocess.CompletedProcess[Any]) -> str:
    return f"{done.args} ended with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


def end(process: subprocess.Popen[Any], seconds: float = 10) -> None:
    """Ask a child to end, then make it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
