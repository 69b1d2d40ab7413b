"""``make show-money``: every promise of money that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import door, launching, limits, runs
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    built = base / "built"
    races = {
        f"launches on {name}": (
            (1,),
            lambda name=name: launching.lines(dose, seed, folder(base / f"launching-{name}"), name),
        )
        for name in launching.DATABASES
    }
    return {
        **races,
        "limits": ((2,), lambda: limits.lines(folder(base / "limits"), built)),
        "door": ((4,), lambda: door.lines(folder(base / "door"), built)),
    }


if __name__ == "__main__":
    sys.exit(runs.main("money", "Money", proofs))
