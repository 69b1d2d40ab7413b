"""Files that are there as a whole or not at all."""

import os
import stat

import pytest

from amasia import files


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_written_takes_the_place_of_what_was_there_and_leaves_nothing_beside_it(tmp_path, durable):
    path = tmp_path / "a.json"
    path.write_text("before")
    files.write(path, "ä", durable=durable)
    assert path.read_bytes() == "ä".encode()
    files.write(path, b"\xff", durable=durable)
    assert path.read_bytes() == b"\xff"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_private_file_is_its_owners_whatever_the_mask_and_the_one_before_allow(tmp_path):
    path, before = tmp_path / "key", os.umask(0o022)
    try:
        files.write(path, "open")
        assert mode(path) == 0o644
        files.write(path, "closed", private=True)
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_one_that_is_not_to_be_replaced_stays_as_it_is(tmp_path):
    path = tmp_path / "exit.json"
    files.write(path, "first", replace=False)
    with pytest.raises(FileExistsError):
        files.write(path, "second", replace=False)
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["exit.json"]


def test_where_it_cannot_be_put_nothing_is_left(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        files.write(tmp_path / "folder", "x")
    assert os.listdir(tmp_path) == ["folder"]
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "none" / "x", "x")
