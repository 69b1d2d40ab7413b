"""The bare objects of a repository: counted, and removed. Only the server imports this."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any

import boto3
import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors
from amasia.models.repositories import BucketKind, Lease
from amasia.stores import clients
from amasia.stores.addresses import OTHER_CLOUDS, where

TOGETHER = 1000
"""Objects of one request to delete."""


@dataclass(frozen=True)
class Object:
    key: str
    """Below the repository's prefix."""
    nbytes: int
    at: datetime
    version: str = ""
    """Of an old copy, where the bucket keeps those."""


def find(lease: Lease, below: str = "") -> Iterator[Object]:
    """Every object of a repository, or those of one of its folders."""
    if lease.kind is BucketKind.directory:
        yield from _files(Path(lease.bucket) / lease.prefix, below)
        return
    if lease.kind in OTHER_CLOUDS:
        yield from _list(lease, below)
        return
    for page in _pages(lease, "list_objects_v2", below):
        for item in page.get("Contents", []):
            yield Object(_short(lease, item["Key"]), item["Size"], item["LastModified"].astimezone(UTC))


def total(lease: Lease, keys: Iterable[str]) -> int:
    """Bytes of some objects; nothing for those that are not there."""
    if lease.kind is BucketKind.directory:
        paths = [Path(lease.bucket) / lease.prefix / key for key in keys]
        return sum(path.stat().st_size for path in paths if path.is_file())
    store = _client(lease)
    return sum(_size(store, lease, key) for key in keys)


def old_copies(lease: Lease) -> Iterator[Object]:
    """What a bucket with versions still keeps of objects that were overwritten or deleted.

    Google's and Azure's own rules remove those, as the owner of the bucket set them (life cycle, soft delete).
    """
    if lease.kind is BucketKind.directory or lease.kind in OTHER_CLOUDS:
        return
    for page in _pages(lease, "list_object_versions", ""):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            marker = "Size" not in item
            # A marker goes when what it hides is gone; until then it is all that hides it.
            if not item.get("IsLatest") or marker:
                at = item["LastModified"].astimezone(UTC)
                yield Object(_short(lease, item["Key"]), item.get("Size", 0), at, item["VersionId"])


def remove(lease: Lease, found: Iterable[Object]) -> tuple[int, int, int]:
    """(objects, bytes, failures) of what was deleted."""
    if lease.kind is BucketKind.directory:
        return _unlink(Path(lease.bucket) / lease.prefix, found)
    if lease.kind in OTHER_CLOUDS:
        return _delete(lease, found)
    store, count, nbytes, failed = _client(lease), 0, 0, 0
    for group in batched(found, TOGETHER):
        names = [_name(lease, one) for one in group]
        try:
            answer = store.delete_objects(Bucket=lease.bucket, Delete={"Objects": names, "Quiet": True})
        except (ClientError, BotoCoreError) as error:
            raise _down(lease, error) from error
        refused = {item["Key"] for item in answer.get("Errors", [])}
        done = [one for one, name in zip(group, names, strict=True) if name["Key"] not in refused]
        count, nbytes, failed = count + len(done), nbytes + sum(one.nbytes for one in done), failed + len(refused)
    return count, nbytes, failed


def remove_all(lease: Lease) -> tuple[int, int, int]:
    """Everything of a repository that is gone, its old copies too."""
    done = remove(lease, find(lease))
    copies = remove(lease, old_copies(lease))
    if lease.kind is BucketKind.directory:
        shutil.rmtree(Path(lease.bucket) / lease.prefix, ignore_errors=True)
    return done[0] + copies[0], done[1] + copies[1], done[2] + copies[2]


def _size(store: Any, lease: Lease, key: str) -> int:
    try:
        return int(store.head_object(Bucket=lease.bucket, Key=f"{lease.prefix}/{key}")["ContentLength"])
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return 0
        raise _down(lease, error) from error


def _files(root: Path, below: str) -> Iterator[Object]:
    for path in (root / below).rglob("*"):
        try:
            told = path.stat()
        except FileNotFoundError:  # it went while we looked
            continue
        if path.is_file():
            yield Object(str(path.relative_to(root)), told.st_size, datetime.fromtimestamp(told.st_mtime, UTC))


def _unlink(root: Path, found: Iterable[Object]) -> tuple[int, int, int]:
    count = nbytes = failed = 0
    for one in found:
        try:
            (root / one.key).unlink(missing_ok=True)
        except OSError:
            failed += 1
            continue
        count, nbytes = count + 1, nbytes + one.nbytes
    return count, nbytes, failed


def _list(lease: Lease, below: str) -> Iterator[Object]:
    prefix = f"{lease.prefix}/{below}"
    try:
        for page in obstore.list(clients.open(lease), prefix):
            # A prefix is of whole names there: what only begins alike is not below it.
            yield from (Object(_short(lease, one["path"]), one["size"], one["last_modified"]) for one in page)
    except obstore.exceptions.BaseError as error:
        raise _down(lease, error) from error


def _delete(lease: Lease, found: Iterable[Object]) -> tuple[int, int, int]:
    store, count, nbytes, failed = clients.open(lease), 0, 0, 0
    for group in batched(found, TOGETHER):
        left: set[str] = set()
        try:
            obstore.delete(store, [f"{lease.prefix}/{one.key}" for one in group])
        except (obstore.exceptions.BaseError, OSError):  # it does not tell which
            left = {one.key for one in _list(lease, "")}
        gone = [one for one in group if one.key not in left]
        failed += len(group) - len(gone)
        count, nbytes = count + len(gone), nbytes + sum(one.nbytes for one in gone)
    return count, nbytes, failed


def _pages(lease: Lease, operation: str, below: str) -> Iterator[dict[str, Any]]:
    prefix = f"{lease.prefix}/{below}"
    try:
        yield from _client(lease).get_paginator(operation).paginate(Bucket=lease.bucket, Prefix=prefix)
    except (ClientError, BotoCoreError) as error:
        raise _down(lease, error) from error


def _client(lease: Lease) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=lease.endpoint or None,
        region_name=lease.region,
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
        config=Config(retries={"total_max_attempts": 3}, connect_timeout=3, read_timeout=60),
    )


def _name(lease: Lease, one: Object) -> dict[str, str]:
    key = {"Key": f"{lease.prefix}/{one.key}"}
    return key | {"VersionId": one.version} if one.version else key


def _short(lease: Lease, key: str) -> str:
    return key.removeprefix(f"{lease.prefix}/")


def _down(lease: Lease, error: Exception) -> errors.AmasiaError:
    return errors.StoreDown(
        f"The objects of {lease.workspace}/{lease.repository} at {where(lease)} could not be listed or "
        f"deleted ({error}).",
        cure="Does the store run, and may the broker list and delete there? It is tried again.",
    )
