"""How a row becomes a model and a change becomes named columns."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ClauseElement, ColumnElement, Connection, RowMapping, Select, Table, func, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from amasia.models.base import Model


def one[M: Model](tx: Connection, query: Select[Any], model: type[M]) -> M | None:
    row = tx.execute(query).mappings().first()
    return None if row is None else model.model_validate(dict(row))


def every[M: Model](tx: Connection, query: Select[Any], model: type[M]) -> list[M]:
    return [model.model_validate(dict(row)) for row in tx.execute(query).mappings()]


def mapping(tx: Connection, query: Select[Any]) -> RowMapping | None:
    return tx.execute(query).mappings().first()


def add(tx: Connection, table: Table, record: Model | None = None, **columns: Any) -> None:
    """Insert the record's fields that the table has, and the columns given besides."""
    # As parameters: a statement with values is put together anew each time.
    tx.execute(insert(table), _values(table, record, columns))


def add_missing(tx: Connection, table: Table, **columns: Any) -> None:
    """Insert, unless there is such a row already, also one that somebody else adds at this moment."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    tx.execute(dialect.insert(table).values(**columns).on_conflict_do_nothing())


def add_all(tx: Connection, table: Table, records: Iterable[tuple[Model, Mapping[str, Any]]]) -> None:
    """The same for many at once."""
    if values := [_values(table, record, columns) for record, columns in records]:
        tx.execute(insert(table), values)


def change(tx: Connection, table: Table, *where: Any, **columns: Any) -> int:
    """Set the named columns only; how many rows were changed."""
    values = _plain(columns)
    if any(isinstance(value, ClauseElement) for value in values.values()):
        return tx.execute(update(table).where(*where).values(values)).rowcount
    return tx.execute(update(table).where(*where), values).rowcount


def turn(tenant: ColumnElement[Any], *order: Any) -> ColumnElement[int]:
    """Which of its tenant's a row is, in an order. Sorted by it, the first of each comes before the second of any."""
    return func.row_number().over(partition_by=tenant, order_by=order)


def plain(record: Model) -> dict[str, Any]:
    """Fields as the database takes them: times as they are, nested models as JSON."""
    return _plain({name: getattr(record, name) for name in type(record).model_fields})


def _values(table: Table, record: Model | None, columns: Mapping[str, Any]) -> dict[str, Any]:
    fields = {} if record is None else plain(record)
    return {key: value for key, value in fields.items() if key in table.c} | _plain(columns)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _column(value) for key, value in values.items()}


def _column(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL holds no NUL; tasks print what they like
    if isinstance(value, tuple | list):
        return [_column(item) for item in value]
    return value
