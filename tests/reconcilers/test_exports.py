"""Every event gets to every place outside at least once, whatever happens on the way."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from amasia import errors
from amasia.client.events import verify_file
from amasia.database import events as rows
from amasia.reconcilers import exports, webhooks
from amasia.services import events


def say(db, target):
    with db.write() as tx:
        rows.append(tx, actor="ada", verb="thing.do", target=target, workspace="lab")


def round_(world, settings):
    for name, deliver in exports.sinks(settings).items():
        exports.send(world.db, name, deliver)


@pytest.fixture
def to_file(settings, tmp_path):
    return settings.model_copy(update={"audit_file": tmp_path / "audit.jsonl"})


def test_a_file_gets_all_events_and_can_be_checked_without_a_control_plane(world, to_file):
    for number in range(3):
        say(world.db, f"t{number}")
        round_(world, to_file)
    verdicts = {one.workspace: one for one in verify_file(to_file.audit_file)}
    assert set(verdicts) == {"lab", "other", None}
    assert {one.problem for one in verdicts.values()} == {""}
    assert verdicts["lab"].hash == events.head(world.db, "lab").hash
    assert to_file.audit_file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_somebody_changed_says_which_event(world, to_file):
    for number in range(3):
        say(world.db, f"t{number}")
    round_(world, to_file)
    text = to_file.audit_file.read_text()
    to_file.audit_file.write_text(text.replace('"target":"t1"', '"target":"tt"'))
    (wrong,) = [one.problem for one in verify_file(to_file.audit_file) if one.problem]
    assert "thing.do of tt by ada" in wrong


def test_a_crash_between_handing_over_and_remembering_sends_twice_and_loses_nothing(world, to_file, monkeypatch):
    say(world.db, "t0")
    deliver = exports.sinks(to_file)["file"]
    batch = events.claim(world.db, "file")
    deliver(batch.events)  # and here it dies: the hold runs out
    with to_file.audit_file.open("ab") as file:
        file.write(b'{"id": 7, "cut short')
    monkeypatch.setattr(events, "HOLD", -events.HOLD)
    with world.db.write() as tx:
        tx.exec_driver_sql("UPDATE exports SET held_until = NULL")
    round_(world, to_file)
    assert {one.problem for one in verify_file(to_file.audit_file)} == {""}
    lines = to_file.audit_file.read_text().splitlines()
    assert len(lines) > len(set(lines))


class Server(HTTPServer):
    answers = ()

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.headers["Amasia-Signature"], body))
        status, *self.server.answers = [*self.server.answers, 200]
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_webhook_that_failed_gets_them_again_and_each_request_is_signed(world, settings):
    server = Server()
    server.answers = [503]
    at = f"http://127.0.0.1:{server.server_port}/audit"
    settings = settings.model_copy(update={"audit_webhook": at, "audit_secret": SecretStr("shared")})
    with pytest.raises(errors.Unavailable):
        round_(world, settings)
    with world.db.write() as tx:
        tx.exec_driver_sql("UPDATE exports SET held_until = NULL")
    round_(world, settings)
    server.shutdown()
    server.server_close()
    for signature, body in server.taken:
        moment = int(signature.partition(",")[0].removeprefix("t="))
        assert signature == webhooks.sign("shared", moment, body)
    got = {(one["workspace"], one["seq"]) for _, body in server.taken for one in map(json.loads, body.splitlines())}
    for workspace in ("lab", "other", None):
        assert {seq for name, seq in got if name == workspace} == set(
            range(1, events.head(world.db, workspace).seq + 1)
        )


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix"])
def test_syslog_gets_each_event_as_a_message(world, settings, kind, tmp_path):
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    server.settimeout(10)
    server.bind(str(tmp_path / "log") if kind == "unix" else ("127.0.0.1", 0))
    place = f"unix://{tmp_path / 'log'}" if kind == "unix" else f"{kind}://127.0.0.1:{server.getsockname()[1]}"
    taken = bytearray()

    def take():
        for _ in range(3):  # a chain each
            stream, _ = server.accept()
            with stream:
                while part := stream.recv(1 << 16):
                    taken.extend(part)

    if kind == "tcp":
        server.listen()
        thread = threading.Thread(target=take)
        thread.start()
        round_(world, settings.model_copy(update={"audit_syslog": place}))
        thread.join()
        assert taken[: taken.index(b" ")].isdigit()
    else:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        round_(world, settings.model_copy(update={"audit_syslog": place}))
        server.settimeout(0.5)
        try:
            while True:
                taken.extend(server.recv(1 << 16))
        except TimeoutError:
            pass
    server.close()
    wanted = sum(events.head(world.db, workspace).seq for workspace in ("lab", "other", None))
    assert taken.count(b"<110>1 ") == wanted
    assert b" amasia - workspace.create - {" in taken


def test_a_place_that_is_none_is_refused_by_the_name_of_its_setting(settings):
    with pytest.raises(errors.InvalidRequest, match="AMASIA_AUDIT_SYSLOG"):
        exports.sinks(settings.model_copy(update={"audit_syslog": "logs.example.org"}))
