"""Azurite, Microsoft's own emulator of Azure Blob Storage, from npm: a real server with real signatures."""

from pathlib import Path

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
        self._program, self._certificate = _program(cache), certificate
        self._server = npm.Server("azurite", home)

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self._server.port}/{ACCOUNT}"

    def start(self, seconds: float = 60) -> None:
        words = [str(self._program), "--blobPort", str(self._server.port), "--inMemoryPersistence", "--silent",
                 "--disableTelemetry", "--skipApiVersionCheck"]  # fmt: skip
        if self._certificate:
            certificate, key = map(str, self._certificate)
            words += ["--cert", certificate, "--key", key, "--oauth", "basic"]
        self._server.start(words, seconds)

    def stop(self) -> None:
        self._server.stop()


def _program(cache: Path) -> Path:
    return npm.folder("azurite", VERSION, cache) / "dist/src/blob/main.js"
