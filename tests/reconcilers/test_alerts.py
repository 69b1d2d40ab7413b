"""What people are told goes out once, signed, to where it may go."""

import hashlib
import hmac
import json
import socket
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from amasia import errors, ports
from amasia.database import alerts as rows
from amasia.models.channels import ChannelRequest
from amasia.reconcilers import alerts
from amasia.services import channels
from amasia.settings import ServerSettings


@pytest.fixture
def hook():
    """A webhook on this computer: what it was sent, and what it answers."""

    class Hook(BaseHTTPRequestHandler):
        got, status = [], [200]

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.got.append((self.path, dict(self.headers), body))
            self.send_response(self.status[0])
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Hook.url = f"http://localhost:{server.server_port}/amasia"
    yield Hook
    server.shutdown()
    server.server_close()


def tell(world, user="ada"):
    with world.db.write() as tx:
        rows.append(tx, workspace="lab", budget="workspace", percent=80, text="80 % of it.", user=user)


def webhook(world, url, who=None, *, private=True):
    request = ChannelRequest(kind="webhook", address=url)
    return channels.create(world.db, who or world.ada, request, private=private, mail=False)


@contextmanager
def later(monkeypatch, seconds):
    at = channels.now() + timedelta(seconds=seconds)
    with monkeypatch.context() as patch:
        patch.setattr(channels, "now", lambda: at)
        yield


def test_a_webhook_gets_each_alert_of_its_user_once_with_a_signature_that_can_be_checked(world, hook):
    made = webhook(world, hook.url)
    tell(world, "bo")
    tell(world)
    for _ in range(2):
        alerts.send(world.db, world.settings)
    ((path, headers, body),) = hook.got
    assert path == "/amasia"
    assert headers["Host"] == hook.url.split("/")[2]
    assert json.loads(body)["text"] == "80 % of it."
    at, signature = (part.partition("=")[2] for part in headers["Amasia-Signature"].split(","))
    assert signature == hmac.new(made.secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    with world.db.read() as tx:
        text = str(tx.exec_driver_sql("SELECT * FROM channels").all())
    assert made.secret not in text


def test_a_webhook_that_fails_is_tried_again_later_says_why_and_leads_nowhere_else(world, hook, monkeypatch):
    webhook(world, hook.url)
    hook.status[0] = 302
    tell(world)
    alerts.send(world.db, world.settings)
    alerts.send(world.db, world.settings)
    assert [path for path, _, _ in hook.got] == ["/amasia"]
    assert "302" in channels.find(world.db, world.ada)[0].reason
    hook.status[0] = 204
    with later(monkeypatch, 30):
        alerts.send(world.db, world.settings)
        alerts.send(world.db, world.settings)
    assert len(hook.got) == 2
    assert channels.find(world.db, world.ada)[0].reason == ""


def test_a_webhook_that_never_answers_is_given_up(world, monkeypatch):
    webhook(world, f"http://127.0.0.1:{ports.free()}/")
    tell(world)
    for count in range(channels.MAX_TRIES):
        with later(monkeypatch, 4000 * count):
            alerts.send(world.db, world.settings)
    with world.db.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM sendings").scalar_one() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "https://127.0.0.1/", "https://localhost/x", "https://169.254.169.254/latest",
        "https://[::1]/", "https://10.0.0.8/", "ftp://hooks.example.org/", "https://me:secret@hooks.example.org/",
        "https://[64:ff9b::a9fe:a9fe]/",
    ],
)  # fmt: skip
def test_who_is_no_operator_has_no_webhook_inside(world, url):
    with pytest.raises(errors.InvalidRequest):
        webhook(world, url, world.bo, private=False)
    assert channels.find(world.db, world.bo) == []


def test_a_name_that_leads_inside_when_it_is_used_is_not_gone_to(world, hook, monkeypatch):
    webhook(world, "https://hooks.example.org/", world.bo, private=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))])
    tell(world, "bo")
    alerts.send(world.db, world.settings)
    assert hook.got == []
    assert "not public" in channels.find(world.db, world.bo)[0].reason


def test_an_email_says_what_it_is_about_and_where_to_look(world):
    got = []

    class Box:
        async def handle_DATA(self, server, session, envelope):
            got.append((envelope.rcpt_tos, envelope.content.decode()))
            return "250 OK"

    box = Controller(Box(), hostname="127.0.0.1", port=0)
    box.port = ports.free()
    box.start()
    try:
        url = SecretStr(f"smtp://127.0.0.1:{box.port}")
        settings = ServerSettings(home=world.settings.home, smtp_url=url, smtp_from="house@example.org")
        request = ChannelRequest(kind="email", address="bo@example.org")
        channels.create(world.db, world.bo, request, private=False, mail=True)
        tell(world, "bo")
        for _ in range(2):
            alerts.send(world.db, settings)
    finally:
        box.stop()
    ((to, text),) = got
    assert to == ["bo@example.org"]
    assert "Subject: Amasia: the budget workspace of lab, 80 %" in text
    assert "80 % of it." in text
    assert "/lab/costs" in text


def test_an_address_that_is_none_or_that_nobody_can_send_to_is_refused(world):
    for address in ("ada", "ada@", "a@b\nBcc: c@d", "a b@c.de", "<a@b.de>"):
        with pytest.raises(ValueError, match="is no e-mail address"):
            ChannelRequest(kind="email", address=address)
    with pytest.raises(errors.Conflict, match="sends no e-mail"):
        channels.create(world.db, world.ada, ChannelRequest(kind="email", address="a@b.de"), private=False, mail=False)


def test_webhooks_that_hang_delay_no_other_tenants(world):
    over, got = Event(), []

    class Hangs(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if "hang" in self.path:
                over.wait(20)
            got.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hangs)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://localhost:{server.server_port}"
    for number in range(channels.MOST):
        webhook(world, f"{url}/hang{number}")
    webhook(world, f"{url}/quick", world.eve)
    tell(world)
    with world.db.write() as tx:
        rows.append(tx, workspace="other", budget="workspace", percent=80, text="80 % of it.", user="eve")
    deadline = time.monotonic() + 15
    while not got and time.monotonic() < deadline:
        alerts.send(world.db, world.settings)
    assert got == ["/quick"]
    over.set()
    deadline = time.monotonic() + 20
    while len(got) < channels.MOST + 1 and time.monotonic() < deadline:
        time.sleep(0.02)
        alerts.send(world.db, world.settings)
    assert len(got) == channels.MOST + 1
    alerts.send(world.db, world.settings)
    server.shutdown()
    server.server_close()
