"""Lending: a short-lived right to one repository's bytes, and to nothing beside them. Only the server imports this."""

import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from types import ModuleType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores import endpoints

LONGEST = 3600
"""Seconds that a lease may last."""
SHORTEST = 900
"""Seconds; no security token service gives less. A lease may still tell of an earlier end, to be renewed by then."""
ROLE = "arn:aws:iam::000000000000:role/amasia-lease"
"""The role of the embedded store; most other S3 servers ignore the name."""

_READ = ("s3:GetObject",)
_WRITE = ("s3:GetObject", "s3:PutObject")
_ADMINISTER = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
_NAMES = ("s3:ListBucket", "s3:ListBucketVersions")
_EXTRAS = {BucketKind.gcs: ("google", "gcp"), BucketKind.azure: ("azure", "azure")}
"""Who lends on other clouds: a module beside this one, and the extra that it needs."""


@dataclass(frozen=True)
class Keys:
    """The broker's own long-lived key to a bucket. It never leaves the server."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    role: str = ROLE
    """ARN of the role that leases are made from, on S3."""


def lend(
    bucket: Bucket,
    keys: Keys,
    repository_id: str,
    name: str,
    workspace: str,
    mode: Mode,
    principal: str,
    seconds: int = LONGEST,
) -> Lease:
    """A right to read, or to read and add, the objects of one repository.

    Parameters
    ----------
    bucket
        Where the repository is.
    keys
        The broker's; unused for a directory.
    repository_id, name, workspace
        Of the repository; its prefix is ``<workspace>/<repository_id>``.
    mode
        ``read`` gives GetObject; ``write`` adds PutObject, and to list its own prefix, which tools that copy folders
        want. Neither may delete. On Google's store whoever may replace an object may delete it.
    principal
        Who borrows: the session's name in the store's own log.
    seconds
        At most 3600. S3 lends for 900 at least, Google for the hour; the lease says the earlier end all the same.

    Raises
    ------
    StoreDown
        The store did not answer.
    PermissionDenied
        The store refuses to lend, or has no security token service; the cure says which.
    Unavailable
        The libraries for that cloud are not installed here.
    """
    actions = _WRITE if mode is Mode.write else _READ
    return _lease(bucket, keys, repository_id, name, workspace, mode, principal, seconds, actions, administer=False)


def administer(bucket: Bucket, keys: Keys, repository_id: str, name: str, workspace: str) -> Lease:
    """What the control plane lends itself to create a repository and to delete it: also list and delete."""
    return _lease(
        bucket, keys, repository_id, name, workspace, Mode.write, "@amasia", SHORTEST, _ADMINISTER, administer=True
    )


def _lease(
    bucket: Bucket,
    keys: Keys,
    repository_id: str,
    name: str,
    workspace: str,
    mode: Mode,
    principal: str,
    seconds: int,
    actions: Sequence[str],
    *,
    administer: bool,
) -> Lease:
    place = Lease(
        repository=name,
        workspace=workspace,
        mode=mode,
        kind=bucket.kind,
        account=_account_of(bucket),
        bucket=_bucket_of(bucket) or repository_id,
        prefix="/".join(part for part in (_prefix_of(bucket), workspace, repository_id) if part),
        endpoint=bucket.endpoint,
        region=bucket.region,
    )
    if bucket.kind is BucketKind.directory:
        return place
    seconds = min(seconds, LONGEST)
    if bucket.kind is BucketKind.gcs:
        return _google(bucket, keys, place, seconds)
    if bucket.kind is BucketKind.azure:
        return _azure(bucket, keys, place, seconds, administer=administer)
    names = _NAMES if administer else _NAMES[:1] if mode is Mode.write else ()
    policy = _policy(place.bucket, place.prefix, actions, names)
    given = assume(bucket, keys, policy, principal, max(SHORTEST, seconds))
    return place.model_copy(
        update={
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "session_token": given["SessionToken"],
            # Icechunk takes no other zone than UTC.
            "expires_at": min(given["Expiration"].astimezone(UTC), now() + timedelta(seconds=seconds)),
        }
    )


def forget(bucket: Bucket, keys: Keys, repository_id: str) -> None:
    """After the last object of a repository: its container on Azure, where it has one of its own.

    Raises
    ------
    StoreDown, PermissionDenied
    """
    if bucket.kind is BucketKind.azure and not _bucket_of(bucket):
        endpoints.check(bucket)
        _lender(bucket.kind).drop(bucket, keys.secret_key, _account_of(bucket), repository_id)


def _google(bucket: Bucket, keys: Keys, place: Lease, seconds: int) -> Lease:
    endpoints.check(bucket)
    token, end = _lender(bucket.kind).token(
        bucket, keys.secret_key, place.bucket, place.prefix, writing=place.mode is Mode.write
    )
    return place.model_copy(update={"session_token": token, "expires_at": min(end, now() + timedelta(seconds=seconds))})


def _azure(bucket: Bucket, keys: Keys, place: Lease, seconds: int, *, administer: bool) -> Lease:
    endpoints.check(bucket)
    end, own = now() + timedelta(seconds=seconds), not _bucket_of(bucket)
    signature = _lender(bucket.kind).sign(bucket, keys.secret_key, place, end, own=own, administer=administer)
    return place.model_copy(update={"session_token": signature, "expires_at": end})


def _lender(kind: BucketKind) -> ModuleType:
    """Loaded when it is first needed: its libraries are an extra."""
    module, extra = _EXTRAS[kind]
    try:
        return importlib.import_module(f"amasia.stores.{module}")
    except ImportError as error:
        raise errors.Unavailable(
            f"The control plane cannot lend for buckets of kind {kind.value!r}: {error.name} is not installed there.",
            cure=f"Install it where the control plane runs: pip install 'amasia[server,{extra}]'",
        ) from error


def _account_of(bucket: Bucket) -> str:
    return _parts(bucket)[0] if bucket.kind is BucketKind.azure else ""


def _bucket_of(bucket: Bucket) -> str:
    """Empty where each repository has a container of its own."""
    if bucket.kind is BucketKind.directory:
        return bucket.uri.removeprefix("file://")
    return _parts(bucket)[1 if bucket.kind is BucketKind.azure else 0]


def _prefix_of(bucket: Bucket) -> str:
    if bucket.kind is BucketKind.directory:
        return ""
    return "/".join(part for part in _parts(bucket)[2 if bucket.kind is BucketKind.azure else 1 :] if part)


def _parts(bucket: Bucket) -> list[str]:
    """Of ``s3://bucket/prefix``, ``gs://bucket/prefix`` and ``az://account/container/prefix``."""
    parts = [part for part in bucket.uri.partition("://")[2].split("/") if part]
    return [*parts, "", ""] if len(parts) < 2 else parts


