"""What the stand-ins of clouds share: an HTTPS server that speaks JSON, goes wrong as told, and has VMs that may boot.

They are no proof of what Google or Azure do: they do what the documentation says, as far as Amasia asks for it.
"""

import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amasia.models.base import now

INIT = """\
mount --bind {console} /dev/console 2>/dev/null
for own in $(command -v poweroff shutdown halt); do mount --bind {tools}/poweroff "$own"; done
export HOME={root} PATH=$PATH:{tools}
{script} &
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
"""
"""Goes on when its script is over, as a system does; and ends when somebody says ``poweroff``."""


@dataclass
class Faults:
    """What goes wrong next. Numbers count down."""

    no_room: set[tuple[str, str, bool]] = field(default_factory=set)
    """(type, zone, spot); ``*`` for any type."""
    late_room: float = 0.0
    """Seconds after which it is said that there is no room; at once for 0."""
    quota: int | None = None
    """VMs that may run at once."""
    throttled: int = 0
    lost: int = 0
    """Changes that are done, and whose answer never arrives."""
    doubled: int = 0
    """Changes that arrive twice, as from a network that repeats what it delivered."""
    hidden: float = 0.0
    """Seconds for which new VMs are in no list."""
    slow: float = 0.0
    """Seconds that making one takes."""
    refused: bool = False
    """Whether no token is good."""
    denied: set[str] = field(default_factory=set)
    """Rights that nobody has."""


@dataclass
class Vm:
    name: str
    zone: str
    kind: str
    spot: bool
    machine_id: str
    script: str
    body: dict[str, Any]
    number: int
    created: datetime = field(default_factory=now)
    stopped: datetime | None = None
    deleting: float = 0.0
    """When it will be gone; 0 for never."""
    failure: str = ""
    """Why it cannot be made."""
    fails: float = 0.0
    """When that shows."""
    process: "subprocess.Popen[bytes] | None" = None
    console: Path | None = None

    @property
    def runs(self) -> bool:
        return not self.stopped and not self.deleting and not self.failure


@dataclass
class Answer:
    status: int
    body: dict[str, Any] | str | None = None
    headers: dict[str, str] = field(default_factory=dict)


class VmCloud:
    """A server with VMs. A subclass gives it a cloud's words."""

    closing = 0.1
    """Seconds that a deletion takes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amasia-cloud-"))
        self.authority, chain = _certificate(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.lock = threading.RLock()
        self.boots = False
        self.reset()

    def reset(self) -> None:
        """Empty it."""
        for vm in getattr(self, "vms", {}).values():
            _kill(vm)
        self.faults = Faults()
        self.vms: dict[tuple[str, str], Vm] = {}
        self.calls: Counter[str] = Counter()
        self.launched: Counter[str] = Counter()
        """VMs that were ever made, by machine."""
        self.tokens: set[str] = set()
        self.boots = False
        self._number = 1000

    def variables(self) -> dict[str, str]:
        """Of the environment: with them, clients trust the certificate."""
        return {"REQUESTS_CA_BUNDLE": str(self.authority), "SSL_CERT_FILE": str(self.authority)}

    def running(self, machine_id: str | None = None) -> list[Vm]:
        """What costs now, of one machine or of all."""
        self.settle()
        return [vm for vm in self.vms.values() if vm.runs and machine_id in (None, vm.machine_id)]

    def power_off(self, machine_id: str) -> None:
        """Its guest shuts it down."""
        with self.lock:
            for vm in self.running(machine_id):
                vm.stopped = now()
                _kill(vm)

    def take_back(self, machine_id: str) -> None:
        """What a cloud does with a spot machine."""
        with self.lock:
            for vm in self.running(machine_id):
                self.remove(vm)

    def close(self) -> None:
        self.reset()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- for subclasses ----------------------------------------------------------------------------------------------

    def open(self, method: str, path: str, form: dict[str, str]) -> Answer | None:
        """The answer to who has no token yet; None where one is needed."""
        return None

    def knows(self, token: str) -> bool:
        return token in self.tokens

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        raise NotImplementedError

    def right(self, method: str, path: str) -> str:
        """What a request needs."""
        raise NotImplementedError

    def error(self, status: int, code: str, message: str) -> Answer:
        raise NotImplementedError

    def count(self, fault: str) -> bool:
        with self.lock:
            left = getattr(self.faults, fault)
            setattr(self.faults, fault, max(0, left - 1))
            return bool(left > 0)

    def make(self, vm: Vm) -> None:
        with self.lock:
            self.vms[vm.zone, vm.name] = vm
            if vm.failure:
                return
            self.launched[vm.machine_id] += 1
            if self.boots:
                _boot(vm, self.folder)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def has_room(self, kind: str, zone: str, spot: bool) -> bool:
        return not self.faults.no_room & {(kind, zone, spot), ("*", zone, spot)}

    def remove(self, vm: Vm) -> None:
        """It is gone."""
        _kill(vm)
        self.vms.pop((vm.zone, vm.name), None)

    def settle(self) -> None:
        """Bring everything up to now."""
        with self.lock:
            for vm in list(self.vms.values()):
                if vm.deleting and time.monotonic() >= vm.deleting:
                    self.remove(vm)
                elif vm.process and vm.process.poll() is not None and not vm.stopped:
                    vm.stopped = now()

    def hides(self, vm: Vm) -> bool:
        return now() - vm.created < timedelta(seconds=self.faults.hidden)


def missing() -> str:
    """Why VMs cannot boot here; empty where they can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    lacking = [tool for tool in ("unshare", "mount") if not shutil.which(tool)]
    return f"{', '.join(lacking)} cannot be found" if lacking else ""


