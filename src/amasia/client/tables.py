"""Rows as a file that other programs read: CSV, or Parquet. Money keeps its last digit in CSV; Parquet has doubles."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO

from amasia.client.focus import Cell

ROWS = 100_000
"""Of a row group: so many are in memory at a time."""


def write_csv(file: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{cell:f}" if isinstance(cell, Decimal) else cell for name, cell in row.items()})


def write_parquet(
    path: Path, columns: Sequence[str], numbers: Iterable[str], rows: Iterable[Mapping[str, Cell]]
) -> None:
    """A file with a group of rows for each so many; one of no rows where there are none."""
    import fastparquet  # noqa: PLC0415  with pandas a second to import, and for Parquet only
    import pandas as pd  # noqa: PLC0415

    kinds = dict.fromkeys(columns, "object") | dict.fromkeys(numbers, "float64")
    for part, found in enumerate(_parts(iter(rows))):
        frame = pd.DataFrame({name: pd.Series([row[name] for row in found], dtype=kinds[name]) for name in columns})
        fastparquet.write(str(path), frame, append=part > 0, object_encoding="utf8", write_index=False,
                          has_nulls=[name for name in columns if kinds[name] == "object"])  # fmt: skip


def _parts(rows: Iterator[Mapping[str, Cell]]) -> Iterator[list[Mapping[str, Cell]]]:
    """At least one, so that there is a file."""
    yield list(islice(rows, ROWS))
    while found := list(islice(rows, ROWS)):
        yield found
