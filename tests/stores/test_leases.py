"""Leases that end while something goes on: nobody notices."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import zarr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.models.base import new_id, now
from amasia.models.repositories import BucketKind, Lease, Mode
from amasia.stores import leases, repositories
from amasia.stores.credentials import lend
from tests.stores.conftest import Lending

LIFE = 4.5
ANSWERS: dict[str, list[Any]] = {}
ASKED: dict[str, int] = {}


@dataclass(frozen=True)
class Scripted:
    """Gives what its script says, one after the other, and the last again and again."""

    name: str

    def __call__(self) -> Lease:
        ASKED[self.name] = ASKED.get(self.name, 0) + 1
        script = ANSWERS[self.name]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return Lease(repository="r", workspace="w", mode=Mode.read, kind=BucketKind.s3, bucket="b", prefix="p",
                     access_key=answer[0], expires_at=now() + timedelta(seconds=answer[1]))  # fmt: skip


def scripted(*answers: Any) -> Scripted:
    name = new_id("script")
    ANSWERS[name] = list(answers)
    return Scripted(name)


def test_an_outage_shorter_than_the_rest_of_a_lease_is_not_noticed_and_the_end_is(monkeypatch) -> None:
    monkeypatch.setattr(leases, "_PATIENCE", 0)
    down = errors.ControlPlaneDown("It is down.")
    source = scripted(("first", 120), down)
    at = now()
    monkeypatch.setattr(leases, "now", lambda: at)
    monkeypatch.setitem(globals(), "now", lambda: at)
    for _ in range(24):
        assert leases.current(source).access_key == "first"
        at += timedelta(seconds=5)
    assert 2 <= ASKED[source.name] <= 12, "asked again, and not each time"
    assert leases.failure(source) is None
    with pytest.raises(errors.ControlPlaneDown):
        leases.current(source)


def test_after_an_outage_the_lease_is_renewed() -> None:
    source = scripted(("first", 1.2), errors.StoreDown("down"), ("second", 60))
    seen = set()
    begun = time.monotonic()
    while time.monotonic() - begun < 1.5:
        seen.add(leases.current(source).access_key)
        time.sleep(0.02)
    assert seen == {"first", "second"}


def test_whoever_was_idle_until_after_the_end_asks_for_a_while() -> None:
    source = scripted(("first", 0.2), errors.StoreDown("down"), errors.StoreDown("down"), ("second", 60))
    leases.current(source)
    time.sleep(0.3)
    assert leases.current(source).access_key == "second"


def test_a_right_that_was_taken_away_is_not_kept_until_the_end() -> None:
    source = scripted(("first", 0.9), errors.NotFound("There is no repository."))
    leases.current(source)
    time.sleep(0.65)
    with pytest.raises(errors.NotFound):
        leases.current(source)


def test_nobody_waits_for_the_one_who_renews_while_the_old_lease_is_good() -> None:
    source = scripted(("first", 3.0))
    leases.current(source)
    shelf = leases._shelves[leases.pickle.dumps(source)]
    with shelf.lock:
        found: list[str] = []
        other = threading.Thread(target=lambda: found.append(leases.current(source).access_key))
        other.start()
        other.join(1)
    assert found == ["first"]


@dataclass
class Doorman:
    """Stands before the real store and lets no session in that is older than `LIFE`, as a store with so short lives
    would; no such store is known. Lends nothing for a while now and then."""

    url: str
    moody: bool = False
    sessions: dict[str, float] = field(default_factory=dict)
    turned_away: int = 0
    lendings_refused: int = 0


@pytest.fixture
def doorman(store) -> Iterator[Doorman]:
    behind = store.endpoint.removeprefix("http://")
    made = Doorman("")

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("X-Amz-Security-Token", "")
            if token and time.monotonic() - made.sessions.setdefault(token, time.monotonic()) > LIFE:
                made.turned_away += 1
                self.answer(403, [], b"<Error><Code>ExpiredToken</Code></Error>")
                return
            if made.moody and not token and b"AssumeRole" in body and int(time.monotonic() * 2) % 3 == 0:
                made.lendings_refused += 1
                self.answer(503, [], b"<ErrorResponse><Error><Code>ServiceUnavailable</Code></Error></ErrorResponse>")
                return
            link = http.client.HTTPConnection(behind, timeout=20)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            link.request(self.command, self.path, body, headers)
            found = link.getresponse()
            self.answer(found.status, found.getheaders(), found.read())
            link.close()

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = next((value for name, value in headers if name.lower() == "content-length"), str(len(content)))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()


@dataclass(frozen=True)
class ShortLending(Lending):
    """As the control plane lends where its setting says a few seconds."""

    def __call__(self) -> Lease:
        return lend(self.bucket, self.keys, self.repository_id, "reanalysis", "demo", Mode(self.mode), "anna", 4)


def reads(source: ShortLending, seconds: float) -> set[int]:
    """On a worker: the sums that this process reads, over and over."""
    found, end = set(), time.monotonic() + seconds
    repo = repositories.open(source)
    while time.monotonic() < end:
        found.add(int(zarr.open_array(repo.readonly_session("main").store, path="x", mode="r")[:].sum()))
        time.sleep(0.2)
    return found


def test_client_and_workers_read_and_write_over_many_renewals(on_s3, doorman, importable) -> None:
    bucket = on_s3.bucket.model_copy(update={"endpoint": doorman.url})
    source = ShortLending(bucket, on_s3.keys, on_s3.repository_id)
    repo = repositories.open(source)
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="x", shape=(4,), chunks=(4,), dtype="i8")
    repositories.commit(source, session, "first", {})
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        client = Client(cluster)
        client.run(lambda: leases.current(source).prefix)
        doorman.moody = True
        jobs = [client.submit(reads, source, 19, workers=[name], pure=False) for name in client.nthreads()]
        end, steps = time.monotonic() + 19, 0
        while time.monotonic() < end:
            steps += 1
            session = repo.writable_session("main")
            zarr.open_array(session.store, path="x")[:] = steps
            repositories.commit(source, session, f"step {steps}", {})
        seen = [job.result(60) for job in jobs]
        client.close()
    assert int(zarr.open_array(repo.readonly_session("main").store, path="x", mode="r")[0]) == steps
    assert all(len(found) > 3 and found <= {4 * step for step in range(steps + 1)} for found in seen)
    assert len(doorman.sessions) >= 3 * 5, "client and two workers, five leases of each"
    assert doorman.lendings_refused > 0
    assert doorman.turned_away == 0, "renewed before the end"
