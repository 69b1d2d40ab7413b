"""Users and buckets: what an operator and an admin set up before anybody works."""

import pytest

from amasia import errors
from amasia.client import buckets, users


def test_an_operator_makes_accounts_that_can_sign_in(control_plane):
    users.create("bo", "long enough", connection=control_plane.link)
    assert [one.name for one in users.find(connection=control_plane.link)] == ["ada", "bo"]


def test_a_short_password_is_refused_before_anything_is_sent(control_plane):
    with pytest.raises(errors.InvalidRequest, match="at least 8"):
        users.create("bo", "short", connection=control_plane.link)


def test_whoever_is_no_operator_makes_no_account(control_plane):
    with pytest.raises(errors.PermissionDenied, match="operators"):
        users.create("cy", "long enough", connection=control_plane.another("bo"))


def test_a_buckets_kind_is_told_by_its_address_and_its_secret_is_never_answered(control_plane):
    link = control_plane.link
    lake = buckets.create("lake", "s3://lake/x", "demo", access_key="AK", secret_key="not for you", connection=link)
    shelf = buckets.create("shelf", "/data/amasia", "demo", connection=link)
    assert (lake.kind, shelf.kind) == ("s3", "directory")
    other = [buckets.create(f"lake-{uri[:2]}", uri, "demo", secret_key="x", connection=link).kind
             for uri in ("gs://lake/x", "az://ourlake")]  # fmt: skip
    assert other == ["gcs", "azure"]
    with pytest.raises(errors.InvalidRequest, match="no kind of bucket"):
        buckets.create("ftp", "ftp://lake", "demo", connection=link)
    assert [one.name for one in buckets.find("demo", connection=link)] == [
        "embedded",
        "lake",
        "shelf",
        "lake-gs",
        "lake-az",
    ]
    assert "not for you" not in lake.model_dump_json()
