"""``make show-lake``: every promise of the lake that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from functools import partial
from pathlib import Path

from show import histories, refresh, refreshing, runs
from show.runs import Wanted


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    return {
        "views in random histories": ((4,), partial(histories.lines, dose, seed)),
        "views under kill -9": ((4,), lambda: refreshing.lines(dose, seed, runs.folder(base / "kills"))),
        "views in proportion to the change": ((5,), lambda: refresh.lines(dose, runs.folder(base / "refresh"))),
    }


if __name__ == "__main__":
    sys.exit(runs.main("lake", "The lake", proofs))
