"""What an event costs in its chain, beside a plain row: ``python -m benchmarks.audit``."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from amasia.database import events as rows
from amasia.database.engine import Database
from amasia.models.events import check
from amasia.services import events
from show import databases

COUNT = 400
THREADS = 8
PLAIN = "CREATE TABLE plain (at TEXT, workspace TEXT, actor TEXT, verb TEXT, target TEXT, outcome TEXT, detail TEXT)"


def main() -> None:
    table = Table("database", "threads", "plain rows/s", "events/s", "in 8 workspaces/s", "verified/s",
                  title=f"{COUNT} transactions of one row or event each")  # fmt: skip
    for kind in databases.KINDS:
        with tempfile.TemporaryDirectory(prefix="amasia-bench-") as folder, databases.fresh(Path(folder), kind) as db:
            with db.write() as tx:
                tx.execute(text(PLAIN))
            for threads in (1, THREADS):
                plain, one, many = (_rate(db, threads, work) for work in (_plain, _one, _many))
                found = events.follow(db, "lab", 0, 10**6)
                begun = time.perf_counter()
                checked = check(events.head(db, "lab"), found).checked
                verified = checked / (time.perf_counter() - begun)
                table.add_row(kind, str(threads), f"{plain:.0f}", f"{one:.0f}", f"{many:.0f}", f"{verified:.0f}")
    Console().print(table)


def _rate(db: Database, threads: int, work: Callable[[Connection, int], None]) -> float:
    def once(number: int) -> None:
        with db.write() as tx:
            work(tx, number)

    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(once, range(COUNT)))
    return COUNT / (time.perf_counter() - begun)


def _plain(tx: Connection, number: int) -> None:
    tx.execute(
        text("INSERT INTO plain VALUES ('2026-11-26', 'lab', 'ada', 'thing.do', :target, 'done', '{}')"),
        {"target": str(number)},
    )


def _one(tx: Connection, number: int, workspace: str = "lab") -> None:
    rows.append(tx, actor="ada", verb="thing.do", target=str(number), workspace=workspace)


def _many(tx: Connection, number: int) -> None:
    _one(tx, number, f"lab{number % THREADS}")


if __name__ == "__main__":
    main()
