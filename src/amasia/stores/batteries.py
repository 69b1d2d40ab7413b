"""What a bucket must be able to do before anything is kept there: tried on the store itself, and told in words."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from filelock import FileLock

from amasia import errors
from amasia.models.base import new_id
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores.credentials import Keys, administer, lend

RACERS = 8
_REFUSED = {401, 403}


def run(bucket: Bucket, keys: Keys) -> list[str]:
    """Try a bucket. What is wrong with it, each as a sentence; nothing where it is good.

    Of each race of several writers exactly one may win, and lent credentials may open their own prefix and nothing
    else. What was written is deleted again.

    Raises
    ------
    StoreDown
        It did not answer, so nothing is known of it.
    PermissionDenied, InvalidRequest
        It lends no credentials, or is where it may not be.
    """
    if bucket.kind is BucketKind.directory:
        return list(_directory(Path(bucket.uri.removeprefix("file://"))))
    own, sibling = new_id("probe"), new_id("probe")
    workers = [administer(bucket, keys, one, "probe", bucket.workspace) for one in (own, sibling)]
    try:
        return [*_races(workers[0]), *_scopes(bucket, keys, own, workers)]
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = error.response.get("Error", {}).get("Code", "") or str(status)
        if status >= 500:
            raise errors.StoreDown(f"The store of bucket {bucket.name!r} failed ({said}).") from error
        return [f"The control plane's own rights do not reach for what it needs there ({said})."]
    except BotoCoreError as error:
        raise errors.StoreDown(f"The store of bucket {bucket.name!r} did not answer ({error}).") from error
    finally:
        for lease in workers:
            _clean(lease)


def _races(lease: Lease) -> Iterator[str]:
    """Whether one of many wins: without that, commits that were acknowledged get lost."""
    client, key = _client(lease), f"{lease.prefix}/race"
    won = _race(lambda number: client.put_object(
        Bucket=lease.bucket, Key=key, Body=str(number).encode(), IfNoneMatch="*"))  # fmt: skip
    if won != 1:
        yield f"Of {RACERS} that made the same object where there was none, {won} were told that they did."
    tag = client.head_object(Bucket=lease.bucket, Key=key)["ETag"]
    won = _race(lambda number: client.put_object(
        Bucket=lease.bucket, Key=key, Body=str(number).encode(), IfMatch=tag))  # fmt: skip
    if won != 1:
        yield f"Of {RACERS} that replaced the same version of an object, {won} were told that they did."


def _race(put: Callable[[int], Any]) -> int:
    with ThreadPoolExecutor(RACERS) as pool:
        return sum(pool.map(lambda number: _done(put, number), range(RACERS)))


def _done(call: Callable[..., Any], *values: Any) -> bool:
    """Whether the store did it. Other answers than a refusal are raised."""
    try:
        call(*values)
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status in {*_REFUSED, 409, 412}:
            return False
        raise
    return True


def _scopes(bucket: Bucket, keys: Keys, own: str, workers: list[Lease]) -> Iterator[str]:
    """Whether lent credentials are good for what they are lent for, and for nothing else."""
    mine, theirs = (f"{lease.prefix}/a" for lease in workers)
    for mode in Mode:
        for lease in workers:
            _client(lease).put_object(Bucket=lease.bucket, Key=f"{lease.prefix}/a", Body=b"a")
        lease = lend(bucket, keys, own, "probe", bucket.workspace, mode, "amasia")
        client, writes = _client(lease), mode is Mode.write
        get, put = partial(client.get_object, Bucket=lease.bucket), partial(client.put_object, Bucket=lease.bucket)
        tries: list[tuple[str, bool, Callable[[], Any]]] = [
            ("read its own objects", True, partial(get, Key=mine)),
            ("write its own objects", writes, partial(put, Key=mine, Body=b"b")),
            ("read other repositories", False, partial(get, Key=theirs)),
            ("write other repositories", False, partial(put, Key=theirs, Body=b"b")),
            ("list the bucket", False, partial(client.list_objects_v2, Bucket=lease.bucket)),
            ("delete", False, partial(client.delete_object, Bucket=lease.bucket, Key=mine)),
        ]
        for what, wanted, call in tries:
            if _done(call) != wanted:
                yield f"What is lent to {mode.value} {'cannot' if wanted else 'can'} {what}."


def _clean(lease: Lease) -> None:
    """What is left is a few bytes that nobody else may see."""
    client = _client(lease)
    for name in ("race", "a"):
        try:
            client.delete_object(Bucket=lease.bucket, Key=f"{lease.prefix}/{name}")
        except (ClientError, BotoCoreError):
            return


def _client(lease: Lease) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=lease.endpoint or None,
        region_name=lease.region,
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10, max_pool_connections=RACERS
        ),
    )


def _directory(path: Path) -> Iterator[str]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f"{new_id('probe')}.lock"
        with FileLock(probe, timeout=5):
            probe.write_text("a")
        probe.unlink(missing_ok=True)
    except OSError as error:
        yield f"The control plane cannot make, lock and remove files in {path} ({error.strerror or error})."
