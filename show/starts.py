"""Line 3: how long a cluster takes from the call to the first result, and whether an edit is what runs."""

import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.places import Place, amasia, run, settle_scientist
from show import planes
from show.lines import Line

RUNS, EDITS = 5, 3
SCRIPT = """
import json, time
import seasons, amasia

begun = time.perf_counter()
cluster = amasia.Cluster(n_workers=2, idle_timeout="1 minute", quiet=True)
client = cluster.get_client()
edition = client.submit(seasons.edition).result()
seconds = time.perf_counter() - begun
client.wait_for_workers(2)
everywhere = list(client.run(seasons.edition).values())
cluster.close()
print(json.dumps({"seconds": seconds, "stages": cluster.stages, "edition": edition, "everywhere": everywhere}))
"""


def lines(dose: float, base: Path, cache: Path) -> Iterator[Line]:
    place = Place(base)
    planes.share_cache(place.home, cache)
    try:
        settle_scientist(place)
        amasia(place, "up")
        _start(place)  # the first builds the environment
        runs = [_start(place) for _ in range(max(1, round(RUNS * dose)))]
        yield _warm(runs)
        yield _edited(place, max(1, round(EDITS * dose)))
    finally:
        amasia(place, "down", "--yes")


def _start(place: Place) -> dict[str, Any]:
    script = place.scientist / "start.py"
    script.write_text(SCRIPT)
    told: dict[str, Any] = json.loads(run(place, place.python, script, cwd=place.scientist).splitlines()[-1])
    return told


def _warm(runs: list[dict[str, Any]]) -> Line:
    seconds = statistics.median(one["seconds"] for one in runs)
    typical = min(runs, key=lambda one: abs(one["seconds"] - seconds))
    what = f"warm start of 2 workers to the first result, median of {len(runs)}"
    return Line(3, what, f"{seconds:.1f} s", "8 s", seconds < 8, _stages(typical))


def _edited(place: Place, edits: int) -> Line:
    told = [_start_edited(place, str(number)) for number in range(edits)]
    seconds = statistics.median(one["seconds"] for one in told)
    right = [one for number, one in enumerate(told) if [one["edition"], *one["everywhere"]] == [str(number)] * 3]
    figure = f"{seconds:.1f} s, the edit ran on both workers in {len(right)} of {edits}"
    holds = seconds < 15 and len(right) == edits
    return Line(3, f"the local package edited and started again, median of {edits}", figure, "15 s, all", holds,
                _stages(told[-1]))  # fmt: skip


def _start_edited(place: Place, edition: str) -> dict[str, Any]:
    module = place.scientist / "seasons" / "src" / "seasons" / "__init__.py"
    module.write_text(re.sub(r'EDITION = ".*"', f'EDITION = "{edition}"', module.read_text()))
    return _start(place)


def _stages(told: dict[str, Any]) -> str:
    return ", ".join(f"{name} {seconds:.2f}" for name, seconds in told["stages"].items())
