"""``make show-money``: every promise of money that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import launching, runs
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    return {
        name: ((1,), lambda name=name: launching.lines(dose, seed, folder(base / f"launching-{name}"), name))
        for name in launching.DATABASES
    }


if __name__ == "__main__":
    sys.exit(runs.main("money", "Money", proofs))
