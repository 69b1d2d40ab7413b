"""Azurite, Microsoft's own emulator of Azure Blob Storage, from npm: a real server with real signatures."""

import socket
import subprocess
import time
from pathlib import Path

from amasia import ports
from amasia.testing import npm

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The one that everybody's Azurite has."""
VERSION = "3.37.0"


def missing(cache: Path) -> str:
    """Why there is no Azurite here; empty where there is. The first call puts it in the cache, with npm."""
    return npm.missing("azurite", VERSION, cache)


class Azurite:
    """One server, on a port of its own, from `start` to `stop`; its data go with it."""

    def __init__(self, cache: Path, home: Path, certificate: tuple[Path, Path] | None = None) -> None:
        """With a certificate and its key it speaks TLS, and takes whoever has a token of Entra's (unverified)."""
        self._program, self._home, self._certificate = _program(cache), home, certificate
        self._port = ports.free()

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self._port}/{ACCOUNT}"

    def start(self, seconds: float = 60) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        command = ["node", str(self._program), "--blobPort", str(self._port), "--inMemoryPersistence", "--silent",
                   "--disableTelemetry", "--skipApiVersionCheck"]  # fmt: skip
        if self._certificate:
            certificate, key = map(str, self._certificate)
            command += ["--cert", certificate, "--key", key, "--oauth", "basic"]
        with (self._home / "azurite.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.1)
        self.stop()
        raise TimeoutError(f"Azurite did not start: {(self._home / 'azurite.log').read_text()[-500:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _program(cache: Path) -> Path:
    return npm.folder("azurite", VERSION, cache) / "dist/src/blob/main.js"
