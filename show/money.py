"""``make show-money``: every promise of money that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from functools import partial
from pathlib import Path

from show import bills, databases, door, fuzz, launching, limits, rights, runs, tour
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
    rows = {}
    for name in databases.KINDS:
        place = folder(base / f"rights-{name}")
        rows[f"rights on {name}"] = ((3,), partial(rights.lines, place, name))
        rows[f"wild requests on {name}"] = ((3,), partial(fuzz.lines, dose, seed, folder(base / f"fuzz-{name}"), name))
    bill = {
        f"the bill on {name}": ((5,), lambda name=name: bills.speed(name, dose, folder(base / "bills")))
        for name in launching.DATABASES
    }
    return {
        **races,
        "limits": ((2,), lambda: limits.lines(folder(base / "limits"), built)),
        **rows,
        "door": ((4,), lambda: door.lines(folder(base / "door"), built)),
        **bill,
        "FOCUS": ((6,), lambda: bills.focus(folder(base / "focus"))),
        "tour": ((7,), lambda: tour.lines(folder(base / "tour"))),
    }


if __name__ == "__main__":
    sys.exit(runs.main("money", "Money", proofs))
