"""The embedded object store: one SeaweedFS process beside the control plane. Only the server imports this."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors, files, ports
from amasia.models.revocations import Revocation
from amasia.stores import refusals
from amasia.stores.credentials import ROLE, Keys
from amasia.stores.seaweed import BUCKET, SeaweedFS

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
        self._seaweed = SeaweedFS(home, port, host, certificate, key)
        self.endpoint = public_url or f"{'https' if certificate else 'http'}://{host}:{port}"

    @property
    def keys(self) -> Keys:
        """The broker's key: it may assume the lending role and do nothing else, not even read."""
        held = self._seaweed.keys()
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
                self._remember(process)
                return process
        return None

    def _remember(self, process: psutil.Process) -> None:
        record = {"pid": process.pid, "started": process.create_time()}
        files.write(self._pid_file, json.dumps(record), private=True)

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
        self._seaweed.write()
        with (self.home / "log").open("wb") as log:
            child = subprocess.Popen(
                self._seaweed.command(),
                cwd=self.home,
                env=self._seaweed.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        self._remember(process)
        return process

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
        held = self._seaweed.keys()
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
        wish = f"fs.configure -locationPrefix=/buckets/{BUCKET}/ -fsync -apply\n"
        try:
            done = subprocess.run(
                self._seaweed.shell(),
                input=wish,
                env=self._seaweed.environment(),
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
            if ports.is_free(self.port, self.host):
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
