"""Leases that end while something goes on: nobody notices."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.models.base import new_id, now
from amasia.models.repositories import BucketKind, Lease, Mode
from amasia.stores import leases, repositories, writing
from amasia.stores.credentials import lend
from tests.stores.conftest import Lending

LIFE = 3.0
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


def test_an_outage_shorter_than_the_rest_of_a_lease_is_not_noticed_and_the_end_is() -> None:
    down = errors.ControlPlaneDown("It is down.")
    source = scripted(("first", 1.2), down)
    begun = time.monotonic()
    while time.monotonic() - begun < 1.1:
        assert leases.current(source).access_key == "first"
        time.sleep(0.05)
    assert 2 <= ASKED[source.name] <= 12, "asked again, and not each time"
    assert leases.failure(source) is None
    time.sleep(0.2)
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
        return lend(self.bucket, self.keys, self.repository_id, "reanalysis", "demo", Mode(self.mode), "anna", 3)


def value(source: ShortLending, step: int) -> float:
    """On a worker: what this process reads now."""
    session = repositories.open(source).readonly_session("main")
    return float(xr.open_zarr(session.store, consolidated=False)["t"][step].mean())


def test_client_and_workers_read_and_write_over_many_renewals(on_s3, doorman, importable) -> None:
    bucket = on_s3.bucket.model_copy(update={"endpoint": doorman.url})
    source = ShortLending(bucket, on_s3.keys, on_s3.repository_id)
    repo = repositories.open(source)
    session = repo.writable_session("main")
    writing.write(session, series(0), "/", growing="time")
    repositories.commit(source, session, "first", {})
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        client = Client(cluster)
        client.run(lambda: leases.current(source).prefix)
        doorman.moody = True
        long = client.submit(lambda: [value(source, 0) for _ in range(60) if not time.sleep(0.2)], pure=False)
        begun, steps = time.monotonic(), 1
        while time.monotonic() - begun < 13:
            session = repo.writable_session("main")
            writing.append(session, series(steps).chunk(), "/", "time")
            repositories.commit(source, session, f"step {steps}", {})
            steps += 1
            assert client.submit(value, source, steps - 1, pure=False).result(30) == steps - 1
        assert long.result(30) == [0.0] * 60
        client.close()
    stored = xr.open_zarr(repo.readonly_session("main").store, consolidated=False)["t"].mean(("x", "y")).values
    assert stored.tolist() == [float(step) for step in range(steps)]
    assert len(doorman.sessions) >= 3 * 5, "client and two workers, five renewals of each"
    assert doorman.lendings_refused > 0
    assert doorman.turned_away == 0, "renewed before the end"


def series(step: int) -> xr.Dataset:
    values = np.full((1, 4, 4), float(step), dtype="f4")
    coords = {"time": xr.date_range("2020-01-01", periods=step + 1, freq="D")[step:]}
    return xr.Dataset({"t": (("time", "y", "x"), values)}, coords)
