from datetime import timedelta

import pytest

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import (
    CommitDone,
    CommitRequest,
    Input,
    LeaseRequest,
    RepositoryRequest,
    RepositoryStatus,
)
from amasia.services import repositories


@pytest.fixture
def data(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    made = repositories.get(world.db, "lab", "data")
    repositories.made(world.db, made)
    return repositories.get(world.db, "lab", "data")


def snapshot(name, provenance=None, parent="", minutes=0):
    metadata = {"amasia": provenance.model_dump(mode="json")} if provenance else {}
    at = now() + timedelta(minutes=minutes)
    return {
        "branch": "main",
        "snapshot": name,
        "parent": parent,
        "message": f"made {name}",
        "at": at,
        "metadata": metadata,
    }


def test_a_repository_is_wished_first_and_nothing_is_lent_before_it_is_there(world):
    made = repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    assert made.status is RepositoryStatus.requested
    with pytest.raises(errors.Conflict, match="is requested"):
        repositories.lend(world.db, world.ada, "lab", "data", LeaseRequest())


def test_a_name_is_taken_once(world, data):
    with pytest.raises(errors.Conflict, match="lab/data already"):
        repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))


def test_provenance_is_the_control_planes_word(world, data):
    request = CommitRequest(message="m", inputs=(Input(repository="lab/x", snapshot="S"),), code_version="abc")
    found = repositories.begin_commit(world.db, world.bo, "lab", "data", request)
    assert (found.user, found.code_version, str(found.inputs[0])) == ("bo", "abc", "lab/x@S")


def test_nobody_commits_at_the_cost_of_another_ones_cluster(world, data):
    cluster = world.cluster()
    request = CommitRequest(message="m", cluster_id=cluster.id)
    with pytest.raises(errors.NotFound, match="You have no cluster"):
        repositories.begin_commit(world.db, world.bo, "lab", "data", request)


