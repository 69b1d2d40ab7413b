"""Full text: SQLite's FTS5 and PostgreSQL's tsvector behind the same few verbs. No other module knows either."""

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Float, bindparam, column, func, literal_column, table, text

TABLE = "dataset_words"
"""Of both; the tables that FTS5 makes for itself begin with it too."""

_WORD = re.compile(r"\w+")
_SQLITE = (
    f"CREATE VIRTUAL TABLE {TABLE} USING fts5(title, names, rest, "
    "tokenize='porter unicode61 remove_diacritics 2', prefix='3')",
)
_POSTGRESQL = (
    f"CREATE TABLE {TABLE} (rowid bigint PRIMARY KEY, words tsvector NOT NULL)",
    f"CREATE INDEX ix_{TABLE}_words ON {TABLE} USING gin (words)",
)
_MOST = 12

words = table(TABLE, column("rowid"), column("words"))


def is_ours(name: str | None) -> bool:
    """Whether a table's name is one of those that `create` makes."""
    return str(name).startswith(TABLE)


def create(tx: Connection) -> None:
    for statement in _SQLITE if _is_sqlite(tx) else _POSTGRESQL:
        tx.execute(text(statement))


def drop(tx: Connection) -> None:
    tx.execute(text(f"DROP TABLE {TABLE}"))


def put(tx: Connection, rowid: int, title: str, names: str, rest: str) -> None:
    """Words of a title weigh most, those of names more than the rest."""
    values = {"rowid": rowid, "title": _plain(title), "names": _plain(names), "rest": _plain(rest)}
    if _is_sqlite(tx):
        tx.execute(text(f"INSERT INTO {TABLE} (rowid, title, names, rest) "  # noqa: S608
                        "VALUES (:rowid, :title, :names, :rest)"), values)  # fmt: skip
        return
    tx.execute(
        text(
            f"INSERT INTO {TABLE} (rowid, words) VALUES (:rowid, setweight(to_tsvector('english', :title), 'A') || "  # noqa: S608
            "setweight(to_tsvector('english', :names), 'B') || setweight(to_tsvector('english', :rest), 'D'))"
        ),
        values,
    )


def remove(tx: Connection, rowids: Sequence[int]) -> None:
    statement = text(f"DELETE FROM {TABLE} WHERE rowid IN :rowids").bindparams(bindparam("rowids", expanding=True))  # noqa: S608
    tx.execute(statement, {"rowids": list(rowids)})


def match(tx: Connection, wished: str) -> tuple[ColumnElement[bool], ColumnElement[float]] | None:
    """(condition, rank) on `words`: every word, or a beginning of it, must be there; the smallest rank is the best.

    None where there is no word in it.
    """
    found = _WORD.findall(_plain(wished))[:_MOST]
    if not found:
        return None
    if _is_sqlite(tx):
        query = " ".join(f'"{word}"*' for word in found)
        return literal_column(TABLE).op("MATCH")(query), literal_column(f"bm25({TABLE}, 10, 5, 1)", Float)
    asked = func.to_tsquery("english", " & ".join(f"'{word}':*" for word in found))
    return words.c.words.op("@@")(asked), -func.ts_rank(words.c.words, asked)


def _plain(value: str) -> str:
    """Underscores part words: ``air_temperature`` is found by ``temperature``."""
    return value.replace("_", " ").replace("\0", " ")


def _is_sqlite(tx: Connection) -> bool:
    return tx.dialect.name == "sqlite"
