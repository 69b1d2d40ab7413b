"""The small dose of `show.trespass`: it is quick enough to be the whole."""

from pathlib import Path

import pytest

from amasia.testing.azurite import missing
from show import elsewhere, trespass


def test_leaked_credentials_open_their_own_repository_and_nothing_else(tmp_path: Path) -> None:
    found = list(trespass.lines(tmp_path))
    assert [line.what for line in found] == [
        "a leaked read credential",
        "a leaked write credential",
        "no credential at all",
    ]
    assert all(line.holds for line in found), [(line.what, line.detail) for line in found if not line.holds]


def test_leaked_credentials_of_other_clouds_open_their_own_repository_and_nothing_else(tmp_path: Path) -> None:
    if why := missing(elsewhere.CACHE):
        pytest.skip(why)
    found = list(elsewhere.lines(tmp_path))
    assert len(found) == 4
    assert all(line.holds for line in found), [(line.what, line.detail) for line in found if not line.holds]
