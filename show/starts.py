"""Line 3: how long a cluster takes from the call to the first result, and whether an edit is what runs."""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.places import Place, amasia, run, settle_scientist
from show import planes
from show.lines import Line

RUNS = 5
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
        yield _edited(place)
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


def _edited(place: Place) -> Line:
    module = place.scientist / "seasons" / "src" / "seasons" / "__init__.py"
    module.write_text(module.read_text().replace('EDITION = "first"', 'EDITION = "second"'))
    told = _start(place)
    runs = {told["edition"], *told["everywhere"]}
    holds = told["seconds"] < 15 and runs == {"second"} and len(told["everywhere"]) == 2
    figure = f"{told['seconds']:.1f} s, {' and '.join(sorted(runs))} runs on {len(told['everywhere'])} workers"
    return Line(3, "the local package edited, and started again", figure, "15 s, second runs", holds, _stages(told))


def _stages(told: dict[str, Any]) -> str:
    return ", ".join(f"{name} {seconds:.2f}" for name, seconds in told["stages"].items())
