"""Named queries on publications."""

from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from amasia.database.rows import add, change, every, one
from amasia.database.tables import publications, repositories
from amasia.models.publications import Publication


def put(tx: Connection, publication: Publication) -> None:
    values = {name: getattr(publication, name) for name in ("protocols", "public", "by", "at")}
    where = publications.c.repository_id == publication.repository_id
    if not change(tx, publications, where, **values):
        add(tx, publications, publication)


def find(tx: Connection, workspace: str, name: str) -> Publication | None:
    query = _all().where(repositories.c.workspace == workspace, repositories.c.name == name)
    return one(tx, query, Publication)


def every_of(tx: Connection, workspace: str) -> list[Publication]:
    query = _all().where(repositories.c.workspace == workspace).order_by(repositories.c.name)
    return every(tx, query, Publication)


def count(tx: Connection) -> int:
    return tx.execute(select(func.count()).select_from(publications)).scalar_one()


def remove(tx: Connection, repository_id: str) -> int:
    return tx.execute(delete(publications).where(publications.c.repository_id == repository_id)).rowcount


def _all() -> Select[Any]:
    query = select(publications, repositories.c.workspace, repositories.c.name.label("repository"))
    return query.join(repositories, repositories.c.id == publications.c.repository_id)
