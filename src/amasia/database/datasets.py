"""Named queries on the catalog: datasets, what they are found by, and how far each repository is described."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
)

from amasia.database import grants, words
from amasia.database.rows import every, mapping, turn
from amasia.database.tables import (
    catalogings,
    commits,
    dataset_contents,
    dataset_variables,
    datasets,
    previews,
    repositories,
)
from amasia.models.datasets import Box, Content, Dataset, Details, Query, Summary
from amasia.models.repositories import Repository
from amasia.models.users import Principal

_FULL_NAME = (repositories.c.workspace + "/" + repositories.c.name).label("repository")
_DATASET = select(datasets, _FULL_NAME).join(repositories, repositories.c.id == datasets.c.repository_id)

type Ids = Select[tuple[str]]
"""Which repositories somebody may see, as a subquery."""


def visible(who: Principal) -> Ids:
    """The repositories that somebody may read."""
    return select(repositories.c.id).where(grants.visible(who))


def put(
    tx: Connection,
    repository: Repository,
    snapshot: str,
    committed_at: datetime,
    contents: Iterable[Content],
) -> None:
    """Make the catalog of a repository that of one snapshot."""
    forget(tx, repository.id)
    for content in contents:
        _add(tx, repository, snapshot, committed_at, content)


def forget(tx: Connection, repository_id: str) -> None:
    """Everything that the catalog has of a repository, but for how far it was described."""
    ids = list(tx.execute(select(datasets.c.id).where(datasets.c.repository_id == repository_id)).scalars())
    if not ids:
        return
    words.remove(tx, ids)
    for table in (previews, dataset_variables, dataset_contents):
        tx.execute(delete(table).where(table.c.dataset_id.in_(ids)))
    tx.execute(delete(datasets).where(datasets.c.id.in_(ids)))


def remove(tx: Connection, repository_id: str) -> None:
    forget(tx, repository_id)
    tx.execute(delete(catalogings).where(catalogings.c.repository_id == repository_id))


def search(
    tx: Connection, visible: Ids, query: Query, limit: int, after: int = 0, *, thumbnails: bool = False
) -> list[Dataset]:
    """What fits, the best first; without words, the newest first."""
    # Nothing is added to the id, so that no plan goes repository by repository: that would sort all there is.
    where = [datasets.c.repository_id.concat("").in_(visible), *_conditions(query)]
    wanted = select(datasets.c.id)
    ranked = [datasets.c.committed_at.desc(), datasets.c.id]
    if query.text.strip():
        found = words.match(tx, query.text)
        if found is None:
            return []
        matches, rank = found
        wanted = wanted.join(words.words, words.words.c.rowid == datasets.c.id).where(matches)
        ranked.insert(0, rank)
    if query.repositories or query.workspace:
        wanted = wanted.join(repositories, repositories.c.id == datasets.c.repository_id)
        where.extend(_of_repositories(query))
    # Ids first: the sort then carries no JSON.
    ids = list(tx.execute(wanted.where(*where).order_by(*ranked).limit(limit).offset(after)).scalars())
    return _datasets(tx, ids, thumbnails=thumbnails)


def find(tx: Connection, repository_id: str) -> list[Dataset]:
    """The datasets of one repository, by group."""
    ids = tx.execute(
        select(datasets.c.id).where(datasets.c.repository_id == repository_id).order_by(datasets.c.group)
    ).scalars()
    return _datasets(tx, list(ids), thumbnails=False)


def get(tx: Connection, repository_id: str, group: str) -> Details | None:
    query = (
        _DATASET.add_columns(dataset_contents, repositories.c.created_by)
        .join(dataset_contents, dataset_contents.c.dataset_id == datasets.c.id)
        .where(datasets.c.repository_id == repository_id, datasets.c.group == group)
    )
    row = mapping(tx, query)
    if row is None:
        return None
    drawn = select(previews.c.variable).where(previews.c.dataset_id == row["id"]).order_by(previews.c.place)
    return Details.model_validate(_fields(row) | {"previews": tuple(tx.execute(drawn).scalars())})


def preview(tx: Connection, repository_id: str, group: str, variable: str) -> str | None:
    """The SVG of a variable; of the dataset's first one where none is named."""
    query = (
        select(previews.c.svg)
        .join(datasets, datasets.c.id == previews.c.dataset_id)
        .where(datasets.c.repository_id == repository_id, datasets.c.group == group)
    )
    wished = previews.c.variable == (variable or datasets.c.first_preview)
    return tx.execute(query.where(wished)).scalar()


