"""Who gets through the gateway, and what arrives on the other side."""

import contextlib
import hashlib
import os
import socket
import threading

import pytest

from amasia import errors
from amasia.client.tunnels import dial, plain, pump
from amasia.models.permissions import Role
from amasia.models.tunnels import Service, of_machine, of_stream
from amasia.models.users import Membership
from amasia.services import tunnels, workspaces
from amasia.testing.waiting import wait
from tests.conftest import SECRETS


def test_many_bytes_arrive_whole_and_in_order_both_ways(site):
    sent = os.urandom(20 << 20)
    with plain(site.reach()) as stream:
        threading.Thread(target=stream.sendall, args=(sent,), daemon=True).start()
        got = bytearray()
        while len(got) < len(sent):
            got += stream.recv(1 << 20)
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


def test_streams_do_not_wait_for_one_that_nobody_reads(site):
    with site.reach() as stuck, site.reach() as other:
        stuck.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                stuck.send(bytes(1 << 20))
        other.sendall(b"hello")
        assert other.recv(5) == b"hello"


def test_the_end_of_one_side_is_the_end_of_the_other(site):
    stream = site.reach()
    stream.sendall(b"x")
    assert stream.recv(1) == b"x"
    stream.close()
    with site.reach() as again:
        again.sendall(b"y")
        assert again.recv(1) == b"y"


def test_only_the_owner_gets_through_and_others_learn_no_more_than_at_the_api(site):
    with pytest.raises(errors.PermissionDenied, match="ada's alone"):
        site.reach("bo")
    with pytest.raises(errors.NotFound, match="workspace"):
        site.reach("eve")
    with pytest.raises(errors.NotSignedIn):
        site.reach("")
    with pytest.raises(errors.NotSignedIn):
        site.reach("ama_wrong")
    with pytest.raises(errors.NotFound):
        site.reach(cluster="cl-0")


def test_members_reach_the_scheduler_of_a_shared_cluster_but_not_its_dashboard(site, running):
    cluster, machine_id, _ = running(shared=True)
    with pytest.raises(errors.Unavailable, match=f"{machine_id} is not connected"):
        site.reach("bo", cluster=cluster.id)
    with pytest.raises(errors.PermissionDenied):
        site.reach("bo", Service.dashboard, cluster=cluster.id)


def test_a_cluster_that_ends_and_a_member_who_was_made_a_viewer_are_refused(site):
    workspaces.set_member(
        site.world.db, site.world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.owner)
    )
    workspaces.set_member(
        site.world.db, site.world.bo, Role.owner, Membership(workspace="lab", user="ada", role=Role.viewer)
    )
    with pytest.raises(errors.PermissionDenied):
        site.reach()


def test_agents_speak_for_their_own_machine_only(site, running):
    _, other, token = running()
    for path in (of_machine(site.machine_id), of_stream(site.machine_id, "0" * 32)):
        for secret in (token, SECRETS["ada"], ""):
            with pytest.raises((errors.PermissionDenied, errors.NotSignedIn)):
                dial(site.url, path, secret)
    with pytest.raises(errors.NotFound, match="Nobody waits"):
        dial(site.url, of_stream(other, "0" * 32), token)


def test_an_agent_that_dials_anew_takes_the_place_of_its_old_connection(site, running):
    cluster, machine_id, token = running()
    old, new = (dial(site.url, of_machine(machine_id), token) for _ in range(2))
    with old, new:
        for control in (old, new):
            control.settimeout(10)
        assert old.recv(100) == b""
        problem = []

        def ask():
            with pytest.raises(errors.Unavailable) as told:
                site.reach(cluster=cluster.id)
            problem.append(told)

        asking = threading.Thread(target=ask)
        asking.start()
        stream, service = new.recv(100).decode().split()
        new.sendall(f"{stream}\n".encode())
        asking.join(10)
        assert service == "scheduler"
        assert problem


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/reach/lab/x/scheduler HTTP/1.1\r\nHost: x\r\n\r\n", b"422"),
        (b"GET /v1/reach/lab/x/ssh HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"nonsense\r\n\r\n", b"422"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /" + b"x" * 70_000, b"422"),
        (b"GET /dashboards/cl-0/status HTTP/1.1\r\nHost: x\r\n\r\n", b"401"),
        (b"GET /dashboards/cl-0/open?ticket=x HTTP/1.1\r\nHost: x\r\n\r\n", b"401"),
    ],
)
def test_whatever_is_said_gets_a_clear_answer(site, request_, status):
    answer = site.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert b"Traceback" not in answer


