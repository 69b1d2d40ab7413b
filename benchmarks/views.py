"""What a refresh costs as the history grows, and plain Xarray beside it: ``python -m benchmarks.views``.

Draws ``docs/images/views-cost.png`` and prints what it drew.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import icechunk
import matplotlib as mpl
from matplotlib import pyplot

from show.refresh import KINDS, Measured, measure

STEPS = (1_000, 3_000, 10_000, 30_000)
GRID = (30, 60)
PICTURE = Path("docs/images/views-cost.png")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    icechunk.set_logs_filter("error")
    with tempfile.TemporaryDirectory(prefix="amasia-bench-") as folder:
        found = measure(arguments.steps, Path(folder), GRID)
    for one in found:
        wall = f"refresh {one.refresh.seconds * 1000:6.1f} ms, plain Xarray {one.whole.seconds * 1000:8.1f} ms"
        cpu = f"CPU {one.refresh.cpu * 1000:6.1f} and {one.whole.cpu * 1000:8.1f} ms"
        print(f"{one.steps:>7,} steps, {one.kind}: {wall}; {cpu}")
    draw(found, arguments.out)


def draw(found: list[Measured], out: Path) -> None:
    mpl.use("Agg")
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for kind, colour in zip(KINDS, ("tab:blue", "tab:orange"), strict=True):
        of = [one for one in found if one.kind == kind]
        steps = [one.steps for one in of]
        axes.plot(steps, [one.whole.cpu for one in of], "o--", color=colour, label=f"{kind}, plain Xarray")
        axes.plot(steps, [one.refresh.cpu for one in of], "o-", color=colour, label=f"{kind}, refreshed view")
    axes.set(xscale="log", yscale="log", xlabel="steps in the source", ylabel="CPU seconds for one step more")
    axes.set_title(f"One day more of {GRID[0]} by {GRID[1]} cells", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