def collections(tx: Connection, visible: Ids) -> list[Repository]:
    """Repositories that have datasets."""
    described = select(datasets.c.repository_id).distinct()
    query = select(repositories).where(repositories.c.id.in_(visible), repositories.c.id.in_(described))
    return every(tx, query.order_by(repositories.c.workspace, repositories.c.name), Repository)


def waiting(tx: Connection, at: datetime, settled: datetime, limit: int) -> list[tuple[Repository, str, datetime]]:
    """Repositories whose newest commit on main is not the one that was described: (repository, snapshot, when).

    Those whose newest commit is younger than ``settled`` are most likely being written to, and wait.
    """
    newest = (
        select(commits.c.repository_id, func.max(commits.c.at).label("at"))
        .where(commits.c.status == "committed", commits.c.branch == "main")
        .group_by(commits.c.repository_id)
        .subquery()
    )
    query = (
        select(repositories, commits.c.snapshot, commits.c.at)
        .join(newest, newest.c.repository_id == repositories.c.id)
        .join(commits, and_(commits.c.repository_id == repositories.c.id, commits.c.at == newest.c.at,
                            commits.c.branch == "main", commits.c.status == "committed"))
        .outerjoin(catalogings, catalogings.c.repository_id == repositories.c.id)
        .where(
            repositories.c.status == "ready",
            or_(catalogings.c.snapshot.is_(None), catalogings.c.snapshot != commits.c.snapshot,
                catalogings.c.failures > 0),
            or_(catalogings.c.next_at.is_(None), catalogings.c.next_at <= at),
            commits.c.at <= settled,
        )
        .order_by(turn(repositories.c.workspace, commits.c.at), commits.c.at)
        .limit(limit)
    )  # fmt: skip
    return [(Repository.model_validate(dict(row)), row["snapshot"], row["at"]) for row in tx.execute(query).mappings()]


def described(
    tx: Connection,
    repository_id: str,
    snapshot: str,
    at: datetime,
    *,
    next_at: datetime | None = None,
    reason: str = "",
) -> None:
    """Write down how far a repository is described, or, with a reason, that it could not be once more."""
    failed = failures(tx, repository_id) + 1 if reason else 0
    tx.execute(delete(catalogings).where(catalogings.c.repository_id == repository_id))
    tx.execute(
        insert(catalogings).values(
            repository_id=repository_id, snapshot=snapshot, at=at, failures=failed, next_at=next_at, reason=reason
        )
    )


def failures(tx: Connection, repository_id: str) -> int:
    query = select(catalogings.c.failures).where(catalogings.c.repository_id == repository_id)
    return tx.execute(query).scalar() or 0


