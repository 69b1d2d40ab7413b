"""The demo, told to its end, and its answers."""

from pathlib import Path

import pytest

from demo.places import Place, amasia
from demo.story import Facts, story
from show import planes
from show.answers import compare


@pytest.mark.timeout(300)
def test_the_demo_tells_its_story_and_its_answers_are_xarrays_own(tmp_path: Path, shared_cache: Path) -> None:
    place, facts = Place(tmp_path), Facts()
    planes.share_cache(place.home, shared_cache)
    try:
        titles = [step.title for step in story(place, facts)]
        assert len(titles) == 10
        assert facts.told["append"]["before"] == facts.told["append"]["reader"] < facts.told["append"]["now"]
        assert "idle" in facts.told["ended"]["reason"]
        assert (place.base / "climatology.png").stat().st_size > 10_000
        found = list(compare(place, facts))
        assert found
        assert [line.detail for line in found if not line.holds] == []
        amasia(place, "down", "--yes")
        assert planes.processes_of(place.home) == []
    finally:
        planes.kill_all(place.home)
