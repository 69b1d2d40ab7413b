"""The other side of the wire: a tiny HTTP server that speaks the two machine routes with the real models."""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed import Client, Security

from amasia import errors
from amasia.models import homes
from amasia.models.base import new_id, now
from amasia.models.environments import Environment
from amasia.models.homes import Exit, Identity
from amasia.models.machines import (
    Assignment,
    Boot,
    Heartbeat,
    Join,
    Machine,
    MachineRole,
    MachineStatus,
    MachineTarget,
    Stages,
    Wishes,
)
from amasia.models.secrets import Lent
from amasia.providers.local import LocalProvider
from amasia.testing.waiting import wait

CODE = Path(__file__).with_name("code")
sys.path.append(str(CODE))
AGENT = """#!{python}
import sys
from pathlib import Path
from types import SimpleNamespace
from amasia.agent.__main__ import run

{before}
_, dash_m, module, home, dash_cache, cache = sys.argv
assert (dash_m, module, dash_cache) == ("-m", "amasia.agent", "--cache")
sys.exit(run(Path(home), Path(cache), lambda *_: SimpleNamespace(python=Path(sys.executable), code=Path({code!r}))))
"""
"""The agent, in the environment of the tests instead of one that it builds: tests/environments has those."""
MIB = 1 << 20


def authority() -> tuple[str, str, str]:
    """PEM of a CA, and of one leaf with its key."""
    day = timedelta(days=1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, public: Any, signer: Any, *, is_ca: bool) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(datetime.now(UTC) - day).not_valid_after(datetime.now(UTC) + day)
        return builder.add_extension(x509.BasicConstraints(is_ca, None), True).sign(signer, hashes.SHA256())

    def pem(thing: x509.Certificate) -> str:
        return thing.public_bytes(serialization.Encoding.PEM).decode()

    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    ca = certificate("ca", ca_key.public_key(), ca_key, is_ca=True)
    return pem(ca), pem(certificate("leaf", key.public_key(), ca_key, is_ca=False)), text


