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

_SCHEMES = {BucketKind.directory: "", BucketKind.gcs: "gs://", BucketKind.azure: "az://"}


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
        """``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``; for a directory, its path."""
        return f"{_SCHEMES.get(self.lease.kind, 's3://')}{self.lease.bucket}/{self.lease.prefix}"

    def env(self) -> dict[str, str]:
        """Variables that tools of that store read."""
        lease = self._remote()
        match lease.kind:
            case BucketKind.gcs:
                found = {
                    "CLOUDSDK_AUTH_ACCESS_TOKEN": lease.session_token,
                    "GOOGLE_BEARER_TOKEN": lease.session_token,
                    "GOOGLE_BASE_URL": lease.endpoint,
                }
            case BucketKind.azure:
                found = {
                    "AZURE_STORAGE_ACCOUNT": lease.account,
                    "AZURE_STORAGE_ACCOUNT_NAME": lease.account,
                    "AZURE_STORAGE_SAS_TOKEN": lease.session_token,
                    "AZURE_STORAGE_ENDPOINT": lease.endpoint,
                }
            case _:
                found = {
                    "AWS_ACCESS_KEY_ID": lease.access_key,
                    "AWS_SECRET_ACCESS_KEY": lease.secret_key,
                    "AWS_SESSION_TOKEN": lease.session_token,
                    "AWS_REGION": lease.region,
                    "AWS_ENDPOINT_URL": lease.endpoint,
                }
        return _given(found)

    def boto3(self) -> dict[str, str]:
        """Keywords of ``boto3.client("s3", **...)``."""
        lease = self._remote()
        if lease.kind in (BucketKind.gcs, BucketKind.azure):
            raise InvalidRequest(
                f"{self.url} is in a bucket of kind {lease.kind.value!r}, and boto3 speaks S3.",
                cure="Use the format env, fsspec, rclone or json.",
            )
        return _given({
            "endpoint_url": lease.endpoint,
            "region_name": lease.region,
            "aws_access_key_id": lease.access_key,
            "aws_secret_access_key": lease.secret_key,
            "aws_session_token": lease.session_token,
        })  # fmt: skip

    def fsspec(self) -> dict[str, Any]:
        """Keywords of ``fsspec.filesystem``, for ``"s3"``, ``"gcs"`` or ``"az"``."""
        lease = self._remote()
        match lease.kind:
            case BucketKind.gcs:
                return _given({"token": lease.session_token, "endpoint_url": lease.endpoint})
            case BucketKind.azure if lease.endpoint:
                place = f"BlobEndpoint={lease.endpoint};SharedAccessSignature={lease.session_token}"
                return {"account_name": lease.account, "connection_string": place}
            case BucketKind.azure:
                return {"account_name": lease.account, "sas_token": lease.session_token}
        return {
            "key": lease.access_key,
            "secret": lease.secret_key,
            "token": lease.session_token,
            "client_kwargs": _given({"region_name": lease.region, "endpoint_url": lease.endpoint}),
        }

    def rclone(self) -> str:
        """A section of rclone's configuration; the remote is called ``amasia``."""
        lease = self._remote()
        match lease.kind:
            case BucketKind.gcs:
                found = {
                    "type": "google cloud storage",
                    "access_token": lease.session_token,
                    "endpoint": lease.endpoint,
                    "bucket_policy_only": "true",
                    "no_check_bucket": "true",
                }
            case BucketKind.azure:
                place = lease.endpoint or f"https://{lease.account}.blob.core.windows.net"
                found = {
                    "type": "azureblob",
                    "sas_url": f"{place}/{lease.bucket}?{lease.session_token}",
                    "no_check_container": "true",
                }
            case _:
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
        return "\n".join(["[amasia]", *(f"{name} = {value}" for name, value in _given(found).items())])

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return self.lease.model_dump(mode="json")

    def text(self, format: Format) -> str:
        """Ready for a file or a shell."""
        return _FORMATS[format](self)

    def _remote(self) -> Lease:
        if self.lease.kind is BucketKind.directory:
            raise InvalidRequest(
                f"{self.url} is in a bucket of kind 'directory', where tools of object stores have nothing to read.",
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


def _given(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if value}


def _as_shell(found: Credentials) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.env().items())


_FORMATS: dict[Format, Callable[[Credentials], str]] = {
    Format.env: _as_shell,
    Format.boto3: lambda found: json.dumps(found.boto3(), indent=2),
    Format.fsspec: lambda found: json.dumps(found.fsspec(), indent=2),
    Format.rclone: Credentials.rclone,
    Format.json: lambda found: json.dumps(found.json(), indent=2),
}
