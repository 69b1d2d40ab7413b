"""What a lease opens, and what it does not."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.models.revocations import Revocation
from amasia.stores import repositories
from amasia.stores.credentials import Keys, administer, lend
from amasia.stores.embedded import EmbeddedStore


def client(lease: Lease) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=lease.endpoint,
        region_name=lease.region,
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
    )


def refused(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "403"}
    return False


def filled(bucket: Bucket, keys: Keys, *ids: str) -> None:
    for id in ids:
        lease = administer(bucket, keys, id, "reanalysis", "demo")
        client(lease).put_object(Bucket="amasia", Key=f"{lease.prefix}/a", Body=b"1")


@pytest.mark.parametrize("mode", [Mode.read, Mode.write])
def test_a_lease_opens_its_own_repository_and_no_sibling(store: EmbeddedStore, bucket: Bucket, mode: Mode) -> None:
    filled(bucket, store.keys, "re-1", "re-10", "re-2")
    lease = lend(bucket, store.keys, "re-1", "reanalysis", "demo", mode, "anna")
    mine = client(lease)
    assert mine.get_object(Bucket="amasia", Key="demo/re-1/a")["Body"].read() == b"1"
    for key in ("demo/re-10/a", "demo/re-2/a", "demo/a", "other/re-1/a", "a"):
        assert refused(mine.get_object, Bucket="amasia", Key=key), key
        assert refused(mine.put_object, Bucket="amasia", Key=key, Body=b"2"), key
        assert refused(mine.delete_object, Bucket="amasia", Key=key), key
    for prefix in ("demo/re-1", "demo/re-10/", "demo/", "", "demo/re-2/"):
        assert refused(mine.list_objects_v2, Bucket="amasia", Prefix=prefix), prefix


def test_a_read_lease_changes_nothing(store: EmbeddedStore, bucket: Bucket) -> None:
    filled(bucket, store.keys, "re-3")
    mine = client(lend(bucket, store.keys, "re-3", "reanalysis", "demo", Mode.read, "anna"))
    assert refused(mine.put_object, Bucket="amasia", Key="demo/re-3/a", Body=b"2")
    assert refused(mine.delete_object, Bucket="amasia", Key="demo/re-3/a")
    assert refused(mine.create_multipart_upload, Bucket="amasia", Key="demo/re-3/b")
    assert refused(
        mine.copy_object, Bucket="amasia", Key="demo/re-3/b", CopySource={"Bucket": "amasia", "Key": "demo/re-3/a"}
    )
    assert mine.get_object(Bucket="amasia", Key="demo/re-3/a")["Body"].read() == b"1"


def test_a_write_lease_lists_what_is_its_own_and_a_read_lease_nothing(store: EmbeddedStore, bucket: Bucket) -> None:
    filled(bucket, store.keys, "re-8", "re-80")
    own, above = ({"Bucket": "amasia", "Prefix": prefix} for prefix in ("demo/re-8/", "demo/re-8/../re-80/"))
    writer, reader = (
        client(lend(bucket, store.keys, "re-8", "reanalysis", "demo", mode, "anna")) for mode in (Mode.write, Mode.read)
    )
    assert [one["Key"] for one in writer.list_objects_v2(**own, Delimiter="/")["Contents"]] == ["demo/re-8/a"]
    assert "Contents" not in writer.list_objects_v2(**above)
    assert refused(reader.list_objects_v2, **own)
    assert refused(reader.list_objects_v2, **above)


def test_a_write_lease_writes_and_never_deletes(store: EmbeddedStore, bucket: Bucket) -> None:
    filled(bucket, store.keys, "re-4")
    mine = client(lend(bucket, store.keys, "re-4", "reanalysis", "demo", Mode.write, "anna"))
    mine.put_object(Bucket="amasia", Key="demo/re-4/b", Body=b"2")
    assert refused(mine.delete_object, Bucket="amasia", Key="demo/re-4/b")
    assert refused(mine.put_bucket_versioning, Bucket="amasia", VersioningConfiguration={"Status": "Suspended"})
    assert refused(mine.list_object_versions, Bucket="amasia", Prefix="demo/re-4/")


def test_the_control_plane_lists_and_deletes_only_the_one_repository(store: EmbeddedStore, bucket: Bucket) -> None:
    filled(bucket, store.keys, "re-5", "re-50")
    mine = client(administer(bucket, store.keys, "re-5", "reanalysis", "demo"))
    assert [item["Key"] for item in mine.list_objects_v2(Bucket="amasia", Prefix="demo/re-5/")["Contents"]] == [
        "demo/re-5/a"
    ]
    mine.delete_object(Bucket="amasia", Key="demo/re-5/a")
    assert refused(mine.delete_object, Bucket="amasia", Key="demo/re-50/a")
    assert refused(mine.list_objects_v2, Bucket="amasia", Prefix="demo/re-50/")


def test_the_brokers_key_itself_reads_and_writes_nothing(store: EmbeddedStore, bucket: Bucket) -> None:
    filled(bucket, store.keys, "re-6")
    place = Lease(
        repository="reanalysis",
        workspace="demo",
        mode=Mode.write,
        kind=BucketKind.embedded,
        bucket="amasia",
        prefix="demo/re-6",
        endpoint=store.endpoint,
        access_key=store.keys.access_key,
        secret_key=store.keys.secret_key,
    )
    broker = boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name="us-east-1",
        aws_access_key_id=place.access_key,
        aws_secret_access_key=place.secret_key,
    )
    assert refused(broker.get_object, Bucket="amasia", Key="demo/re-6/a")
    assert refused(broker.put_object, Bucket="amasia", Key="demo/re-6/a", Body=b"2")
    assert refused(broker.list_objects_v2, Bucket="amasia")


def test_a_lease_lasts_an_hour_at_most(store: EmbeddedStore, bucket: Bucket) -> None:
    lease = lend(bucket, store.keys, "re-7", "reanalysis", "demo", Mode.read, "anna", seconds=999_999)
    assert lease.expires_at is not None
    assert timedelta(minutes=59) < lease.expires_at - now() <= timedelta(seconds=3605)
    assert lease.prefix == "demo/re-7"
    assert lease.secret_key not in repr(lease)


def test_a_lease_of_a_bucket_prefix_stays_below_it(store: EmbeddedStore, bucket: Bucket) -> None:
    below = bucket.model_copy(update={"uri": "s3://amasia/team/x/"})
    lease = lend(below, store.keys, "re-8", "reanalysis", "demo", Mode.write, "anna")
    assert (lease.bucket, lease.prefix) == ("amasia", "team/x/demo/re-8")
    client(lease).put_object(Bucket="amasia", Key="team/x/demo/re-8/a", Body=b"1")
    assert refused(client(lease).put_object, Bucket="amasia", Key="demo/re-8/a", Body=b"1")


def test_a_wrong_broker_key_is_refused_with_a_cure(bucket: Bucket) -> None:
    with pytest.raises(errors.PermissionDenied, match="may not lend") as caught:
        lend(bucket, Keys("NOBODY", "wrong"), "re-1", "reanalysis", "demo", Mode.read, "anna")
    assert "sts:AssumeRole" in caught.value.cure


def test_a_dead_store_lends_nothing_and_says_so(bucket: Bucket) -> None:
    dead = bucket.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(errors.StoreDown, match=r"'main' at http://127\.0\.0\.1:9"):
        lend(dead, Keys("A", "b"), "re-1", "reanalysis", "demo", Mode.read, "anna")


def test_a_directory_lends_its_path_and_no_key(on_disk: Any) -> None:
    lease = on_disk()
    assert (lease.kind, lease.access_key, lease.expires_at) == (BucketKind.directory, "", None)
    assert repositories.open(on_disk) is not None


def test_what_was_lent_under_a_name_is_refused_within_seconds_and_nothing_else(
    store: EmbeddedStore, bucket: Bucket
) -> None:
    def lent(principal: str, workspace: str = "demo") -> Any:
        return client(lend(bucket, store.keys, "re-9", "data", workspace, Mode.write, principal))

    gone, elsewhere, again, other = lent("eve"), lent("eve", "other"), lent("1f@eve"), lent("evelyn")
    lost = Revocation(id="rv-1", workspace="demo", user="eve", session="eve", at=now())
    store.refuse([])
    try:
        store.refuse([lost])
        end = time.monotonic() + 10
        while not refused(gone.put_object, Bucket="amasia", Key="demo/re-9/a", Body=b"1"):
            assert time.monotonic() < end, "it was not refused within 10 s"
        assert refused(gone.get_object, Bucket="amasia", Key="demo/re-9/a")
        assert refused(gone.list_objects_v2, Bucket="amasia", Prefix="demo/re-9/")
        for good, workspace in ((elsewhere, "other"), (again, "demo"), (other, "demo")):
            good.put_object(Bucket="amasia", Key=f"{workspace}/re-9/a", Body=b"1")
            good.list_objects_v2(Bucket="amasia", Prefix=f"{workspace}/re-9/")
    finally:
        store.refuse([])
