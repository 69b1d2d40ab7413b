"""Where the master key comes from, and how one place is left for another."""

import resource
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

from amasia import errors
from amasia.database.engine import Database
from amasia.database.keys import wrapped
from amasia.database.masters import Local, Masters, open_masters
from amasia.models.users import Principal, Scope
from amasia.reconcilers import keys as reconciler
from amasia.services import keys
from amasia.settings import ServerSettings

ADA = Principal(user="ada", operator=True, scope=Scope.everything, token_id="")


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The database as it is opened with these variables; migrated, and closed at the end."""
    made = []

    def open_(**variables):
        for name in ("AMASIA_KEYS", "AMASIA_KEY_FILE", "AMASIA_KMS", "AMASIA_DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"AMASIA_{name.upper()}", str(value))
        settings = ServerSettings(home=tmp_path)
        made.append(Database(settings.sqlalchemy_url, open_masters(settings)))
        made[-1].migrate()
        return made[-1]

    yield open_
    for db in made:
        db.close()


@pytest.fixture
def kms(monkeypatch):
    """AWS KMS on this computer; the ARN of a key in it."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    yield boto3.client("kms", region_name="eu-central-1").create_key()["KeyMetadata"]["Arn"]
    server.stop()


def key():
    return Fernet.generate_key().decode()


def seal(db, text):
    with db.write() as tx:
        return db.seal(tx, text)


def turn(db):
    keys.rotate(db, ADA)
    reconciler.reconcile(db)
    return keys.get(db)


def test_a_file_is_made_in_the_home_for_its_owners_eyes(opened, tmp_path):
    db = opened()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert opened().unseal(seal(db, "x" * 9)) == "x" * 9
    assert keys.get(db).master == "file"


def test_keys_of_the_environment_rotate_in_three_steps_and_no_file_is_made(opened, tmp_path):
    old, new = key(), key()
    seal(opened(keys=old), "text")
    db = opened(keys=f"{new} {old}")
    found = turn(db)
    assert (found.turned, found.master) == (True, "environment")
    again = opened(keys=new)
    assert again.unseal(seal(again, "text")) == "text"
    assert not (tmp_path / "key").exists()
    with pytest.raises(errors.Unavailable, match="sealed by the master key"):
        seal(opened(keys=old), "text")


def test_a_file_is_left_for_the_environment_by_one_rotation(opened, tmp_path):
    opened()
    new = key()
    old = (tmp_path / "key").read_text().strip()
    assert turn(opened(keys=f"{new} {old}")).turned
    (tmp_path / "key").unlink()
    seal(opened(keys=new), "text")


def test_aws_kms_wraps_what_seals_and_never_sees_a_secret(opened, kms, tmp_path):
    db = opened(kms=f"aws:{kms}")
    sealed = seal(db, "correct horse")
    with db.read() as tx:
        rows = wrapped(tx).values()
    assert all(one.startswith("aws:") for one in rows)
    again = opened(kms=f"aws:{kms}")
    assert again.unseal(sealed) == "correct horse"
    found = turn(again)
    assert (found.turned, found.master) == (True, "aws")
    assert not (tmp_path / "key").exists()


def test_a_file_is_left_for_aws_kms_by_one_rotation(opened, kms, tmp_path):
    seal(opened(), "text")
    db = opened(kms=f"aws:{kms}", key_file=tmp_path / "key")
    assert turn(db).turned
    (tmp_path / "key").unlink()
    assert opened(kms=f"aws:{kms}").unseal(seal(db, "text")) == "text"


def test_a_kms_that_does_not_let_us_is_the_reason_and_nothing_is_changed(opened, kms, tmp_path):
    db = opened()
    sealed = seal(db, "text")
    db.keys.masters = open_masters(ServerSettings(kms=f"aws:{kms[:-3]}000", key_file=tmp_path / "key"))
    found = turn(db)
    assert not found.turned
    assert "AWS KMS did not encrypt" in found.reason
    assert db.unseal(sealed) == "text"


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"AMASIA_KEYS": "short"}, "AMASIA_KEYS holds something that is no key"),
        ({"AMASIA_KMS": "nowhere:x"}, "there is no such KMS"),
        ({"AMASIA_KMS": "aws:"}, "names no key"),
        ({"AMASIA_KEY_FILE": "/nowhere/key"}, "is not there"),
        ({"AMASIA_KEY_FILE": "/dev/null"}, "is empty"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_the_cure(tmp_path, monkeypatch, variables, word):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.AmasiaError, match=word) as caught:
        open_masters(ServerSettings(home=tmp_path))
    assert caught.value.cure
    assert "short" not in str(caught.value)


