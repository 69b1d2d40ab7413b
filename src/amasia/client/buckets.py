"""Buckets: where repositories are kept."""

import time

from amasia import errors
from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.repositories import Bucket, BucketKind, BucketRequest, BucketStatus

TRIED = 30
"""Seconds to wait for a new bucket to be tried."""

_KINDS = {
    "s3": BucketKind.s3, "gs": BucketKind.gcs, "az": BucketKind.azure, "file": BucketKind.directory,
}  # fmt: skip


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Bucket]:
    """The buckets of a workspace, its default first."""
    return list((connection or connect()).items(f"{path(workspace)}/buckets", Bucket))


def create(
    name: str,
    uri: str,
    workspace: str | None = None,
    *,
    endpoint: str = "",
    region: str = "us-east-1",
    access_key: str = "",
    secret_key: str = "",
    role: str = "",
    connection: Connection | None = None,
) -> Bucket:
    """Register a bucket; for admins of the workspace. The control plane then tries it: see `tried`.

    Parameters
    ----------
    uri
        ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://account/container/prefix``, or the absolute path of a
        directory that client and machines share. With ``az://account`` each repository has a container of its own.
    endpoint
        URL of an S3-compatible store; empty for AWS, and for Google's and Azure's usual addresses.
    access_key, secret_key
        The broker's own; kept encrypted. Only short-lived credentials made from it are lent. Google and Azure have no
        ``access_key``: ``secret_key`` is a service account's key (JSON) or the storage account's key, or empty for the
        control plane's own identity there, which takes an operator.
    role
        ARN of the role that credentials are lent from; stores other than AWS mostly ignore it.

    Raises
    ------
    Conflict
        There is one of that name.
    InvalidRequest
        It cannot be what was described.
    """
    scheme, slashes, _ = uri.partition("://")
    kind = _KINDS.get(scheme if slashes else "file")
    if kind is None:
        raise errors.InvalidRequest(
            f"{uri!r} is of no kind of bucket that there is.",
            cure="Write s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix or an absolute path.",
        )
    body = request(
        BucketRequest,
        name=name,
        kind=kind,
        uri=uri,
        endpoint=endpoint,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        role=role,
    )
    return (connection or connect()).post(f"{path(workspace)}/buckets", body, Bucket)


def tried(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Bucket:
    """A bucket, when the control plane has tried whether several writers and lent credentials are safe there.

    Raises
    ------
    Unavailable
        It cannot be used; says why.
    TimedOut
        Its store does not answer; it is tried again and again.
    """
    end = time.monotonic() + TRIED
    while True:
        found = next((bucket for bucket in find(workspace, connection=connection) if bucket.name == name), None)
        if found is None:
            raise errors.NotFound(f"There is no bucket {name!r}.", cure="`amasia bucket list` shows them.")
        if found.status is BucketStatus.ready:
            return found
        if found.status is BucketStatus.failed:
            raise errors.Unavailable(
                f"The bucket {name!r} cannot be used: {found.reason}", cure="Mend it and register it under a new name."
            )
        if time.monotonic() >= end:
            raise errors.TimedOut(
                f"The store of bucket {name!r} did not answer within {TRIED} s.",
                cure="It is tried again; `amasia bucket list` tells.",
            )
        time.sleep(0.3)