def _add(tx: Connection, repository: Repository, snapshot: str, committed_at: datetime, content: Content) -> None:
    summary = content.model_dump(mode="json", include=set(Summary.model_fields) - {"group"})
    box = content.box.bounds if content.box else (None,) * 4
    columns = dict(zip(("west", "south", "east", "north"), box, strict=True))
    made = tx.execute(
        insert(datasets)
        .values(
            repository_id=repository.id, group=content.group, branch="main", snapshot=snapshot,
            committed_at=committed_at, begin_at=content.begin_at, end_at=content.end_at, summary=_clean(summary),
            first_preview=next(iter(content.previews), ""), **columns,
        )
        .returning(datasets.c.id)
    ).scalar_one()  # fmt: skip
    variables = [one.model_dump(mode="json") for one in content.variables]
    tx.execute(
        insert(dataset_contents).values(
            dataset_id=made, variables=_clean(variables), attributes=_clean(content.attributes),
            html=_clean(content.html),
        )
    )  # fmt: skip
    data = {one.name: one for one in content.variables if not one.coordinate}
    if data:
        rows = [
            {"dataset_id": made, "name": _clean(name), "lower_name": _clean(name.lower()),
             "standard_name": _clean(one.standard_name)}
            for name, one in data.items()
        ]  # fmt: skip
        tx.execute(insert(dataset_variables), rows)
    if content.previews:
        drawn = [
            {"dataset_id": made, "variable": _clean(name), "place": place, "svg": _clean(svg)}
            for place, (name, svg) in enumerate(content.previews.items())
        ]
        tx.execute(insert(previews), drawn)
    words.put(tx, made, *_words(repository, content))


def _words(repository: Repository, content: Content) -> tuple[str, str, str]:
    """What a dataset is found by: its title, names, and what attributes say."""
    names = [repository.full_name.replace("/", " "), content.group.replace("/", " ")]
    for one in content.variables:
        if not one.coordinate:
            names += [one.name, one.standard_name, one.long_name]
    rest = [repository.description, *(str(value)[:600] for value in content.attributes.values())]
    return content.title, " ".join(names)[:20_000], " ".join(rest)[:8_000]


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.variable:
        where.append(_has(dataset_variables.c.lower_name == query.variable.lower()))
    if query.standard_name:
        where.append(_has(dataset_variables.c.standard_name == query.standard_name))
    if query.box is not None:
        where.append(_overlaps(query.box))
    if query.since is not None:
        where.append(datasets.c.end_at >= query.since)
    if query.until is not None:
        where.append(datasets.c.begin_at <= query.until)
    if query.groups:
        where.append(datasets.c.group.in_(query.groups))
    return where


def _has(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return datasets.c.id.in_(select(dataset_variables.c.dataset_id).where(condition))


def _of_repositories(query: Query) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.workspace:
        where.append(repositories.c.workspace == query.workspace)
    if query.repositories:
        pairs = [name.partition("/")[::2] for name in query.repositories]
        where.append(
            or_(
                false(),
                *(and_(repositories.c.workspace == space, repositories.c.name == name) for space, name in pairs),
            )
        )
    return where


def _overlaps(box: Box) -> ColumnElement[bool]:
    """Either may cross the 180th meridian, and then its west is greater than its east."""
    west, south, east, north = box.bounds
    pieces = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    across = [
        case(
            (datasets.c.west <= datasets.c.east, and_(datasets.c.west <= end, datasets.c.east >= begin)),
            else_=or_(datasets.c.west <= end, datasets.c.east >= begin),
        )
        for begin, end in pieces
    ]
    return and_(datasets.c.south <= north, datasets.c.north >= south, or_(*across))


def _datasets(tx: Connection, ids: list[int], *, thumbnails: bool) -> list[Dataset]:
    if not ids:
        return []
    rows = {row["id"]: row for row in tx.execute(_DATASET.where(datasets.c.id.in_(ids))).mappings()}
    drawn: dict[int, str] = {}
    if thumbnails:
        first = select(previews.c.dataset_id, previews.c.svg).where(
            previews.c.dataset_id.in_(ids), previews.c.place == 0
        )
        drawn = {row.dataset_id: row.svg for row in tx.execute(first)}
    return [Dataset.model_validate(_fields(rows[at]) | {"thumbnail": drawn.get(at, "")}) for at in ids if at in rows]


def _fields(row: RowMapping) -> dict[str, Any]:
    return {**row, **row["summary"], "summary": row["summary"].get("summary", "")}


def _clean(value: Any) -> Any:
    """Without what PostgreSQL cannot hold; other tools write what they like into attributes."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
