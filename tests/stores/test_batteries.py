"""What is found out about a bucket before anything is kept there."""

import pytest

from amasia import errors
from amasia.models.repositories import Bucket, BucketKind
from amasia.stores import batteries, credentials, endpoints, objects
from amasia.stores.credentials import Keys


def test_the_embedded_store_passes_and_nothing_is_left(store, bucket):
    assert batteries.run(bucket.model_copy(update={"workspace": "probed"}), store.keys) == []
    lease = credentials.administer(bucket, store.keys, "", "probe", "probed").model_copy(update={"prefix": "probed"})
    assert list(objects.find(lease)) == []


def test_credentials_that_open_too_much_are_found(store, bucket, monkeypatch):
    wide = credentials._policy

    def whole_bucket(name, prefix, actions, listing):
        everything = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
        return wide(name, prefix.rpartition("/")[0], everything, listing or ("s3:ListBucket",))

    monkeypatch.setattr(credentials, "_policy", whole_bucket)
    found = " ".join(batteries.run(bucket, store.keys))
    for what in ("write its own", "read other", "list its own", "list other"):
        assert f"lent to read can {what}" in found
    for what in ("delete", "list other"):
        assert f"lent to write can {what}" in found


def test_a_store_that_lets_everybody_win_is_found(store, bucket, monkeypatch):
    monkeypatch.setattr(batteries, "_race", lambda put: [put(0) if number == 0 else None for number in range(8)] and 8)
    found = batteries.run(bucket, store.keys)
    assert len(found) == 2
    assert "8 were told that they did" in found[0]


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    bucket = Bucket(workspace="demo", name="disk", kind=BucketKind.directory, uri=str(tmp_path / "new"))
    assert batteries.run(bucket, Keys()) == []
    (tmp_path / "file").write_text("")
    wrong = bucket.model_copy(update={"uri": str(tmp_path / "file" / "below")})
    assert "cannot make, lock and remove" in batteries.run(wrong, Keys())[0]


def test_an_endpoint_is_looked_up_at_each_use(store, bucket):
    mine = bucket.model_copy(update={"kind": BucketKind.s3, "endpoint": "http://localhost:1"})
    with pytest.raises(errors.InvalidRequest, match="not public"):
        batteries.run(mine, store.keys)
    endpoints.check(mine.model_copy(update={"private_endpoint": True}))
    with pytest.raises(errors.StoreDown, match="no address"):
        endpoints.check(mine.model_copy(update={"endpoint": "https://nowhere.invalid"}))
