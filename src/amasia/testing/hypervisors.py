"""Instances of `amasia.testing.ec2` that really boot, on a Linux where the tests run as root.

Each instance is a set of namespaces: network with the instance's own address, processes with an init of its own, host
name, mounts. Its user data is run as cloud-init would, with an IMDSv2 at 169.254.169.254. When its init is gone, the
instance is stopped or terminated, as it was asked for; when it is terminated, all that runs in it is killed.
"""

import contextlib
import gzip
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from amasia.testing.ec2 import Ec2

METADATA = "169.254.169.254"
INIT = """\
trap 'exit 0' TERM
hostname {host}; mount -t tmpfs none /run; mount --bind {root} /srv; mount --bind {console} /dev/console
for own in $(command -v poweroff); do mount --bind {tools}/poweroff "$own"; done
export HOME=/root PATH=$PATH:{tools}
{script} &
while :; do sleep 3600 & wait $!; done
"""
"""Goes on when its script is over, as a system does; and ends when somebody says ``poweroff``."""


def missing() -> str:
    """Why instances cannot boot here; empty where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacking = [tool for tool in ("ip", "unshare", "mount", "curl") if not shutil.which(tool)]
    return f"{', '.join(lacking)} cannot be found" if lacking else ""


class Instance:
    """One that runs."""

    def __init__(self, hypervisor: "Hypervisor", made: Any) -> None:
        self.made, self.folder = made, hypervisor.folder / made.id
        self.folder.mkdir()
        self.address = made.private_ip
        self.space, self.cable = f"am-{made.id[-8:]}", f"amv{made.id[-8:]}"
        self.console = self.folder / "console"
        self.console.touch()
        self.meta = {"instance-id": made.id, "instance-type": made.instance_type, "local-ipv4": self.address}
        _ip(f"netns add {self.space}")
        _ip(f"link add {self.cable} type veth peer name eth0 netns {self.space}")
        _ip(f"link set {self.cable} master {hypervisor.bridge} up")
        for words in (f"addr add {self.address}/16 dev eth0", "link set eth0 up", "link set lo up",
                      f"addr add {METADATA}/32 dev lo", f"route add default via {hypervisor.address}"):  # fmt: skip
            _ip(f"-n {self.space} {words}")
        self.metadata = _serve_metadata(self.space, self.meta)
        self.process = self._boot(hypervisor)

    def interrupt(self, seconds: float) -> None:
        """AWS says that it takes it back after so many seconds. Taking it is for `Hypervisor.take_back`."""
        when = f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
        self.meta["spot/instance-action"] = json.dumps({"action": "terminate", "time": when})

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.metadata.shutdown()
        self.metadata.server_close()
        for words in (f"netns del {self.space}", f"link del {self.cable}"):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(words)

    def _boot(self, hypervisor: "Hypervisor") -> subprocess.Popen[bytes]:
        data = Ec2.user_data(self.made) or b"#!/bin/sh\n"
        script = self.folder / "user-data"
        script.write_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        script.chmod(0o700)
        init = INIT.format(
            host=f"ip-{self.address.replace('.', '-')}",
            root=hypervisor.shared,
            console=self.console,
            tools=hypervisor.tools,
            script=script,
        )
        space = ["ip", "netns", "exec", self.space]
        own = ["unshare", "--pid", "--fork", "--uts", "--mount", "--mount-proc", "--kill-child=KILL"]
        with self.console.open("ab") as console:
            return subprocess.Popen(
                [*space, *own, "/bin/sh", "-c", init],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={"PATH": os.environ["PATH"]},
                start_new_session=True,
            )


class Hypervisor:
    """Boots what an `Ec2` says is running, and keeps both in step.

    Parameters
    ----------
    folder
        For consoles and disks; ``shared`` in it is the instances' ``/srv``, so that what one has installed all have.
    """

    def __init__(self, ec2: Ec2, folder: Path) -> None:
        self.ec2, self.folder = ec2, folder
        self.shared, self.tools = folder / "shared", folder / "tools"
        self.shared.mkdir(parents=True)
        self.tools.mkdir()
        (self.tools / "poweroff").write_text("#!/bin/sh\nkill -TERM 1\n")
        (self.tools / "poweroff").chmod(0o755)
        self.running: dict[str, Instance] = {}
        self.number, self.bridge = _new_bridge()
        self.address = f"10.{self.number}.255.254"
        """Of this computer, as instances see it."""
        self._proxy = _Proxy((self.address, 0), _Through)
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self.proxy = f"http://{self.address}:{self._proxy.server_address[1]}"
        """Their way to package indexes, as in a network without another."""
        ec2.reset(f"10.{self.number}.0.0/16")
        ec2.consoles = self.console
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def instance(self, machine_id: str) -> Instance:
        """The running instance of one of our machines, once it boots."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            found = [self.running[one.id] for one in self.ec2.running(machine_id) if one.id in self.running]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no instance of {machine_id} boots")

    def take_back(self, machine_id: str) -> None:
        """What AWS does when the time of its notice has come."""
        for one in self.ec2.running(machine_id):
            self.ec2.end(one, "Server.SpotInstanceTermination")

    def console(self, instance: str) -> str:
        file = self.folder / instance / "console"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for one in self.running.values():
            one.close()
        self._proxy.shutdown()
        self._proxy.server_close()
        _ip(f"link del {self.bridge}")

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            wanted = {one.id: one for one in self.ec2.running()}
            for name in [name for name in self.running if name not in wanted]:
                self.running.pop(name).close()
            for name, made in wanted.items():
                if name not in self.running:
                    self.running[name] = Instance(self, made)
                elif self.running[name].process.poll() is not None:
                    self._shut_down(made)

    def _shut_down(self, made: Any) -> None:
        if made.instance_initiated_shutdown_behavior == "terminate":
            self.ec2.end(made, "Client.InstanceInitiatedShutdown")
        else:
            made.stop()


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        return None


