"""Lines 1, 4 and 7 of the machines: every provider keeps the one contract, placement chooses what is written down, one
story is told wherever machines come from, and the page of each provider works as it stands there.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from amasia.testing.providers import ProviderTests
from show import pages, runs, sites, stories
from show.cases import tested, troubled
from show.lines import Line

PROVIDERS = ("local", "ssh", "slurm", "aws", "gcp", "azure")
CASES = 30
CONTRACT = {name for name in vars(ProviderTests) if name.startswith("test_")}


def contract(base: Path) -> Iterator[Line]:
    """`ProviderTests` on every provider, each against its real server or stand-in."""
    files = [f"tests/providers/test_{provider}.py" for provider in PROVIDERS]
    wanted = " or ".join(f"Test{provider.capitalize()}Provider" for provider in PROVIDERS)
    cases = tested(base, "-n", "2", "--dist", "loadfile", *files, "-k", wanted)
    for provider in PROVIDERS:
        mine = {case.get("name"): case for case in cases if f".test_{provider}." in str(case.get("classname"))}
        kept = {name for name, case in mine.items() if len(case) == 0} & CONTRACT
        lacking = sorted(CONTRACT - kept)
        yield Line(1, f"promises of the contract that {provider} keeps", f"{len(kept)} of {len(CONTRACT)}",
                   f"{len(CONTRACT)}", not lacking, ", ".join(lacking))  # fmt: skip


def placement(base: Path) -> Iterator[Line]:
    """Where machines are taken for data in one location and offers in five: the cases that are written down."""
    cases = tested(base, "tests/services/test_placements.py", "-k", "test_the_choice_is_right")
    wrong = troubled(cases)
    yield Line(4, "choices among machines in five locations that are right, of the cases written down",
               f"{len(cases) - len(wrong)} of {len(cases)}", f"all, {CASES} or more",
               len(cases) >= CASES and not wrong, ", ".join(wrong))  # fmt: skip


def elsewhere(base: Path, cache: Path) -> Iterator[Line]:
    """On one site after the other: its page, then the story."""
    for provider, raised in sites.SITES.items():
        if why := sites.LACKING[provider]():
            yield Line(7, f"the page of {provider}", f"cannot be tried here: {why}", "tried", False)
            continue
        try:
            with raised(runs.folder(base / provider), cache) as site:
                yield from _page(provider, site)
                yield from _story(provider, site)
        except Exception as error:
            yield Line(7, f"the page of {provider}, or its story", f"broke: {type(error).__name__}", "an answer", False,
                       str(error)[-1500:])  # fmt: skip


def _page(provider: str, site: sites.Site) -> Iterator[Line]:
    if site.location is None:
        return
    begun = time.monotonic()
    done = pages.follow(provider, site)
    stories.stop_all(site.plane)
    swapped = f"{len(site.swaps)} names of its own swapped; " if site.swaps else ""
    yield Line(7, f"connect-{provider}.md, followed word for word: files, commands and scripts that work",
               f"{len(done)}", "all", True, f"{swapped}{time.monotonic() - begun:.0f} s")  # fmt: skip


def _story(provider: str, site: sites.Site) -> Iterator[Line]:
    begun = time.monotonic()
    told = stories.tell(site.plane, site.location, site.environment)
    paid = stories.nothing_is_left(site)
    yield Line(1, f"cluster, compute, commit, stop on {provider}; left over", "0", "0", True,
               f"{time.monotonic() - begun:.0f} s on {', '.join(sorted(set(told['hosts'])))}; {paid}")  # fmt: skip
