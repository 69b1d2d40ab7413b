"""A real issuer of OpenID Connect on this computer: oidc-provider, which is certified, from npm."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amasia import files
from amasia.settings import Issuer, Rule
from amasia.testing import npm

VERSION = "9.13.3"
CLIENT = "amasia"
START = Path(__file__).with_name("issuer.mjs")


def missing(cache: Path) -> str:
    """Why there is no issuer here; empty where there is. The first call puts it in the cache, with npm."""
    return npm.missing("oidc-provider", VERSION, cache)


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
        self._server = npm.Server("issuer", home)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

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
        files.write(self._home / "people.json", json.dumps(self._people))

    def start(self, seconds: float = 60) -> None:
        self.know("nobody")
        words = [str(START), str(self._package), str(self._server.port), str(self._home / "people.json"), CLIENT,
                 self._secret, self._redirect]  # fmt: skip
        self._server.start(words, seconds)

    def stop(self) -> None:
        self._server.stop()


def _package(cache: Path) -> Path:
    return npm.folder("oidc-provider", VERSION, cache)