def _policy(bucket: str, prefix: str, actions: Sequence[str], listing: Sequence[str]) -> dict[str, Any]:
    # The slash before the star keeps `demo/re-1` from opening `demo/re-10`.
    objects = {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{bucket}/{prefix}/*"]}
    names = {
        "Effect": "Allow",
        "Action": list(listing),
        "Resource": [f"arn:aws:s3:::{bucket}"],
        "Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*"]}},
    }
    return {"Version": "2012-10-17", "Statement": [objects, names] if listing else [objects]}


def assume(bucket: Bucket, keys: Keys, policy: dict[str, Any], principal: str, seconds: int) -> dict[str, Any]:
    """Ask a store's token service for what a policy allows, and no more than its role may.

    Raises
    ------
    StoreDown, PermissionDenied
    InvalidRequest
        Its endpoint is where no operator lets it be.
    """
    endpoints.check(bucket)
    sts = boto3.client(
        "sts",
        endpoint_url=bucket.endpoint or None,
        region_name=bucket.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(retries={"total_max_attempts": 2}, connect_timeout=3, read_timeout=10),
    )
    try:
        answer = sts.assume_role(
            RoleArn=keys.role,
            RoleSessionName=session_name(principal),
            DurationSeconds=seconds,
            Policy=json.dumps(policy, separators=(",", ":")),
        )
    except ClientError as error:
        raise _refused(bucket, error) from error
    except BotoCoreError as error:
        raise errors.StoreDown(
            f"The object store of bucket {bucket.name!r} at {bucket.endpoint or 'AWS'} did not answer: {error}.",
            cure="Is it running, and can this computer reach it? Nothing was changed; try again then.",
        ) from error
    found: dict[str, Any] = answer["Credentials"]
    return found


def _refused(bucket: Bucket, error: ClientError) -> errors.AmasiaError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = error.response.get("Error", {}).get("Code", "") or str(status)
    where = f"the store of bucket {bucket.name!r} at {bucket.endpoint or 'AWS'}"
    if status >= 500:
        return errors.StoreDown(
            f"{where[0].upper()}{where[1:]} failed while lending credentials ({said}).",
            cure="Nothing was changed; try again.",
        )
    if status in {401, 403}:
        return errors.PermissionDenied(
            f"The broker's key may not lend credentials for {where} ({said}).",
            cure="Allow it sts:AssumeRole on the role of this bucket, with s3:GetObject and s3:PutObject in the role.",
        )
    return errors.PermissionDenied(
        f"{where[0].upper()}{where[1:]} has no security token service (AssumeRole: {said}), so no short-lived "
        "credentials can be lent.",
        cure="Use a store with AssumeRole (AWS, MinIO, Ceph, SeaweedFS), or a bucket of another kind.",
    )


def session_name(principal: str) -> str:
    """What a store calls whoever borrows: two to 64 of the characters that AWS allows."""
    name = re.sub(r"[^\w+=,.@-]", "-", principal)[:64]
    return name if len(name) > 1 else f"{name}@amasia"
