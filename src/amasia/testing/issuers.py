"""A real issuer of OpenID Connect on this computer: oidc-provider, which is certified, from npm."""

import json
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from amasia.settings import Issuer, Rule

VERSION = "9.13.3"
CLIENT = "amasia"
START = Path(__file__).with_name("issuer.mjs")


def missing(cache: Path) -> str:
    """Why there is no issuer here; empty where there is. The first call puts it in the cache, with npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "the issuer needs node and npm"
    if _package(cache).exists():
        return ""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "install.lock"):
        return "" if _package(cache).exists() else _install(cache)


def _install(cache: Path) -> str:
    """Beside its place, and there only when it is whole: an installation may be killed."""
    draft = cache / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    command = ["npm", "install", "--prefix", str(draft), "--no-audit", "--no-fund", f"oidc-provider@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    except subprocess.TimeoutExpired:
        return "npm did not install oidc-provider within 100 s"
    if done.returncode != 0:
        return f"npm cannot install oidc-provider: {done.stderr.strip()[-200:]}"
    draft.rename(cache / VERSION)
    return ""


class RealIssuer:
    """One issuer, on a port of its own, from `start` to `stop`. Any password is right there.

    Parameters
    ----------
    console
        Address of the control plane that people come from and go back to.
    """

    def __init__(self, cache: Path, home: Path, console: str, name: str = "institute") -> None:
        self._package, self._home = _package(cache), home
        self._people: dict[str, Mapping[str, Any]] = {}
        self._secret = secrets.token_urlsafe(24)
        self._redirect = f"{console}/-/sign-in/{name}/callback"
        self._name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def issuer(self, *rules: Rule) -> Issuer:
        """As it is written into the settings."""
        return Issuer.model_validate(
            {
                "name": self._name,
                "title": "Institute",
                "url": self.url,
                "client_id": CLIENT,
                "client_secret": self._secret,
                "scopes": "openid email profile groups",
                "rules": rules,
            }
        )

    def know(self, subject: str, *groups: str, **claims: Any) -> None:
        """Whoever signs in there as this subject has these groups from now on."""
        said = {"preferred_username": subject, "email": f"{subject}@institute.example", **claims}
        self._people[subject] = {**said, "groups": groups} if groups else said
        self._home.mkdir(parents=True, exist_ok=True)
        fresh = self._home / "people.new"
        fresh.write_text(json.dumps(self._people))
        fresh.replace(self._home / "people.json")

    def start(self, seconds: float = 60) -> None:
        self.know("nobody")
        command = ["node", str(START), str(self._package), str(self._port), str(self._home / "people.json"), CLIENT,
                   self._secret, self._redirect]  # fmt: skip
        with (self._home / "issuer.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home)
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise TimeoutError(f"the issuer did not start: {(self._home / 'issuer.log').read_text()[-500:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _package(cache: Path) -> Path:
    return cache / VERSION / "node_modules" / "oidc-provider"
