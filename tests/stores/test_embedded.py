"""The embedded object store as a process."""

import json
import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import psutil
import pytest

from amasia import errors
from amasia.models.repositories import Bucket, BucketKind, Mode
from amasia.stores.credentials import lend
from amasia.stores.embedded import EmbeddedStore


def put(store: EmbeddedStore, key: str, body: bytes) -> None:
    _client(store).put_object(Bucket=store.bucket, Key=f"demo/re-1/{key}", Body=body)


def get(store: EmbeddedStore, key: str) -> bytes:
    found: bytes = _client(store).get_object(Bucket=store.bucket, Key=f"demo/re-1/{key}")["Body"].read()
    return found


def _client(store: EmbeddedStore):
    bucket = Bucket(workspace="demo", name="main", kind=BucketKind.embedded, uri="s3://amasia", endpoint=store.endpoint)
    lease = lend(bucket, store.keys, "re-1", "reanalysis", "demo", Mode.write, "anna")
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
    )


def pid(store: EmbeddedStore) -> int:
    return int(json.loads((store.home / "pid.json").read_text())["pid"])


def test_it_outlives_its_starter_is_adopted_and_keeps_what_it_answered(
    new_store: Callable[..., EmbeddedStore],
) -> None:
    store = new_store()
    store.start()
    put(store, "a", b"kept")
    again = EmbeddedStore(store.home, store.port)
    again.start()
    assert pid(again) == pid(store)
    assert os.getsid(pid(store)) != os.getsid(0)

    os.kill(pid(store), signal.SIGKILL)
    psutil.Process(pid(store)).wait(5)
    assert not again.alive()
    begun = time.monotonic()
    again.start()
    assert time.monotonic() - begun < 12
    assert get(again, "a") == b"kept"

    begun = time.monotonic()
    again.stop()
    again.stop()
    assert time.monotonic() - begun < 6
    assert not store.alive()


def test_it_is_adopted_also_when_its_starter_was_killed_before_it_wrote_anything_down(store: EmbeddedStore) -> None:
    put(store, "orphaned", b"kept")
    pid = json.loads((store.home / "pid.json").read_text())["pid"]
    for name in ("pid.json", "synced"):
        (store.home / name).unlink()
    again = EmbeddedStore(store.home, store.port)
    again.start()
    assert json.loads((store.home / "pid.json").read_text())["pid"] == pid
    assert (store.home / "synced").exists()
    assert get(again, "orphaned") == b"kept"


def test_only_s3_answers_strangers_and_everything_is_on_loopback(store: EmbeddedStore) -> None:
    process = psutil.Process(pid(store))
    listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    ports = json.loads((store.home / "ports.json").read_text())
    assert _http(ports["filer"], "GET /buckets/amasia/.started") in {401, 403}
    assert _http(ports["filer"], "PUT /buckets/amasia/x") in {401, 403}
    assert _http(store.port, "GET /amasia/.started") == 403
    assert _http(store.port, "GET /") == 403


@pytest.mark.parametrize("path", ["/col/delete?collection=amasia", "/dir/assign", "/dir/status"])
def test_its_master_answers_no_stranger(store: EmbeddedStore, path: str) -> None:
    ports = json.loads((store.home / "ports.json").read_text())
    assert _http(ports["master"], f"GET {path}") == 400  # it speaks TLS only
    assert _https(ports["master"], path) == b""
    assert _https(ports["master"], "/dir/status", store.home).startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize("port", ["master_grpc", "filer_grpc", "volume_grpc"])
def test_its_grpc_asks_everybody_for_a_certificate(store: EmbeddedStore, port: str) -> None:
    ports = json.loads((store.home / "ports.json").read_text())
    with socket.create_connection(("127.0.0.1", ports[port]), timeout=5) as link:
        link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert link.recv(64)[3:4] != b"\x04"  # no settings frame: it did not take plain HTTP/2


def test_its_secrets_are_its_owners_only(store: EmbeddedStore) -> None:
    for name in ("keys.json", "identities.json", "roles.json", "pid.json", "grpc.key"):
        assert stat.S_IMODE((store.home / name).stat().st_mode) == 0o600, name
    command = " ".join(psutil.Process(pid(store)).cmdline())
    held = json.loads((store.home / "keys.json").read_text())
    assert not [name for name, value in held.items() if value in command]


def test_a_taken_port_is_named(new_store: Callable[..., EmbeddedStore]) -> None:
    store = new_store()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", store.port))
        taken.listen()
        with pytest.raises(errors.StoreDown, match=f"Port {store.port}.*taken") as caught:
            store.start()
    assert "AMASIA_STORE_PORT" in caught.value.cure
    assert not store.alive()


def test_a_pid_of_a_stranger_is_never_taken_for_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, 1)
    (tmp_path / "pid.json").write_text(json.dumps({"pid": os.getpid(), "started": 1.0}))
    assert not store.alive()
    store.stop()
    assert psutil.pid_exists(os.getpid())


def _http(port: int, request: str) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        return int(link.recv(64).split()[1])


def _https(port: int, path: str, home: Path | None = None) -> bytes:
    """The first bytes of the answer; none for whoever is not let in."""
    context = ssl._create_unverified_context()  # the question is whom the server trusts
    if home:
        context.load_cert_chain(home / "grpc.crt", home / "grpc.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as link,
            context.wrap_socket(link) as secure,
        ):
            secure.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return secure.recv(64)
    except OSError:
        return b""
