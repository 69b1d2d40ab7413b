"""A `pylock.toml` (PEP 751) plus locally built wheels and loose code, named by its hash."""

import hashlib
import json

from pydantic import Field, field_validator

from amasia.models.base import Model, Name

SHA256 = r"[0-9a-f]{64}"


class Artifact(Model):
    """A file that the client made and machines fetch: a wheel, or a zip of loose modules."""

    filename: str
    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)

    @field_validator("filename")
    @classmethod
    def plain(cls, value: str) -> str:
        if not value or "/" in value or "\\" in value or value.startswith("."):
            raise ValueError(f"{value!r} is no plain file name")
        return value


class Environment(Model):
    """Everything that a machine needs to rebuild the client's Python."""

    python: str
    """Full version of the client's interpreter, such as 3.13.0."""
    pylock: str
    """The text of the lock: what comes from package indexes."""
    wheels: tuple[Artifact, ...] = ()
    """Built on the client: editable, local-path and git packages."""
    code: Artifact | None = None
    """Zip of loose modules beside the user's script, put first on the import path."""
    versions: dict[str, str] = {}
    """Versions of the packages that client, scheduler and workers must agree on."""

    @property
    def hash(self) -> str:
        """Content hash over all of it; the environment's name. 64 hex digits."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def base_hash(self) -> str:
        """Hash of the index packages and the interpreter alone: what is shared when only local code changed."""
        return hashlib.sha256(json.dumps([self.python, self.pylock]).encode()).hexdigest()

    def artifacts(self) -> tuple[Artifact, ...]:
        return self.wheels + ((self.code,) if self.code else ())


class EnvironmentRecord(Model):
    workspace: Name
    hash: str
    environment: Environment
    missing: tuple[str, ...] = ()
    """Hashes of artifacts that the control plane does not have yet."""