class Browser:
    """What a browser sends to a site's dashboard."""

    def __init__(self, site):
        self.site, self.cookie = site, ""

    def get(self, path, method="GET", **headers):
        told = {"Host": "dash.example", "Cookie": f"amasia-8642=console; {self.cookie}", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
        return self.site.ask(f"{method} /dashboards/{self.site.cluster.id}/{path} HTTP/1.1\r\n{lines}\r\n".encode())

    def enter(self):
        _, ticket = tunnels.ticket(self.site.world.db, self.site.world.ada, "lab", self.site.cluster.id)
        answer = self.get(f"open?ticket={ticket}")
        assert answer.startswith(b"HTTP/1.1 303"), answer
        cookie = next(line for line in answer.decode().split("\r\n") if line.startswith("Set-Cookie: "))
        assert "HttpOnly" in cookie
        self.cookie = cookie.removeprefix("Set-Cookie: ").partition(";")[0]
        return ticket


def test_the_owner_sees_the_dashboard_and_it_sees_none_of_the_browsers_secrets(site):
    browser = Browser(site)
    browser.enter()
    answer = browser.get("status?x=1", Authorization="Bearer secret")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"<p>tasks</p>"
    assert b"Set-Cookie" not in head
    assert b"frame-ancestors 'none'" in head
    said = site.said[0].lower()
    assert said.startswith(b"get /status?x=1 http/1.1\r\n")
    assert b"cookie" not in said
    assert b"secret" not in said
    assert b"connection: close" in said


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nSet-Cookie: a=b\nConnection: keep-alive\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nSet-Cookie : a=b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\nok",
        b"HTTP/1.1 302 Found\r\nLocation: \\\\evil.example\r\nRefresh: 0; url=//evil.example\r\n\r\n",
    ],
)
def test_an_answer_that_tasks_made_up_reaches_no_further_than_its_page(site, answer):
    browser = Browser(site)
    browser.enter()
    site.answer = answer
    got = browser.get("status").lower()
    assert b"set-cookie" not in got
    assert b"keep-alive" not in got
    assert b"evil" not in got
    assert not got or got.count(b"frame-ancestors") == got.count(b"http/1.1") == got.count(b"connection: close") == 1


def test_what_follows_the_first_request_of_a_connection_is_not_given_to_a_dashboard(site):
    browser = Browser(site)
    browser.enter()
    port = int(site.url.rpartition(":")[2])
    head = f"GET /dashboards/{site.cluster.id}/status HTTP/1.1\r\nHost: x\r\nCookie: {browser.cookie}\r\n\r\n"
    site.wait = threading.Event()
    with socket.create_connection(("127.0.0.1", port), 10) as stream:
        stream.sendall(head.encode() + b"GET /first HTTP/1.1\r\nCookie: console\r\n\r\n")
        wait(lambda: site.said)
        stream.sendall(b"GET /second HTTP/1.1\r\nCookie: console\r\n\r\n")
        site.wait.set()
        stream.settimeout(10)
        assert b"<p>tasks</p>" in b"".join(iter(lambda: stream.recv(65536), b""))
    assert b"console" not in b"".join(site.said)


def test_links_that_are_no_tickets_are_not_remembered(site):
    assert Browser(site).get("open?ticket=made-up").startswith(b"HTTP/1.1 401")
    assert site.gateway._used == {}


def test_a_ticket_is_good_once_and_a_visit_for_one_cluster(site, running):
    browser = Browser(site)
    ticket = browser.enter()
    assert browser.get(f"open?ticket={ticket}").startswith(b"HTTP/1.1 401")
    other, _, _ = running()
    browser.site.cluster = other
    assert browser.get("status").startswith(b"HTTP/1.1 401")


def test_pages_of_others_and_writing_requests_do_not_reach_a_dashboard(site):
    browser = Browser(site)
    browser.enter()
    websocket = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert browser.get("status/ws", Origin="http://evil.example", **websocket).startswith(b"HTTP/1.1 403")
    assert browser.get("json/close", method="POST").startswith(b"HTTP/1.1 403")
    assert site.said == []
    browser.get("status/ws", Origin="http://dash.example", **websocket)
    assert b"connection: upgrade" in site.said[0].lower()


def test_no_ticket_for_others_and_a_visit_ends_with_the_cluster(site):
    with pytest.raises(errors.PermissionDenied):
        tunnels.ticket(site.world.db, site.world.bo, "lab", site.cluster.id)
    browser = Browser(site)
    browser.enter()
    workspaces.set_member(
        site.world.db, site.world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.owner)
    )
    workspaces.set_member(
        site.world.db, site.world.bo, Role.owner, Membership(workspace="lab", user="ada", role=Role.viewer)
    )
    assert browser.get("status").startswith(b"HTTP/1.1 403")


def test_a_pump_ends_when_either_side_does(site):
    import socket

    left, near = socket.socketpair()
    far, right = socket.socketpair()
    thread = threading.Thread(target=pump, args=(near, far))
    thread.start()
    left.sendall(b"to the right")
    assert right.recv(100) == b"to the right"
    right.close()
    thread.join(10)
    assert not thread.is_alive()
    assert left.recv(1) == b""