def test_another_process_finds_the_key_that_was_put_into_the_file_after_its_start(tmp_path):
    (tmp_path / "key").write_text(key())
    mine, theirs = (open_masters(ServerSettings(home=tmp_path)) for _ in range(2))
    theirs.renew("b")
    assert mine.unwrap(theirs.wrap(b"data key")) == b"data key"


def test_a_file_that_cannot_be_written_is_no_reason_to_lose_a_key(tmp_path):
    path = tmp_path / "key"
    path.write_text(key())
    before, masters = path.read_text(), open_masters(ServerSettings(home=tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a disk that is full
    try:
        with pytest.raises(errors.Unavailable, match="cannot be written"):
            masters.renew("a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == before
    assert {one.name for one in tmp_path.iterdir()} == {"key", "key.lock"}


def test_of_many_keys_of_a_file_each_that_something_is_wrapped_with_is_kept(tmp_path):
    keys = [Fernet.generate_key() for _ in range(4)]
    path = tmp_path / "key"
    path.write_text("".join(f"{key.decode()}\n" for key in keys))
    wrapped = [Masters(Local([key])).wrap(b"x") for key in keys[2:]]
    open_masters(ServerSettings(home=tmp_path)).keep("a", wrapped)
    assert path.read_text().split() == [keys[0].decode(), keys[2].decode(), keys[3].decode()]


def test_two_processes_of_one_database_that_renew_its_file_at_once_keep_each_others_key(tmp_path):
    mine, theirs = (open_masters(ServerSettings(home=tmp_path)) for _ in range(2))
    mine.renew("a")
    wrapped = mine.wrap(b"x")
    theirs.renew("a")
    mine.keep("a", [wrapped])
    theirs.keep("a", [wrapped])
    assert open_masters(ServerSettings(home=tmp_path)).unwrap(wrapped) == b"x"


def test_databases_that_share_a_file_keep_what_the_others_need_through_any_rotation(opened, tmp_path):
    """Also a copy, which is called the same but elsewhere; and in the end each has left the first key."""
    path = tmp_path / "key"
    opened()
    first = path.read_text().strip()
    shutil.copy(tmp_path / "amasia.db", tmp_path / "copy.db")
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("amasia", "other", "copy")]
    sealed = {url: seal(opened(key_file=path, database_url=url), "text") for url in urls}
    for url in urls:
        turned = opened(key_file=path, database_url=url)
        assert turn(turned).turned
        for other in urls:
            again = opened(key_file=path, database_url=other)
            with again.read() as tx:
                again.keys.begin(tx, older=False)
            if other not in urls[: urls.index(url) + 1]:
                assert again.unseal(sealed[other]) == "text"
            seal(again, "more")
        assert (first in path.read_text()) == (url != urls[-1])
    assert len(path.read_text().split()) == 3
    assert [line.split()[2] for line in (tmp_path / "key.databases").read_text().splitlines()] == urls


def test_keys_renewed_at_the_same_moment_are_both_in_the_file(tmp_path):
    planes = [open_masters(ServerSettings(home=tmp_path)) for _ in range(8)]

    def renew(number):
        planes[number].renew(str(number))
        return planes[number].wrap(b"x")

    with ThreadPoolExecutor(8) as pool:
        wrapped = list(pool.map(renew, range(8)))
    fresh = open_masters(ServerSettings(home=tmp_path))
    assert [fresh.unwrap(one) for one in wrapped] == [b"x"] * 8


@pytest.mark.parametrize("spoilt", [b"\xff\xfe", b"one word", b"a b c"])
def test_a_spoilt_list_of_databases_is_named_with_the_cure(opened, tmp_path, spoilt):
    path = tmp_path / "keys"
    path.write_bytes(Fernet.generate_key())
    path.with_name("keys.databases").write_bytes(spoilt)
    with pytest.raises(errors.Unavailable, match=r"keys\.databases is no list"):
        Local([path.read_bytes()], path).enter("one", None)
