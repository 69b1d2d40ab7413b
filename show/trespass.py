"""Line 3: leaked credentials of one repository, tried against every operation that an S3 client knows.

Each operation is tried with the least that it needs, on the repository's own prefix, on a sibling's whose name begins
alike, on another workspace's, and on the bucket. What passes and what is there afterwards is looked at by the store's
own administrator.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import Shape

from amasia import ports
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores import credentials
from amasia.stores.embedded import EmbeddedStore
from show.lines import Line

OWN, SIBLING, STRANGER = "re-1", "re-10", "re-2"
READS = {"GetObject", "HeadObject"}
SAME_AS_GET = {"GetObjectTorrent", "GetObjectAnnotation"}
"""The store knows no such thing and takes it for GetObject: let pass where it gave the object itself."""
WRITES = {
    "PutObject", "PutObjectAnnotation", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy",
    "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts", "ListObjects", "ListObjectsV2",
}  # fmt: skip
"""What the right to put one object is made of, and to list what is there; each still has to be of the own prefix, and
to read from there. The store takes PutObjectAnnotation for PutObject."""
CALLED_ELSEWHERE = {"WriteGetObjectResponse", "CreateSession", "ListDirectoryBuckets"}
"""Of other services of AWS than its object store; their addresses are not the store's."""


def lines(base: Path) -> Iterator[Line]:
    with _store(base) as (store, bucket):
        admin = _administrator(store)
        before = _fill(store, bucket, admin)
        for mode in Mode:
            lease = credentials.lend(bucket, store.keys, OWN, "data", "lab", mode, "thief")
            yield _trespass(lease, mode, admin, before)
        yield _nobody(bucket, admin, before)


def _trespass(lease: Lease, mode: Mode, admin: Any, before: Mapping[str, str]) -> Line:
    client = _client(lease)
    passed, tried = attempts(client, lease.bucket)
    good = {f"{operation} own" for operation in (READS | WRITES if mode is Mode.write else READS)}
    wrong = sorted(passed - good)
    # Afterwards, since a writer may have changed what is its own.
    after = _contents(admin, lease.bucket)
    own = f"lab/{OWN}/"
    theirs = {key: digest for key, digest in after.items() if mode is Mode.read or not key.startswith(own)}
    was = {key: digest for key, digest in before.items() if mode is Mode.read or not key.startswith(own)}
    changed = sorted(key for key in theirs.keys() | was.keys() if theirs.get(key) != was.get(key))
    lost = sorted(key for key in before if key not in after)
    own_reads = {word.partition(" ")[0] for word in passed if word.endswith(" own")} >= READS
    return Line(
        3,
        f"a leaked {mode.value} credential",
        f"{len(tried)} tries of {len({one.partition(' ')[0] for one in tried})} operations, "
        f"{len(wrong)} trespasses, {len(changed)} objects changed, {len(lost)} lost",
        "only what is its own" + (" is read" if mode is Mode.read else " is read and put, and nothing deleted"),
        not wrong and not changed and not lost and own_reads,
        ", ".join([*wrong, *changed, *lost]) or f"passed: {', '.join(sorted(passed))}",
    )


def _nobody(bucket: Bucket, admin: Any, before: Mapping[str, str]) -> Line:
    """The same without any credential."""
    client = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name="us-east-1",
        config=Config(**_CONFIG, signature_version=UNSIGNED),
    )
    passed, tried = attempts(client, "amasia")
    return Line(
        3, "no credential at all", f"{len(tried)} tries, {len(passed)} passed", "nothing", not passed,
        ", ".join(sorted(passed)),
    )  # fmt: skip


def attempts(client: Any, bucket: str) -> tuple[set[str], list[str]]:
    """(what passed, what was tried), each as ``Operation where``. What deletes comes last."""
    passed, tried = set(), []
    names = client.meta.service_model.operation_names
    for operation in sorted(names, key=lambda name: ("Delete" in name, name)):
        if operation in CALLED_ELSEWHERE:
            continue
        shape = client.meta.service_model.operation_model(operation).input_shape
        for where, key in _places(shape):
            tried.append(f"{operation} {where}")
            if _passes(client, operation, _parameters(shape, bucket, key)):
                passed.add(f"{operation} {where}")
    for source in (SIBLING, STRANGER):
        # Into the own prefix, from another's: a write that would be a read.
        tried.append(f"CopyObject from-{source}")
        stolen = {
            "Bucket": bucket,
            "Key": f"lab/{OWN}/stolen",
            "CopySource": {"Bucket": bucket, "Key": f"lab/{source}/a"},
        }
        if _passes(client, "CopyObject", stolen):
            passed.add(f"CopyObject from-{source}")
    return passed, tried


def _places(shape: Shape | None) -> Iterator[tuple[str, str]]:
    members = shape.members if shape is not None else {}
    if not members.keys() & {"Key", "Prefix", "Delete"}:
        yield "bucket", f"lab/{OWN}/a"
        return
    yield "own", f"lab/{OWN}/a"
    yield "sibling", f"lab/{SIBLING}/a"
    yield "stranger", f"other/{STRANGER}/a"
    yield "root", "a"
    yield "dots", f"lab/{OWN}/../{SIBLING}/a"


