"""Repositories: history, the one way to commit, renewal, and a store that is dead or full."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr

from amasia import errors
from amasia.models.repositories import Bucket, BucketKind, Lease
from amasia.stores import leases, lineage, repositories
from amasia.stores.credentials import Keys
from amasia.stores.embedded import EmbeddedStore
from amasia.stores.failures import translated


def fill(source: leases.Source, size: int = 8, name: str = "x") -> str:
    session = repositories.open(source).writable_session("main")
    zarr.open_group(session.store, mode="a").create_array(name, shape=(size,), chunks=(1,), dtype="i4", fill_value=0)
    return repositories.commit(source, session, f"make {name}", {"amasia": {"commit_id": f"co-{name}"}})


def values(source: leases.Source, name: str = "x") -> list[int]:
    session = repositories.open(source).readonly_session("main")
    return [int(v) for v in zarr.open_array(session.store, path=name, mode="r")[:]]


def put_one(source: leases.Source, place: int, value: int) -> str:
    """One chunk in one commit; also run in other processes."""
    session = repositories.open(source).writable_session("main")
    zarr.open_array(session.store, path="x", mode="r+")[place] = value
    return repositories.commit(source, session, f"put {place}", {"amasia": {"commit_id": f"co-{place}"}})


def put_many(source: leases.Source, place: int, times: int) -> list[str]:
    return [put_one(source, place, value) for value in range(1, times + 1)]


def test_a_commit_is_in_the_history_with_its_metadata(source: leases.Source) -> None:
    first = fill(source)
    newest, oldest = repositories.history(repositories.open(source))
    assert (newest.id, newest.message, newest.parent) == (first, "make x", oldest.id)
    assert newest.metadata["amasia"]["commit_id"] == "co-x"
    assert oldest.parent == ""


def test_a_reader_opens_what_the_last_one_remembers_until_the_configuration_changes(source) -> None:
    fill(source)
    reader = source.as_mode("read")
    first = repositories.open(reader)
    put_one(source, 0, 5)
    assert repositories.open(reader) is first
    assert values(reader)[0] == 5
    changed = first.config
    changed.inline_chunk_threshold_bytes = 7
    repositories.open(source).reopen(changed).save_config()
    assert repositories.open(reader).config.inline_chunk_threshold_bytes == 7


def test_creating_again_opens_what_is_there(source) -> None:
    first = fill(source)
    again = repositories.create(source.as_mode("administer"))
    assert repositories.history(again)[0].id == first


def test_disjoint_changes_are_both_kept_and_clashing_ones_are_a_conflict(source: leases.Source) -> None:
    base = fill(source)
    one, two, three = (repositories.open(source).writable_session("main") for _ in range(3))
    for session, place, value in ((one, 0, 1), (two, 1, 2), (three, 0, 3)):
        zarr.open_array(session.store, path="x", mode="r+")[place] = value
    repositories.commit(source, one, "one", {})
    newest = repositories.commit(source, two, "two", {})
    with pytest.raises(errors.Conflict) as caught:
        repositories.commit(source, three, "three", {})
    assert "'main'" in caught.value.message
    assert base in caught.value.message
    assert newest in caught.value.message
    assert values(source) == [1, 2, 0, 0, 0, 0, 0, 0]
    assert [s.message for s in repositories.history(repositories.open(source))][:2] == ["two", "one"]


def test_who_never_comes_first_is_not_told_of_a_change_that_nobody_made(
    source: leases.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(source)
    one, two = (repositories.open(source).writable_session("main") for _ in range(2))
    for session, place in ((one, 0), (two, 1)):
        zarr.open_array(session.store, path="x", mode="r+")[place] = 1
    repositories.commit(source, one, "one", {})
    monkeypatch.setattr(repositories, "_REBASES", 0)
    with pytest.raises(errors.Conflict, match="others were first") as caught:
        repositories.commit(source, two, "two", {})
    assert "changed the same" not in caught.value.message
    monkeypatch.undo()
    repositories.commit(source, two, "two", {})
    assert values(source)[:2] == [1, 1]


def test_an_empty_commit_is_refused(source: leases.Source) -> None:
    session = repositories.open(source).writable_session("main")
    with pytest.raises(errors.InvalidRequest, match="nothing to commit"):
        repositories.commit(source, session, "nothing", {})


def test_eight_processes_in_one_directory_lose_no_commit(on_disk: leases.Source, importable: None) -> None:
    fill(on_disk)
    context = multiprocessing.get_context("spawn")
    with context.Pool(8) as pool:
        ids = pool.starmap(put_many, [(on_disk, place, 2) for place in range(8)])
    acknowledged = {id for some in ids for id in some}
    assert len(acknowledged) == 16
    assert acknowledged <= {s.id for s in repositories.history(repositories.open(on_disk))}
    assert values(on_disk) == [2] * 8


def test_a_repository_that_is_not_there_is_named(source) -> None:
    other = type(source)(source.bucket, source.keys, "re-none")
    with pytest.raises(errors.NotFound, match="demo/reanalysis"):
        repositories.open(other)


def test_a_read_lease_cannot_commit(on_s3) -> None:
    fill(on_s3)
    session = repositories.open(on_s3.as_mode("read")).writable_session("main")
    with pytest.raises(icechunk.StorageError, match="AccessDenied"):
        zarr.open_group(session.store, mode="a").create_array("big", data=np.random.default_rng(0).random(4096))
    session = repositories.open(on_s3.as_mode("read")).writable_session("main")
    zarr.open_group(session.store, mode="a").attrs["a"] = 1
    with pytest.raises(errors.PermissionDenied, match="refused"):
        repositories.commit(on_s3.as_mode("read"), session, "no", {})
    assert len(repositories.history(repositories.open(on_s3))) == 2


_READ_ELSEWHERE = """
import pickle, sys, zarr
session = pickle.load(open(sys.argv[1], "rb"))
from amasia.stores import leases
print([int(v) for v in zarr.open_array(session.store, path="x", mode="r")[:]])
print("asked", len([s for s in leases._shelves.values() if s.lease]))
"""


def test_a_pickled_session_gets_new_credentials_in_another_process(on_s3, tmp_path: Path, importable: None) -> None:
    fill(on_s3)
    put_one(on_s3, 0, 7)
    # Over before another process has started: whoever unpickles it must ask anew.
    short = type(on_s3)(on_s3.bucket, on_s3.keys, on_s3.repository_id, "read", seconds_left=1)
    session = repositories.open(short).readonly_session("main")
    file = tmp_path / "session"
    file.write_bytes(pickle.dumps(session))
    done = subprocess.run(
        [sys.executable, "-c", _READ_ELSEWHERE, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["[7, 0, 0, 0, 0, 0, 0, 0]", "asked 1"], done.stderr


@dataclass(frozen=True)
class Counted:
    inner: leases.Source
    file: str

    def __call__(self) -> Lease:
        with Path(self.file).open("a") as file:
            file.write("x")
        time.sleep(0.05)
        return self.inner()


def test_many_threads_share_one_lease(on_s3: leases.Source, tmp_path: Path) -> None:
    counted = Counted(on_s3, str(tmp_path / "asked"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: leases.current(counted), range(16)))
    assert len({lease.session_token for lease in found}) == 1
    fill(counted)
    assert (tmp_path / "asked").read_text() == "x"


def test_a_dead_store_is_told_within_twenty_seconds_and_nothing_is_half_done(
    new_store: Callable[..., EmbeddedStore], lending
) -> None:
    store = new_store()
    store.start()
    source = lending(_bucket(store), store.keys)
    fill(source)
    session = repositories.open(source).writable_session("main")
    zarr.open_array(session.store, path="x", mode="r+")[0] = 5
    big = repositories.open(source).writable_session("main")
    # Too large to be kept inside the manifest, which Icechunk may have fetched ahead.
    zarr.open_group(big.store, mode="a").create_array("big", data=np.random.default_rng(0).random(4096))
    repositories.commit(source, big, "big", {})
    lazy = zarr.open_array(
        lineage.mark(repositories.open(source).readonly_session("main"), "demo/reanalysis", source),
        path="big",
        mode="r",
    )
    store.stop()
    commit = partial(repositories.commit, source, session, "lost", {"amasia": {"commit_id": "co-lost"}})
    with ThreadPoolExecutor() as pool:
        tries = [pool.submit(_refusal, act) for act in (lambda: lazy[:], commit, lambda: repositories.open(source))]
    for told, seconds in (one.result() for one in tries):
        assert "did not answer for demo/reanalysis" in told
        assert seconds < 22
    store.start()
    assert values(source) == [0] * 8


def _refusal(act: Callable[[], object]) -> tuple[str, float]:
    begun = time.monotonic()
    with pytest.raises(errors.StoreDown) as refused:
        act()
    return str(refused.value), time.monotonic() - begun


def _ride(source: leases.Source, way: Connection) -> None:
    session = repositories.open(source).writable_session("main")
    zarr.open_array(session.store, path="x", mode="r+")[0] = 5
    way.send("ready")
    way.recv()
    way.send(repositories.commit(source, session, "kept", {}))


def test_a_restart_of_the_store_is_ridden_out(new_store: Callable[..., EmbeddedStore], lending) -> None:
    """In a process of its own: the S3 library has one purse of retries per process, and other tests spend from it."""
    store = new_store()
    store.start()
    source = lending(_bucket(store), store.keys)
    fill(source)
    here, there = multiprocessing.get_context("spawn").Pipe()
    rider = multiprocessing.get_context("spawn").Process(target=_ride, args=(source, there))
    rider.start()
    assert here.recv() == "ready"
    killed = store._process()
    killed.kill()
    killed.wait()
    here.send("go")
    store.start()
    snapshot = here.recv()
    rider.join()
    assert repositories.history(repositories.open(source), limit=1)[0].id == snapshot
    assert values(source)[0] == 5


class Lossy(BaseHTTPRequestHandler):
    """A way to the store that loses answers: those to commits, while `lost` counts them."""

    protocol_version = "HTTP/1.1"
    store: int
    losing = False
    lost: list[str]

    def _pass(self) -> None:
        commits = self.command == "PUT" and self.path.partition("?")[0].endswith("/repo")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.losing and commits and self.lost:
            self.close_connection = True
            return
        link = HTTPConnection("127.0.0.1", self.store)
        link.request(self.command, self.path, body, dict(self.headers))
        answer = link.getresponse()
        content = answer.read()
        if self.losing and commits:
            self.lost.append(self.path)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = _pass

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_commit_whose_answer_was_lost_is_looked_for_and_not_repeated(store: EmbeddedStore, lending) -> None:
    way = type("Way", (Lossy,), {"store": store.port, "lost": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), way) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        bucket = _bucket(store).model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.server_port}"})
        source = lending(bucket, store.keys)
        fill(source)
        way.losing = True
        snapshot = put_one(source, 3, 9)
        proxy.shutdown()
        way.losing = False
    assert way.lost, "no answer was lost: this test proves nothing"
    direct = type(source)(_bucket(store), store.keys, source.repository_id)
    made = repositories.history(repositories.open(direct))
    assert made[0].id == snapshot
    assert [s.message for s in made].count("put 3") == 1
    assert values(direct)[3] == 9


def test_a_full_disk_is_named_and_the_history_stays(small_disk: Callable[[str], Path], lending) -> None:
    small = small_disk("20m")
    source = lending(Bucket(workspace="demo", name="disk", kind=BucketKind.directory, uri=str(small)), Keys())
    with pytest.raises(errors.StoreFull, match=f"No space left in the directory {small}"):
        _write_much(source)
    assert [s.message for s in repositories.history(repositories.open(source))] == ["8 MB", _FIRST]


def test_a_full_embedded_store_is_named_and_the_history_stays(
    small_disk: Callable[[str], Path], new_store: Callable[..., EmbeddedStore], lending
) -> None:
    store = new_store(small_disk("120m"))
    store.start()
    source = lending(_bucket(store), store.keys)
    with pytest.raises(errors.StoreFull, match="No space left in the object store"):
        _write_much(source)
    assert [s.message for s in repositories.history(repositories.open(source))] == ["8 MB", _FIRST]


_FIRST = "Repository initialized"


def _write_much(source: leases.Source) -> None:
    """A commit that has room, and one that has none: of many chunks at a time, so that retries soon end."""
    with translated(source), zarr.config.set({"async.concurrency": 256}):
        for megabytes in (8, 130):
            session = repositories.open(source).writable_session("main")
            noise = np.random.default_rng(megabytes).random((4 * megabytes, 31_250))
            group = zarr.open_group(session.store, mode="a")
            group.create_array(f"a{megabytes}", data=noise, chunks=(1, 31_250), compressors=None)
            repositories.commit(source, session, f"{megabytes} MB", {})


def _bucket(store: EmbeddedStore) -> Bucket:
    return Bucket(workspace="demo", name="main", kind=BucketKind.embedded, uri="s3://amasia", endpoint=store.endpoint)
