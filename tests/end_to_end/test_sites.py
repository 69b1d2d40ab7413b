"""For each provider: its page is followed word for word, then a cluster computes, commits and stops."""

import os
from pathlib import Path

import pytest

from show import pages, sites, stories


@pytest.mark.parametrize("provider", sites.SITES)
@pytest.mark.timeout(600)
def test_the_page_works_as_it_stands_and_the_story_leaves_nothing(
    provider: str, tmp_path: Path, shared_cache: Path
) -> None:
    if why := sites.LACKING[provider]() or ("" if os.environ.get("SITES") else "minutes that `make providers` takes"):
        pytest.skip(why)
    with sites.SITES[provider](tmp_path / "site", shared_cache) as site:
        if site.location:
            assert len(pages.follow(provider, site)) >= 4
            stories.stop_all(site.plane)
        stories.tell(site.plane, site.location, site.environment)
        stories.nothing_is_left(site)