def _parameters(shape: Shape | None, bucket: str, key: str) -> dict[str, Any]:
    """The least that an operation takes, and what says where."""
    if shape is None:
        return {}
    wanted = {name: member for name, member in shape.members.items() if name in shape.required_members}
    found = {name: _value(name, member, bucket, key) for name, member in wanted.items()}
    if "Prefix" in shape.members:
        found["Prefix"] = key.removesuffix("a")
    return found


def _value(name: str, shape: Shape, bucket: str, key: str) -> Any:
    known = {
        "Bucket": bucket, "Key": key, "CopySource": {"Bucket": bucket, "Key": key}, "Policy": '{"Statement": []}',
        "RenameSource": f"/{bucket}/{key}", "UploadId": "1", "ExpressionType": "SQL", "Expression": "select * from s",
    }  # fmt: skip
    if name in known:
        return known[name]
    match shape.type_name:
        case "structure":
            needed = shape.required_members or list(shape.members)[:1]
            return {one: _value(one, shape.members[one], bucket, key) for one in needed}
        case "list":
            return [_value("", shape.member, bucket, key)]
        case "map":
            return {"a": "b"}
        case "integer" | "long":
            return 1
        case "boolean":
            return True
        case "timestamp":
            return datetime.now(UTC)
        case "blob":
            return b"trespass"
    return shape.enum[0] if getattr(shape, "enum", None) else "trespass"


def _passes(client: Any, operation: str, parameters: dict[str, Any]) -> bool:
    """Whether the store did it, or told anything that GetObject would not."""
    method = next(name for name, one in client.meta.method_to_api_mapping.items() if one == operation)
    try:
        answer = getattr(client, method)(**parameters)
        if operation in SAME_AS_GET:
            found = answer.get("Body") or answer["AnnotationPayload"]
            return bool(found.read() != parameters["Key"].encode())
    except (ClientError, BotoCoreError):
        return False
    if operation in {"ListObjects", "ListObjectsV2"}:  # of a prefix that nothing has, nothing is told
        return bool(answer.get("Contents") or answer.get("CommonPrefixes"))
    if operation == "ListBuckets":
        return bool(answer.get("Buckets"))
    if operation == "DeleteObjects":  # says what became of each in an answer that is always good
        return bool(answer.get("Deleted")) or not answer.get("Errors")
    return True


_CONFIG: dict[str, Any] = {
    "retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 20, "s3": {"addressing_style": "path"},
}  # fmt: skip


def _client(lease: Lease) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=lease.endpoint,
        region_name=lease.region,
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
        config=Config(**_CONFIG),
    )


def _administrator(store: EmbeddedStore) -> Any:
    """Who sees everything: rights of the broker's that no lease has."""
    whole = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*", "arn:aws:s3:::amasia/*"]}
    bucket = Bucket(workspace="lab", name="main", kind=BucketKind.embedded, uri="s3://amasia", endpoint=store.endpoint)
    given = credentials.assume(
        bucket, store.keys, {"Version": "2012-10-17", "Statement": [whole]}, "administrator", 3600
    )
    return _client(
        Lease(
            repository="all", workspace="lab", mode=Mode.write, kind=BucketKind.embedded, bucket="amasia", prefix="",
            endpoint=store.endpoint, access_key=given["AccessKeyId"], secret_key=given["SecretAccessKey"],
            session_token=given["SessionToken"],
        )
    )  # fmt: skip


def _fill(store: EmbeddedStore, bucket: Bucket, admin: Any) -> dict[str, str]:
    for key in (f"lab/{OWN}/a", f"lab/{SIBLING}/a", f"lab/{STRANGER}/a", f"other/{STRANGER}/a", "a"):
        admin.put_object(Bucket="amasia", Key=key, Body=key.encode())
    return _contents(admin, "amasia")


_SETTINGS = (
    "get_bucket_versioning", "get_bucket_policy", "get_bucket_cors", "get_bucket_lifecycle_configuration",
    "get_bucket_tagging", "get_bucket_acl", "get_object_lock_configuration",
)  # fmt: skip


def _contents(admin: Any, bucket: str) -> dict[str, str]:
    pages = admin.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    found = {key: hashlib.sha256(admin.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() for key in keys}
    for setting in (
        "get_bucket_versioning",
        "get_bucket_policy",
        "get_bucket_cors",
        "get_bucket_lifecycle_configuration",
    ):
        try:
            answer = getattr(admin, setting)(Bucket=bucket)
            found[setting] = repr({key: value for key, value in answer.items() if key != "ResponseMetadata"})
        except ClientError as error:
            found[setting] = error.response["Error"]["Code"]
    found["buckets"] = repr(sorted(one["Name"] for one in admin.list_buckets().get("Buckets", ())))
    return found


@contextmanager
def _store(base: Path) -> Iterator[tuple[EmbeddedStore, Bucket]]:
    base.mkdir(parents=True, exist_ok=True)
    store = EmbeddedStore(base / "store", ports.free())
    store.start()
    try:
        yield (
            store,
            Bucket(
                workspace="lab",
                name="main",
                kind=BucketKind.embedded,
                uri=f"s3://{store.bucket}",
                endpoint=store.endpoint,
            ),
        )
    finally:
        store.stop()
