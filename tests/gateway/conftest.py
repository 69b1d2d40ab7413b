"""A real gateway on a real database, and a machine whose agent dials in."""

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass, field

import pytest
import uvloop

from amasia.agent.tunnels import Tunnel
from amasia.client.tunnels import dial
from amasia.gateway.doors import Gateway
from amasia.models.base import now
from amasia.models.machines import Heartbeat, Join, ProcessReport, SchedulerReport
from amasia.models.tunnels import Service, of_client
from amasia.services import clusters, heartbeats, joins, machines
from amasia.testing.waiting import wait
from tests.conftest import SECRETS


@dataclass
class Site:
    """Addresses, and what was said to the machine's services."""

    world: object
    gateway: Gateway
    url: str
    cluster: object
    machine_id: str
    token: str
    said: list = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Type: text/html\r\n\r\n<p>tasks</p>"
    """Of the dashboard."""
    wait: threading.Event | None = None
    """Until when it does not answer."""

    def reach(self, who="ada", service=Service.scheduler, cluster=None):
        path = of_client("lab", cluster or self.cluster.id, service)
        return dial(self.url, path, SECRETS.get(who, who))

    def ask(self, request: bytes) -> bytes:
        """A request as it is, and the whole answer."""
        port = int(self.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 10) as stream:
            stream.sendall(request)
            stream.settimeout(10)
            return b"".join(iter(lambda: stream.recv(65536), b""))


@pytest.fixture
def running(world):
    """(cluster, scheduler's machine, its token) of a cluster of ada's that runs."""

    def make(dashboard="http://127.0.0.1:9", **spec):
        cluster = world.cluster(n_workers=0, **spec)
        machine = cluster.machines[0]
        boot = machines.begin(world.db, world.settings, machine)
        machines.accepted(world.db, machine, {})
        join = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
        assignment = joins.join(world.db, world.settings, join)
        process = ProcessReport(status="running", address="tls://192.0.2.1:1", dashboard_address=dashboard)
        beat = Heartbeat(at=now(), process=process, scheduler=SchedulerReport())
        heartbeats.hear(world.db, world.settings, machine.id, beat)
        return clusters.get(world.db, "lab", cluster.id), machine.id, assignment.token

    return make


@pytest.fixture
def gateway(world):
    """(gateway, url), in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready, over = threading.Event(), []

    async def serve():
        made = Gateway(world.db, secure=False)
        end = asyncio.Event()
        over.append((made, asyncio.get_running_loop(), end))
        server = await asyncio.get_running_loop().create_server(made.arrival, sock=listener)
        ready.set()
        await end.wait()
        server.close()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    made, loop, end = over[0]
    yield made, f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop.call_soon_threadsafe(end.set)
    thread.join(10)


@pytest.fixture
def server():
    """Starts TCP servers that treat each connection in a thread; their ports."""
    listeners = []

    def start(handle):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def site(world, running, gateway, server):
    """A machine with an echo where its scheduler would be, and a page with secrets for a dashboard."""
    cluster, machine_id, token = running()
    site = Site(world, gateway[0], gateway[1], cluster, machine_id, token)

    def echo(stream):
        with stream, contextlib.suppress(ConnectionError):  # a client may end in the middle
            while piece := stream.recv(1 << 16):
                stream.sendall(piece)

    def page(stream):
        with stream:
            said = b""
            while b"\r\n\r\n" not in said:
                said += stream.recv(65536)
            site.said.append(said)
            if site.wait:  # for whatever else comes down this connection
                assert site.wait.wait(10)
                stream.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    site.said.append(stream.recv(65536))
            stream.sendall(site.answer)

    ports = {Service.scheduler: server(echo), Service.dashboard: server(page)}
    over = threading.Event()
    Tunnel(site.url, machine_id, token, lambda service: ("127.0.0.1", ports[service]), over).start()
    wait(lambda: machine_id in site.gateway.agents._controls)
    yield site
    over.set()
