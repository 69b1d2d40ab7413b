"""A small dose of the random histories and kills that ``make show-lake`` gives in full."""

from pathlib import Path

import pytest

from show import histories, refreshing


@pytest.mark.parametrize("seed", [11, 12])
def test_views_equal_whole_computations_after_every_commit(seed: int) -> None:
    tried: dict[histories.ViewKind, histories.Tried] = {}
    histories.follow(seed, 3, histories.FUNCTIONS, tried, each=1)
    assert set(tried) == set(histories.FUNCTIONS)
    assert [wrong for found in tried.values() for wrong in found.wrong] == []
    assert all(found.values for found in tried.values())


def test_times_of_another_calendar_come_back_after_there_were_none() -> None:
    """The source of this seed shrinks below one block and grows again."""
    tried: dict[histories.ViewKind, histories.Tried] = {}
    histories.follow(75106028, 3, histories.FUNCTIONS, tried)
    assert [wrong for found in tried.values() for wrong in found.wrong] == []


def test_a_killed_refresh_leaves_each_source_commit_applied_once(tmp_path: Path) -> None:
    (line,) = refreshing.lines(0.015, 5, tmp_path)
    assert line.holds, line