class _Through(socketserver.StreamRequestHandler):
    """CONNECT, and bytes in both directions until one side is through."""

    def handle(self) -> None:
        _, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as far:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(far, self.connection), daemon=True)
            back.start()
            _pump(self.connection, far)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Metadata(BaseHTTPRequestHandler):
    """IMDSv2: nothing without a token."""

    def do_PUT(self) -> None:
        self._send(200, "token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            return self._send(401, "")
        meta: dict[str, str] = vars(self.server)["meta"]
        text = meta.get(self.path.removeprefix("/latest/meta-data/").rstrip("/"))
        return self._send(200 if text else 404, text or "")

    def log_message(self, *_: Any) -> None:
        return None

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks DNS, for seconds where there is none
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def handle_error(self, *_: Any) -> None:
        return None


def _serve_metadata(space: str, meta: dict[str, str]) -> _Server:
    """Served by this process, at an address inside the namespace: only the thread that binds it goes there."""
    made: list[_Server] = []

    def bind() -> None:
        with open(f"/run/netns/{space}") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
        made.append(_Server((METADATA, 80), _Metadata))

    inside = threading.Thread(target=bind)
    inside.start()
    inside.join()
    vars(made[0])["meta"] = meta
    threading.Thread(target=made[0].serve_forever, daemon=True).start()
    return made[0]


def _new_bridge() -> tuple[int, str]:
    """A network of its own for each hypervisor on this computer: making its bridge is what reserves it."""
    for number in range(64, 128):
        name = f"amasia-ec2-{number}"
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip(f"link add {name} address 02:a5:00:00:{number:02x}:fe type bridge")  # else it changes with its ports
            _ip(f"addr add 10.{number}.255.254/16 dev {name}")
            _ip(f"link set {name} up")
            return number, name
    raise RuntimeError("no free network for instances: ip link del amasia-ec2-…")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)