class ControlPlane:
    """Answers joins and heartbeats, and keeps what it heard."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.provider = LocalProvider(home, 40_000, 5_000, python=str(home / "agent"))
        self.agents_run_first("")
        self.lease_seconds = 30.0
        self.heartbeat_seconds = 0.3
        self.tls = authority()
        self.machines: dict[str, Machine] = {}
        self.heard: dict[str, list[Heartbeat]] = {}
        self.targets: dict[str, MachineTarget] = {}
        self.refuse: dict[str, errors.AmasiaError] = {}
        self.lose_answers = 0
        self.scale: dict[str, Any] = {}
        self.notices: list[str] = []
        self.spec: dict[str, Any] = {"n_workers": 10}
        self.secrets: dict[str, str] = {}
        self.lent: list[str] = []
        self.lends_not: errors.AmasiaError | None = None
        self.serve(0)

    def agents_run_first(self, before: str) -> None:
        """What agents that start from now on run before they begin."""
        python = Path(self.provider.python)
        python.write_text(AGENT.format(python=sys.executable, code=str(CODE), before=before))
        python.chmod(0o755)

    def serve(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def die(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, role: str = "worker", memory: int = 256 * MIB, lease: float | None = None, group: str = "") -> str:
        machine = Machine(
            id=new_id("ma"), workspace="demo", location="local", cluster_id="cl-1", cluster="tiny", owner="ada",
            role=MachineRole(role), index=len(self.machines), group=group, status=MachineStatus.starting,
            target=MachineTarget.running, machine_type="c1-m0.25", cpus=1, memory=memory, price=1,
            stages=Stages(requested=now()), lease_until=now() + timedelta(seconds=lease or self.lease_seconds),
        )  # fmt: skip
        boot = Boot(
            machine_id=machine.id, control_plane=self.url, join_token="t", lease_until=machine.lease_until,
            cpus=1, memory=memory,
        )  # fmt: skip
        self.machines[machine.id] = machine
        self.heard[machine.id] = []
        self.provider.start(machine, boot)
        return machine.id

    def assignment(self, machine_id: str) -> Assignment:
        ca, certificate, key = self.tls
        return Assignment(
            machine=self.machines[machine_id], token=f"token-{machine_id}", environment_hash="0" * 64,
            environment=Environment(python=sys.version.split()[0], pylock=""), spec=self.spec, tls_ca=ca,
            tls_certificate=certificate, tls_key=key, owner_token="owner", heartbeat_seconds=self.heartbeat_seconds,
        )  # fmt: skip

    def lend(self, machine_id: str) -> Lent:
        if self.lends_not:
            raise self.lends_not
        self.lent.append(machine_id)
        return Lent(values=self.secrets)

    def take(self, machine_id: str, role: str) -> None:
        """A cluster takes a machine that was kept warm."""
        self.machines[machine_id] = self.machines[machine_id].model_copy(update={"role": MachineRole(role)})

    def heartbeat(self, machine_id: str, heartbeat: Heartbeat) -> Wishes:
        if machine_id in self.refuse:
            raise self.refuse[machine_id]
        self.heard[machine_id].append(heartbeat)
        role = self.machines[machine_id].role
        if heartbeat.process.status == "warm":
            until = now() + timedelta(seconds=self.lease_seconds)
            return Wishes(target=MachineTarget.running, lease_until=until, taken=role is not MachineRole.warm)
        notices, self.notices = (self.notices, []) if role is MachineRole.scheduler else ([], self.notices)
        return Wishes(
            target=self.targets.get(machine_id, MachineTarget.running),
            lease_until=now() + timedelta(seconds=self.lease_seconds),
            scheduler_address="" if role is MachineRole.scheduler else self.scheduler_address(),
            scale=self.scale,
            notices=tuple(notices),
        )

    def scheduler_address(self) -> str:
        return self.last_of_scheduler().process.address if self.last_of_scheduler() else ""

    def last_of_scheduler(self) -> Any:
        ids = [machine.id for machine in self.machines.values() if machine.role is MachineRole.scheduler]
        return self.heard[ids[-1]][-1] if ids and self.heard[ids[-1]] else None

    def last(self, machine_id: str) -> Any:
        return self.heard[machine_id][-1] if self.heard[machine_id] else None

    def home(self, machine_id: str) -> Path:
        return self.provider.machines / machine_id

    def gone(self, machine_id: str) -> bool:
        return not self.provider.find([self.machines[machine_id]])[machine_id].alive

    def exit(self, machine_id: str) -> Exit:
        return Exit.model_validate_json((self.home(machine_id) / homes.EXIT).read_text())

    def agent(self, machine_id: str) -> int:
        return Identity.model_validate_json((self.home(machine_id) / homes.IDENTITY).read_text()).pid

    def status(self, machine_id: str) -> str:
        return self.last(machine_id).process.status if self.last(machine_id) else ""

    def log(self, machine_id: str) -> str:
        return "".join(beat.log for beat in self.heard[machine_id])

    def cluster(self, workers: int = 1, memory: int = 256 * MIB) -> tuple[str, list[str]]:
        scheduler = self.start("scheduler", 512 * MIB)
        ids = [self.start("worker", memory) for _ in range(workers)]
        wait(lambda: all(self.status(machine_id) == "running" for machine_id in [scheduler, *ids]), 30)
        return scheduler, ids

    def wait(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        return wait(condition, seconds)

    def processes(self, machine_id: str) -> list[psutil.Process]:
        return processes_of(self.home(machine_id))

    def client(self) -> Any:
        ca, certificate, key = self.tls
        security = Security(tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)
        return Client(self.scheduler_address(), security=security, timeout=15)


def handler(plane: ControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.path == "/v1/machines/join":
                    answer = plane.assignment(Join.model_validate_json(body).machine_id)
                elif self.path.endswith("/secrets"):
                    answer = plane.lend(self.path.split("/")[3])
                elif self.path.endswith("/assignment"):
                    answer = plane.assignment(self.path.split("/")[3])
                else:
                    answer = plane.heartbeat(self.path.split("/")[3], Heartbeat.model_validate_json(body))
                status, text = 200, answer.model_dump_json()
            except errors.AmasiaError as error:
                status, text = error.status, json.dumps(errors.to_wire(error))
            if plane.lose_answers > 0:
                plane.lose_answers -= 1
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that works in a machine's directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in (process.cwd(), *process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path / "home")
    yield plane
    for machine_id in plane.machines:
        plane.provider.stop(machine_id)
        for process in plane.processes(machine_id):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    plane.provider.find(None)  # which buries them
    plane.die()
