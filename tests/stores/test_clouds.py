"""Buckets on Google Cloud Storage and Azure Blob Storage: what is kept there, and what a lease opens.

Google's is a server of ours that keeps to what Google's documentation says; Azure's is Azurite, Microsoft's own.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import numpy as np
import obstore
import pytest
import zarr

import amasia.stores.google as lender
from amasia import errors
from amasia.models.base import new_id, now
from amasia.models.repositories import Mode
from amasia.stores import batteries, cleanings, clients, objects, repositories
from amasia.stores.credentials import Keys, administer, forget, lend
from amasia.testing.azurite import ACCOUNT
from tests.stores.conftest import Place

REFUSED = (obstore.exceptions.BaseError, OSError)
WRITERS = 8
VALUES = np.random.default_rng(1).random(1000)


def names(store, prefix="") -> list[str]:
    return [one["path"] for page in obstore.list(store, prefix) for one in page]


def written(source, values=VALUES, chunk=100) -> str:
    """A repository with one array; its chunks are too large to be kept within manifests."""
    repositories.create(source.as_mode("administer"))
    session = repositories.open(source).writable_session("main")
    zarr.create_group(session.store).create_array("a", data=values, chunks=(chunk,))
    return repositories.commit(source, session, "first", {})


def test_a_bucket_passes_what_is_tried_at_registration_and_nothing_is_left(elsewhere: Place) -> None:
    probed = elsewhere.bucket.model_copy(update={"workspace": "probed"})
    assert batteries.run(probed, elsewhere.keys) == []


def test_what_is_committed_is_read_again_and_a_reader_commits_nothing(elsewhere: Place) -> None:
    source = elsewhere.lending()
    first = written(source)
    reader = source.as_mode("read")
    opened = repositories.open(reader)
    assert zarr.open_group(opened.readonly_session("main").store, mode="r")["a"][-1] == VALUES[-1]
    assert repositories.history(opened)[0].id == first
    session = opened.writable_session("main")
    zarr.open_group(session.store).attrs["mine"] = True
    with pytest.raises(errors.PermissionDenied, match="refused this to the credentials for demo/reanalysis"):
        repositories.commit(reader, session, "not mine", {})


def test_no_commit_of_many_writers_at_once_is_lost(elsewhere: Place) -> None:
    source = elsewhere.lending()
    written(source, np.zeros(WRITERS), chunk=1)

    def write(number: int) -> str:
        session = repositories.open(source).writable_session("main")
        zarr.open_group(session.store)["a"][number] = number + 1
        return repositories.commit(source, session, f"writer {number}", {})

    with ThreadPoolExecutor(WRITERS) as pool:
        made = set(pool.map(write, range(WRITERS)))
    opened = repositories.open(source)
    assert made <= {one.id for one in repositories.history(opened)}
    found = zarr.open_group(opened.readonly_session("main").store, mode="r")["a"][:]
    assert found.tolist() == list(range(1, WRITERS + 1))


@pytest.mark.parametrize("mode", list(Mode))
def test_a_lease_opens_its_own_repository_and_no_sibling(elsewhere: Place, mode: Mode) -> None:
    ids = [new_id("re"), new_id("re")]
    ids.append(f"{ids[0]}0")  # begins alike
    for one in ids:
        owner = administer(elsewhere.bucket, elsewhere.keys, one, "reanalysis", "demo")
        obstore.put(clients.open(owner), f"{owner.prefix}/a", one.encode())
    lease = lend(elsewhere.bucket, elsewhere.keys, ids[0], "reanalysis", "demo", mode, "anna")
    mine = clients.open(lease, tries=1)
    assert obstore.get(mine, f"{lease.prefix}/a").bytes() == ids[0].encode()
    for one in (*ids[1:], ""):
        key = f"{lease.prefix.removesuffix(ids[0])}{one}/a".replace("//", "/")
        own = lease.bucket == ids[0]  # a container for each: the others' are tried, with this one's key
        other = clients.open(lease.model_copy(update={"bucket": one or "other"}) if own else lease, tries=1)
        for call in (
            partial(obstore.get, other, key),
            partial(obstore.put, other, key, b"trespass", use_multipart=False),
            partial(obstore.put, other, key, b"trespass", mode="create", use_multipart=False),
            partial(obstore.delete, other, key),
            partial(names, other),
        ):
            with pytest.raises(REFUSED):
                call()
    there = f"{lease.prefix}/"
    for prefix in ("", "team", "team/demo", f"{lease.prefix}0/", there):
        if mode is Mode.write and (prefix == there or lease.bucket == ids[0]):
            assert set(names(mine, prefix)) <= {f"{there}a"}
            continue
        with pytest.raises(REFUSED):
            names(mine, prefix)
    assert mode is Mode.read or names(mine, there) == [f"{there}a"]
    for one in ids:
        owner = administer(elsewhere.bucket, elsewhere.keys, one, "reanalysis", "demo")
        assert obstore.get(clients.open(owner), f"{owner.prefix}/a").bytes() == one.encode()


def test_a_read_lease_changes_nothing_and_a_write_lease_what_is_its_own(elsewhere: Place) -> None:
    source = elsewhere.lending()
    written(source)
    reader, writer = source.as_mode("read")(), source()
    key = f"{reader.prefix}/repo"
    before = obstore.get(clients.open(reader), key).bytes()
    for call in (
        lambda store: obstore.put(store, key, b"x", use_multipart=False),
        lambda store: obstore.put(store, f"{reader.prefix}/new", b"x", use_multipart=False),
        lambda store: obstore.put(store, f"{reader.prefix}/new", bytes(12 << 20)),
        lambda store: obstore.copy(store, key, f"{reader.prefix}/new"),
        lambda store: obstore.delete(store, key),
    ):
        with pytest.raises(REFUSED):
            call(clients.open(reader, tries=1))
    assert obstore.get(clients.open(reader), key).bytes() == before
    obstore.put(clients.open(writer), f"{writer.prefix}/new", b"x", use_multipart=False)
    assert obstore.get(clients.open(reader), f"{reader.prefix}/new").bytes() == b"x"


def test_a_lease_lasts_an_hour_at_most_and_shows_no_secret(elsewhere: Place) -> None:
    lease = lend(elsewhere.bucket, elsewhere.keys, new_id("re"), "reanalysis", "demo", Mode.read, "anna", 999_999)
    assert lease.expires_at is not None
    assert timedelta(minutes=59) < lease.expires_at - now() <= timedelta(seconds=3601)
    assert lease.session_token
    assert lease.session_token not in repr(lease)
    short = lend(elsewhere.bucket, elsewhere.keys, new_id("re"), "reanalysis", "demo", Mode.read, "anna", 900)
    assert short.expires_at is not None
    assert short.expires_at - now() <= timedelta(seconds=900)


def test_objects_are_counted_and_all_of_a_deleted_repository_is_removed(elsewhere: Place) -> None:
    source = elsewhere.lending()
    written(source)
    lease = source.as_mode("administer")()
    found = list(objects.find(lease))
    assert "repo" in {one.key for one in found}
    assert all(one.nbytes >= 0 and abs(one.at - now()) < timedelta(minutes=5) for one in found)
    chunks = list(objects.find(lease, "chunks/"))
    assert 0 < len(chunks) < len(found)
    count, nbytes, failed = objects.remove_all(lease)
    assert (count, nbytes, failed) == (len(found), sum(one.nbytes for one in found), 0)
    assert list(objects.find(lease)) == []
    forget(elsewhere.bucket, elsewhere.keys, source.repository_id)
    forget(elsewhere.bucket, elsewhere.keys, source.repository_id)


def test_what_nothing_needs_is_collected(elsewhere: Place) -> None:
    source = elsewhere.lending()
    written(source)
    session = repositories.open(source).writable_session("main")
    zarr.open_group(session.store)["a"][:] = VALUES[::-1]
    repositories.commit(source, session, "second", {})
    administrator = source.as_mode("administer")
    opened, later = repositories.open(administrator), now() + timedelta(days=3)
    assert len(cleanings.expire(administrator, opened, timedelta(hours=1), at=later).snapshots) == 1
    before = len(list(objects.find(administrator(), "chunks/")))
    collected = cleanings.collect(administrator, opened, at=later + timedelta(days=3))
    assert collected is not None
    assert collected.failed == 0
    assert collected.overwritten > 0
    assert (before, len(list(objects.find(administrator(), "chunks/")))) == (20, 10)
    last = repositories.open(source).readonly_session("main")
    assert (zarr.open_group(last.store, mode="r")["a"][:] == VALUES[::-1]).all()


def test_credentials_renew_themselves_in_one_open_repository(elsewhere: Place) -> None:
    source = elsewhere.lending()
    written(source)
    short = type(source)(source.bucket, source.keys, source.repository_id, "write", seconds_left=2)
    session = repositories.open(short).writable_session("main")
    end = now() + timedelta(seconds=4)
    group, number = zarr.open_group(session.store), 0
    while now() < end:
        group["a"][number : number + 100] = number
        number = (number + 100) % 1000
    assert repositories.commit(short, session, "after two ends", {})


def test_a_dead_store_lends_nothing_and_says_so(elsewhere: Place) -> None:
    dead = elsewhere.bucket.model_copy(update={"endpoint": f"http://127.0.0.1:9/{ACCOUNT}"})
    keys = elsewhere.keys
    if dead.kind == "gcs":
        keys = Keys(secret_key=json.dumps(json.loads(keys.secret_key) | {"token_uri": f"{dead.endpoint}/token"}))
    with pytest.raises(errors.StoreDown, match="'main'"):
        administer(dead, keys, new_id("re"), "reanalysis", "demo")


def test_a_key_that_is_none_is_told_without_showing_it(elsewhere: Place) -> None:
    with pytest.raises(errors.InvalidRequest, match="'main' is no") as caught:
        administer(elsewhere.bucket, Keys(secret_key="not base64 !"), new_id("re"), "reanalysis", "demo")
    assert "not base64" not in str(caught.value)


def test_what_is_wrong_with_a_bucket_is_found_at_registration(at_google: Place, google, monkeypatch) -> None:
    monkeypatch.setattr(google, "conditional", False)
    assert len(batteries.run(at_google.bucket, at_google.keys)) == 2
    nowhere = at_google.bucket.model_copy(update={"uri": "gs://nowhere"})
    assert batteries.run(nowhere, at_google.keys) == [f"There is no gs://nowhere at {google.endpoint}."]


def test_a_boundary_that_is_too_wide_is_found_at_registration(at_google: Place, monkeypatch) -> None:
    boundary = lender._boundary
    monkeypatch.setattr(
        lender, "_boundary", lambda name, prefix, **how: boundary(name, prefix.rpartition("/")[0], **how)
    )
    found = " ".join(batteries.run(at_google.bucket, at_google.keys))
    assert "lent to read can read other repositories" in found
    assert "lent to write can write other repositories" in found


def test_a_part_of_a_flat_container_is_not_lent(at_azure: Place) -> None:
    """Azurite knows no hierarchical namespace, as most accounts do not."""
    one = administer(at_azure.bucket, at_azure.keys, new_id("re"), "reanalysis", "demo")
    shared = at_azure.bucket.model_copy(update={"uri": f"az://{ACCOUNT}/{one.bucket}/team"})
    found = " ".join(batteries.run(shared, at_azure.keys))
    assert "lent to read cannot read its own objects" in found
    assert "hierarchical namespace" in found


def test_a_key_that_would_send_us_elsewhere_is_refused(at_google: Place) -> None:
    key = json.loads(at_google.keys.secret_key)
    for wrong in ({"token_uri": "http://169.254.169.254/token"}, {"type": "external_account"}, {"type": None}):
        with pytest.raises(errors.InvalidRequest, match="no service account's key"):
            administer(at_google.bucket, Keys(secret_key=json.dumps(key | wrong)), "re-1", "reanalysis", "demo")


def test_a_missing_library_is_named_with_how_to_install_it(elsewhere: Place, monkeypatch) -> None:
    module, extra = {"gcs": ("google", "gcp"), "azure": ("azure", "azure")}[elsewhere.bucket.kind]
    monkeypatch.setitem(sys.modules, f"amasia.stores.{module}", None)
    with pytest.raises(errors.Unavailable, match="not installed") as caught:
        administer(elsewhere.bucket, elsewhere.keys, "re-1", "reanalysis", "demo")
    assert f"pip install 'amasia[server,{extra}]'" in caught.value.cure
