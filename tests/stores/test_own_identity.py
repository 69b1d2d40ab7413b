"""Lending by the control plane's own identity: no key is kept, the cloud signs."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import jwt
import obstore
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amasia.models.base import new_id, now
from amasia.models.repositories import Bucket, BucketKind, Mode
from amasia.stores import clients
from amasia.stores.credentials import Keys, administer, lend
from amasia.testing.azurite import ACCOUNT, Azurite, missing
from tests.stores.conftest import CACHE, Place


def test_googles_default_credentials_are_cut_down_as_a_key_is(at_google: Place, tmp_path, monkeypatch) -> None:
    (tmp_path / "key.json").write_text(at_google.keys.secret_key)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    mine, other = new_id("re"), new_id("re")
    for one in (mine, other):
        owner = administer(at_google.bucket, Keys(), one, "reanalysis", "demo")
        obstore.put(clients.open(owner), f"{owner.prefix}/a", b"1")
    lease = lend(at_google.bucket, Keys(), mine, "reanalysis", "demo", Mode.read, "anna")
    assert obstore.get(clients.open(lease), f"{lease.prefix}/a").bytes() == b"1"
    with pytest.raises(obstore.exceptions.PermissionDeniedError):
        obstore.get(clients.open(lease), f"team/demo/{other}/a")


class _Identity(BaseHTTPRequestHandler):
    """Gives a machine's identity its token, as Azure's own does inside of App Service."""

    def do_GET(self) -> None:
        at = int(now().timestamp())
        claims = {
            "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/", "iat": at, "nbf": at - 60,
            "exp": at + 3600, "oid": "machine", "tid": "tenant", "ver": "1.0",
        }  # fmt: skip
        answer = {"access_token": jwt.encode(claims, "x" * 32), "expires_on": str(at + 3600), "token_type": "Bearer"}
        body = json.dumps(answer).encode()
        self.send_response(200 if self.headers.get("X-IDENTITY-HEADER") == "ours" else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        return


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), _Identity)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "ours")
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """An Azurite that takes tokens, which it does by TLS only."""
    if why := missing(CACHE):
        pytest.skip(why)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "azurite")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(at - timedelta(hours=1)).not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    server = Azurite(CACHE, tmp_path / "azurite", (tmp_path / "cert.pem", tmp_path / "key.pem"))
    server.start()
    yield server
    server.stop()


def test_azure_signs_for_the_control_planes_own_identity(with_tls: Azurite, identity) -> None:
    bucket = Bucket(
        workspace="demo", name="main", kind=BucketKind.azure, uri=f"az://{ACCOUNT}", endpoint=with_tls.endpoint,
        private_endpoint=True,
    )  # fmt: skip

    def container(lease) -> ContainerClient:
        return ContainerClient.from_container_url(f"{lease.endpoint}/{lease.bucket}?{lease.session_token}")

    mine, other = new_id("re"), new_id("re")
    for one in (mine, other):
        owner = administer(bucket, Keys(), one, "reanalysis", "demo")
        assert "skoid=machine" in owner.session_token
        container(owner).upload_blob(f"{owner.prefix}/a", b"1")
    lease = lend(bucket, Keys(), mine, "reanalysis", "demo", Mode.read, "anna")
    assert container(lease).download_blob(f"{lease.prefix}/a").readall() == b"1"
    theirs = container(lease.model_copy(update={"bucket": other}))
    for call in (
        lambda: theirs.download_blob(f"demo/{other}/a"),
        lambda: container(lease).upload_blob(f"{lease.prefix}/b", b"2"),
        lambda: container(lease).delete_blob(f"{lease.prefix}/a"),
        lambda: list(container(lease).list_blobs()),
    ):
        with pytest.raises(HttpResponseError) as caught:
            call()
        assert caught.value.status_code == 403
