"""Named queries on environments and the artifacts that they need."""

from sqlalchemy import Connection, select

from amasia.database.rows import add
from amasia.database.tables import artifacts, clusters, environments
from amasia.models.base import now
from amasia.models.environments import Environment


def find(tx: Connection, workspace: str, digest: str) -> Environment | None:
    query = select(environments.c.environment).where(
        environments.c.workspace == workspace, environments.c.hash == digest
    )
    body = tx.execute(query).scalar()
    return None if body is None else Environment.model_validate(body)


def create(tx: Connection, workspace: str, environment: Environment) -> None:
    add(
        tx,
        environments,
        workspace=workspace,
        hash=environment.hash,
        environment=environment.model_dump(mode="json"),
        created_at=now(),
    )


def newest(tx: Connection, workspace: str) -> str:
    """Hash of that of the last cluster; empty where there was none."""
    query = select(clusters.c.environment_hash).where(clusters.c.workspace == workspace)
    return tx.execute(query.order_by(clusters.c.created_at.desc()).limit(1)).scalar() or ""


def missing(tx: Connection, workspace: str, wanted: list[str]) -> list[str]:
    """Of these artifact hashes, the ones that are not here."""
    query = select(artifacts.c.sha256).where(artifacts.c.workspace == workspace, artifacts.c.sha256.in_(wanted))
    have = set(tx.execute(query).scalars())
    return [digest for digest in dict.fromkeys(wanted) if digest not in have]


def add_artifact(tx: Connection, workspace: str, digest: str, content: bytes) -> None:
    add(tx, artifacts, workspace=workspace, sha256=digest, content=content, created_at=now())


def artifact(tx: Connection, workspace: str, digest: str) -> bytes | None:
    query = select(artifacts.c.content).where(artifacts.c.workspace == workspace, artifacts.c.sha256 == digest)
    return tx.execute(query).scalar()