def _boot(vm: Vm, folder: Path) -> None:
    """Its script, in namespaces of its own; all that runs there ends with its init."""
    root = folder / f"{vm.name}-{vm.number}"
    tools = root / "tools"
    tools.mkdir(parents=True)
    script, vm.console = root / "script", root / "console"
    for path, text in ((script, vm.script), (tools / "poweroff", "#!/bin/sh\nkill -TERM 1\n"), (vm.console, "")):
        path.write_text(text)
        path.chmod(0o700)
    init = INIT.format(console=vm.console, tools=tools, root=root, script=script)
    own = ["unshare", "--pid", "--fork", "--uts", "--mount", "--mount-proc", "--kill-child=KILL"]
    with vm.console.open("ab") as console:
        vm.process = subprocess.Popen(
            [*own, "/bin/sh", "-c", init],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={"PATH": os.environ["PATH"]},
            start_new_session=True,
        )


def _kill(vm: Vm) -> None:
    if vm.process:
        vm.process.kill()
        vm.process.wait()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, which is the server's own too; and the same with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a cloud on this computer")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(pem)
    chain.write_bytes(pem + private)
    chain.chmod(0o600)
    return authority, chain


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks DNS, for seconds where there is none
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def handle_error(self, *_: Any) -> None:
        return None


def _handler(cloud: VmCloud) -> type[BaseHTTPRequestHandler]:
    """One that asks this cloud."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = _answer(cloud, self.command, unquote(parts.path), dict(parse_qsl(parts.query)), text,
                             self.headers.get("Authorization", ""))  # fmt: skip
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            data = b"" if answer.body is None else body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain" if isinstance(answer.body, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def do_PUT(self) -> None:
            self._do()

        def do_DELETE(self) -> None:
            self._do()

        def log_message(self, *_: Any) -> None:
            return None

    return Handler


def _answer(
    cloud: VmCloud, method: str, path: str, query: dict[str, str], text: bytes, authorization: str
) -> Answer | None:
    """None where the answer is lost."""
    opened = cloud.open(method, path, dict(parse_qsl(text.decode(errors="replace"))))
    if opened is not None:
        return opened
    if cloud.faults.refused or not cloud.knows(authorization.removeprefix("Bearer ")):
        return cloud.error(401, "InvalidAuthenticationToken", "The access token is invalid")
    right = cloud.right(method, path)
    cloud.calls[right] += 1
    if right in cloud.faults.denied:
        return cloud.error(403, "AuthorizationFailed", f"Required {right!r} permission")
    if cloud.count("throttled"):
        return cloud.error(429, "TooManyRequests", "Too many requests")
    body = json.loads(text) if text else {}
    ask: Callable[[], Answer] = lambda: cloud.answer(method, path, query, body)  # noqa: E731
    with cloud.lock:
        cloud.settle()
        if method == "GET":
            return ask()
        answer = ask()
        if cloud.count("doubled"):
            ask()
    return None if cloud.count("lost") else answer
