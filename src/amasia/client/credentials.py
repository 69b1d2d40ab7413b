"""Short-lived credentials of one repository, written as other tools want them."""

import json
import shlex
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal

from amasia.client import repositories
from amasia.client.inputs import request
from amasia.client.transport import connect
from amasia.errors import InvalidRequest
from amasia.models.base import split_repository
from amasia.models.repositories import BucketKind, Lease, LeaseRequest

Mode = Literal["read", "write"]


class Format(StrEnum):
    env = "env"
    boto3 = "boto3"
    fsspec = "fsspec"
    rclone = "rclone"
    json = "json"


class Credentials:
    """The right to one repository's objects until `expires_at`. Its text shows no secret; what its methods give does.

    Attributes
    ----------
    lease
        Where the objects are, and the keys.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.expires_at = lease.expires_at

    def __repr__(self) -> str:
        until = f"until {self.expires_at:%Y-%m-%d %H:%M:%S} UTC" if self.expires_at else "without an end"
        return f"<Credentials to {self.lease.mode.value} {self.url}, {until}>"

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``; for a directory, its path."""
        root = self.lease.bucket if self.lease.kind is BucketKind.directory else f"s3://{self.lease.bucket}"
        return f"{root}/{self.lease.prefix}"

    def env(self) -> dict[str, str]:
        """Variables that S3 tools read."""
        lease = self._s3()
        found = {
            "AWS_ACCESS_KEY_ID": lease.access_key,
            "AWS_SECRET_ACCESS_KEY": lease.secret_key,
            "AWS_SESSION_TOKEN": lease.session_token,
            "AWS_REGION": lease.region,
            "AWS_ENDPOINT_URL": lease.endpoint,
        }
        return {name: value for name, value in found.items() if value}

    def boto3(self) -> dict[str, str]:
        """Keywords of ``boto3.client("s3", **...)``."""
        lease = self._s3()
        found = {
            "endpoint_url": lease.endpoint,
            "region_name": lease.region,
            "aws_access_key_id": lease.access_key,
            "aws_secret_access_key": lease.secret_key,
            "aws_session_token": lease.session_token,
        }
        return {name: value for name, value in found.items() if value}

    def fsspec(self) -> dict[str, Any]:
        """Keywords of ``fsspec.filesystem("s3", **...)``."""
        lease = self._s3()
        client = {"region_name": lease.region, "endpoint_url": lease.endpoint}
        return {
            "key": lease.access_key,
            "secret": lease.secret_key,
            "token": lease.session_token,
            "client_kwargs": {name: value for name, value in client.items() if value},
        }

    def rclone(self) -> str:
        """A section of rclone's configuration; the remote is called ``amasia``."""
        lease = self._s3()
        found = {
            "type": "s3",
            "provider": "Other" if lease.endpoint else "AWS",
            "access_key_id": lease.access_key,
            "secret_access_key": lease.secret_key,
            "session_token": lease.session_token,
            "region": lease.region,
            "endpoint": lease.endpoint,
            "no_check_bucket": "true",
        }
        return "\n".join(["[amasia]", *(f"{name} = {value}" for name, value in found.items() if value)])

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return self.lease.model_dump(mode="json")

    def text(self, format: Format) -> str:
        """Ready for a file or a shell."""
        return _FORMATS[format](self)

    def _s3(self) -> Lease:
        if self.lease.kind not in (BucketKind.s3, BucketKind.embedded):
            raise InvalidRequest(
                f"{self.url} is in a bucket of kind {self.lease.kind.value!r}, where S3 tools have nothing to read.",
                cure="Use the format json, which says where it is.",
            )
        return self.lease


def lend(name: str, mode: Mode = "read", *, hours: float | None = None) -> Credentials:
    """Ask for credentials of one repository. They are not renewed; what `amasia.open_repo` uses is.

    Parameters
    ----------
    name
        As ``workspace/repository``.
    hours
        From 0.25 to 1; None for what the control plane gives.
    """
    workspace, repository = split_repository(name)
    seconds = None if hours is None else round(hours * 3600)
    body = request(LeaseRequest, mode=mode, seconds=seconds)
    lease = connect().post(f"{repositories.path(workspace, repository)}/credentials", body, Lease)
    return Credentials(lease)


def _as_shell(found: Credentials) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.env().items())


_FORMATS: dict[Format, Callable[[Credentials], str]] = {
    Format.env: _as_shell,
    Format.boto3: lambda found: json.dumps(found.boto3(), indent=2),
    Format.fsspec: lambda found: json.dumps(found.fsspec(), indent=2),
    Format.rclone: Credentials.rclone,
    Format.json: lambda found: json.dumps(found.json(), indent=2),
}
