"""The one place that decides how things look: tables, JSON, money, times. Data on stdout, all else on stderr."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from amasia.models import money
from amasia.models.base import now

BAR = 30


def show_json(value: Any) -> None:
    """A model, a list of models, or plain data, as JSON on stdout."""
    print(json.dumps(_plain(value), indent=2, default=str))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Columns that start with ``>`` are right-aligned. Tab-separated and without colour where nobody looks."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not texts and empty:
        say(empty)
        return
    names = [name.removeprefix(">") for name in columns]
    if not sys.stdout.isatty():
        for row in [names, *texts]:
            print(printable("\t".join(row)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, column in zip(names, columns, strict=True):
        table.add_column(name, justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in texts:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)


def show_fields(fields: dict[str, object]) -> None:
    """One ``name  value`` a line."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        print(printable(f"{name:<{width}}  {value}"))


def show_picture(picture: RenderableType) -> None:
    """Bars and the like; nothing where nobody looks, since the same is there as data."""
    if sys.stdout.isatty():
        Console(highlight=False).print(picture)


def say(text: str) -> None:
    """A sentence for people, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Without what would steer the reader's terminal: other people wrote messages, names and logs."""
    return "".join(letter if letter in "\t\n" or unicodedata.category(letter) != "Cc" else "\ufffd" for letter in text)


def bar(part: int, whole: int) -> str:
    """``█████░░░░░ 50%``; full where the whole is nothing."""
    share = max(0.0, min(1.0, part / whole)) if whole else 1.0
    filled = round(share * BAR)
    return f"{'█' * filled}{'░' * (BAR - filled)} {share:.0%}"


def ago(time: datetime | None) -> str:
    """``3 min ago``; empty for no time."""
    if time is None:
        return ""
    seconds = (now() - time).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def clock(time: datetime) -> str:
    """Local time, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def per_hour(rate: int, currency: str) -> str:
    return f"{money.show(rate, currency)}/h"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
