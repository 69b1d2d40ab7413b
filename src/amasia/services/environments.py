"""Environments and the wheels and code that belong to them."""

import hashlib

from sqlalchemy import Connection

from amasia import errors
from amasia.database import environments as rows
from amasia.database import events
from amasia.database.engine import Database
from amasia.models.environments import Environment, EnvironmentRecord
from amasia.models.users import Principal

MAX_ARTIFACT = 64 << 20
"""Bytes. Environments come from package indexes; what the client made itself is small."""


def put(db: Database, who: Principal, workspace: str, digest: str, environment: Environment) -> EnvironmentRecord:
    """Keep it; repeatable. The answer names the artifacts that are still to be sent."""
    if environment.hash != digest:
        raise errors.InvalidRequest(
            f"The environment's hash is {environment.hash[:12]}…, not {digest[:12]}…: client and control plane "
            "describe environments differently.",
            cure="Use the same version of Amasia on both.",
        )
    with db.write() as tx:
        if rows.find(tx, workspace, digest) is None:
            rows.create(tx, workspace, environment)
            events.append(tx, actor=who.actor, verb="environment.create", target=digest, workspace=workspace,
                          source=who.source)  # fmt: skip
    return get(db, workspace, digest)


def get(db: Database, workspace: str, digest: str) -> EnvironmentRecord:
    with db.read() as tx:
        environment = rows.find(tx, workspace, digest)
        if environment is None:
            raise errors.NotFound(f"The workspace {workspace!r} has no environment {digest[:12]}….")
        missing = rows.missing(tx, workspace, [artifact.sha256 for artifact in environment.artifacts()])
    return EnvironmentRecord(workspace=workspace, hash=digest, environment=environment, missing=tuple(missing))


def check_sent(tx: Connection, workspace: str, digest: str) -> None:
    """Whether machines can build it: it is known, and all its artifacts are here."""
    environment = rows.find(tx, workspace, digest)
    if environment is None:
        raise errors.NotFound(f"The environment {digest[:12]}… is not known.", cure="Send it first.")
    if lacking := rows.missing(tx, workspace, [artifact.sha256 for artifact in environment.artifacts()]):
        raise errors.Conflict(f"{len(lacking)} artifacts of the environment were not sent.", cure="Send them.")


def put_artifact(db: Database, who: Principal, workspace: str, digest: str, content: bytes) -> None:
    if len(content) > MAX_ARTIFACT:
        raise errors.InvalidRequest(
            f"The artifact has {len(content)} bytes, and at most {MAX_ARTIFACT} are taken.",
            cure="Keep data out of the package, in a repository.",
        )
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise errors.InvalidRequest(f"The artifact's hash is {found[:12]}…, not {digest[:12]}…: it was cut or changed.")
    with db.write() as tx:
        if rows.missing(tx, workspace, [digest]):
            rows.add_artifact(tx, workspace, digest, content)
            events.append(tx, actor=who.actor, verb="artifact.create", target=digest, workspace=workspace,
                          source=who.source, bytes=len(content))  # fmt: skip


def artifact(db: Database, workspace: str, digest: str) -> bytes:
    with db.read() as tx:
        content = rows.artifact(tx, workspace, digest)
    if content is None:
        raise errors.NotFound(f"The workspace {workspace!r} has no artifact {digest[:12]}….")
    return content
