"""``make show-lake``: every promise of the lake that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import commits, runs, search, throughput, trespass
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    return {
        "trespass": ((3,), lambda: trespass.lines(base / "trespass")),
        "search": ((8,), lambda: search.lines(dose, seed, folder(base / "search"))),
        "commits": ((2,), lambda: commits.lines(dose, folder(base / "commits"))),
        "throughput": ((7,), lambda: throughput.lines(dose, folder(base / "throughput"))),
    }


if __name__ == "__main__":
    sys.exit(runs.main("lake", "The lake", proofs))
