"""Servers that are npm packages: installed once, each in a folder of its own."""

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from amasia import ports
from amasia.testing.waiting import wait


class Server:
    """A program of node that listens on a port of its own, with its log in ``home``.

    Parameters
    ----------
    name
        What its log is called, and what is said of it where it does not start.
    """

    def __init__(self, name: str, home: Path) -> None:
        self._name, self._home, self._log = name, home, home / f"{name}.log"
        self.port = ports.free()

    def start(self, words: Sequence[str], seconds: float) -> None:
        """Until it takes connections; `TimeoutError` with the end of its log where it does not in so many seconds."""
        self._home.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(["node", *words], stdout=out, stderr=out, cwd=self._home)
        try:
            wait(self._answers, seconds, why=self._said)
        except TimeoutError:
            self.stop()
            raise

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise TimeoutError(f"it ended with {self._process.returncode} {self._said()}")
        with socket.socket() as probe:
            return probe.connect_ex((ports.LOOPBACK, self.port)) == 0

    def _said(self) -> str:
        return f"{self._name}: {self._log.read_text()[-500:]}"


def missing(package: str, version: str, cache: Path) -> str:
    """Why there is no such package in ``cache``; empty where there is. The first call installs it."""
    if not shutil.which("node") or not shutil.which("npm"):
        return f"{package} needs node and npm"
    if folder(package, version, cache).exists():
        return ""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "install.lock"):
        return "" if folder(package, version, cache).exists() else _install(package, version, cache)


def folder(package: str, version: str, cache: Path) -> Path:
    """Where the package itself is."""
    return cache / version / "node_modules" / package


def _install(package: str, version: str, cache: Path) -> str:
    """Beside its place, and there only when it is whole: an installation may be killed."""
    draft = cache / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    command = ["npm", "install", "--prefix", str(draft), "--no-audit", "--no-fund", f"{package}@{version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    except subprocess.TimeoutExpired:
        return f"npm did not install {package} within 100 s"
    if done.returncode != 0:
        return f"npm cannot install {package}: {done.stderr.strip()[-200:]}"
    draft.rename(cache / version)
    return ""