def test_nobody_finishes_another_ones_commit(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    with pytest.raises(errors.NotFound):
        repositories.finish_commit(world.db, world.bo, "lab", "data", begun.commit_id, CommitDone(snapshot="S"))


def test_a_commit_whose_maker_died_is_found_in_the_history(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    repositories.index(world.db, data, [snapshot("S1", begun, "S0"), snapshot("S0")], now())
    found = repositories.commits(world.db, "lab", "data")
    assert [(commit.snapshot, commit.parent) for commit in found if commit.id == begun.commit_id] == [("S1", "S0")]


def test_a_commit_of_another_tool_is_in_the_index_too_and_once(world, data):
    for _ in range(2):
        repositories.index(world.db, data, [snapshot("S1"), snapshot("S0", minutes=-1)], now())
    assert [commit.snapshot for commit in repositories.commits(world.db, "lab", "data")] == ["S1", "S0"]


def test_what_was_committed_while_the_history_was_read_is_read_again(world, data):
    read_at = now()
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    repositories.index(world.db, data, [snapshot("S0")], read_at)
    assert [item.name for item in repositories.stale(world.db, now())] == ["data"]
    repositories.index(world.db, data, [snapshot("S1", begun), snapshot("S0")], now())
    assert repositories.stale(world.db, now() + timedelta(minutes=1)) == []


def test_a_commit_that_never_landed_is_given_up_and_costs_nothing(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    repositories.index(world.db, data, [snapshot("S0")], now() + timedelta(hours=3))
    assert begun.commit_id not in {commit.id for commit in repositories.commits(world.db, "lab", "data")}
    assert repositories.stale(world.db, now() + timedelta(minutes=1)) == []


def test_keys_of_a_bucket_are_neither_answered_nor_kept_in_clear(world):
    body = repositories.BucketRequest(
        name="lake", kind="s3", uri="s3://lake", access_key="AKIA-not-for-you", secret_key="very secret"
    )
    made = repositories.create_bucket(world.db, world.ada, "lab", body)
    assert "secret" not in made.model_dump_json()
    with world.db.read() as tx:
        stored = tx.exec_driver_sql("SELECT keys FROM buckets WHERE name = 'lake'").scalar()
    assert "AKIA" not in stored
    assert "very secret" not in stored


def test_a_long_history_is_read_page_by_page(world, data):
    at = now()
    snapshots = [snapshot(f"S{number}") | {"at": at} for number in range(7)]
    repositories.index(world.db, data, snapshots, at)
    found, after = [], ""
    while page := repositories.commits(world.db, "lab", "data", 3, after):
        found += [commit.snapshot for commit in page]
        after = page[-1].id
    assert sorted(found) == [f"S{number}" for number in range(7)]


def test_the_newest_commit_of_each_repository_is_found_at_once(world, data):
    for name in ("other", "empty"):
        repositories.create(world.db, world.ada, "lab", RepositoryRequest(name=name))
    other = repositories.get(world.db, "lab", "other")
    repositories.index(world.db, data, [snapshot("S2", minutes=2), snapshot("S1", minutes=1)], now())
    repositories.index(world.db, other, [snapshot("S3")], now())
    found = {name: commit.snapshot for name, commit in repositories.newest(world.db, "lab").items()}
    assert found == {"lab/data": "S2", "lab/other": "S3"}
    assert repositories.newest(world.db, "other") == {}


@pytest.mark.parametrize("ours", ["junk", ["junk"], None, {"commit_id": 7}])
def test_what_another_tool_wrote_as_ours_is_indexed_all_the_same(world, data, ours):
    repositories.index(world.db, data, [snapshot("S1") | {"metadata": {"amasia": ours}}], now())
    assert [commit.snapshot for commit in repositories.commits(world.db, "lab", "data")] == ["S1"]


def test_a_directory_is_for_operators_and_has_an_absolute_path(world):
    body = repositories.BucketRequest(name="disk", kind="directory", uri="/data/amasia")
    with pytest.raises(errors.PermissionDenied, match="operators"):
        repositories.create_bucket(world.db, world.bo, "lab", body)
    for wrong in ("", "data", "../etc", "file://x", "s3://x"):
        with pytest.raises(errors.InvalidRequest, match="absolute"):
            repositories.create_bucket(world.db, world.ada, "lab", body.model_copy(update={"uri": wrong}))
    assert repositories.create_bucket(world.db, world.ada, "lab", body).uri == "/data/amasia"


@pytest.mark.parametrize(
    ("kind", "uri"), [("gcs", "gs://lake/team"), ("azure", "az://ourlake"), ("azure", "az://ourlake/box/team")]
)
def test_what_the_control_plane_itself_may_in_other_clouds_is_for_operators_to_give(world, kind, uri):
    body = repositories.BucketRequest(name="lake", kind=kind, uri=uri)
    with pytest.raises(errors.PermissionDenied, match="operators"):
        repositories.create_bucket(world.db, world.bo, "lab", body)
    assert repositories.create_bucket(world.db, world.bo, "lab", body.model_copy(update={"secret_key": "k"})).uri == uri
    assert repositories.create_bucket(world.db, world.ada, "lab", body.model_copy(update={"name": "own"})).kind == kind


@pytest.mark.parametrize(
    ("kind", "uri"),
    [("gcs", "gs://x"), ("gcs", "gs://evil/') || true"), ("gcs", "s3://lake"), ("gcs", "gs://lake/../other"),
     ("azure", "az://evil.example.org"), ("azure", "az://Lake"), ("azure", "az://ourlake/a"),
     ("azure", "az://ourlake/box/../other"), ("azure", "az://ourlake/box?x=1"), ("azure", "")],
)  # fmt: skip
def test_an_address_that_is_no_bucket_of_its_cloud_is_refused(world, kind, uri):
    body = repositories.BucketRequest(name="lake", kind=kind, uri=uri, secret_key="k")
    with pytest.raises(errors.InvalidRequest, match="Write it as"):
        repositories.create_bucket(world.db, world.ada, "lab", body)


def test_a_snapshot_that_is_in_no_history_is_never_listed(world, data):
    begun = repositories.begin_commit(world.db, world.bo, "lab", "data", CommitRequest(message="m"))
    repositories.finish_commit(world.db, world.bo, "lab", "data", begun.commit_id, CommitDone(snapshot="FAKE"))
    repositories.index(world.db, data, [snapshot("S0")], now())
    assert [commit.snapshot for commit in repositories.commits(world.db, "lab", "data")] == ["S0"]


def test_a_forged_origin_is_nobodys_word(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    forged = begun.model_copy(update={"code_version": "not what was asked for"})
    repositories.index(world.db, data, [snapshot("S1", forged), snapshot("S0", minutes=-1)], now())
    assert [commit.provenance for commit in repositories.commits(world.db, "lab", "data")] == [None, None]


def test_one_origin_is_good_for_one_snapshot(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    repositories.index(world.db, data, [snapshot("S1", begun)], now())
    repositories.index(world.db, data, [snapshot("S2", begun, minutes=1), snapshot("S1", begun)], now())
    found = {commit.snapshot: commit.provenance for commit in repositories.commits(world.db, "lab", "data")}
    assert found["S1"].user == "ada"
    assert found["S2"] is None
