"""``make show-house``: every promise of the house that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import answers, fresh, house_rules, kills, orphans, runs, starts
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    built = base / "built"
    return {
        "rules": ((6, 7), house_rules.lines),
        "fresh clone": ((1,), lambda: fresh.lines(dose, folder(base / "fresh"))),
        "answers": ((2,), lambda: answers.lines(folder(base / "answers"), built)),
        "starts": ((3,), lambda: starts.lines(dose, folder(base / "starts"), built)),
        "orphans": ((5,), lambda: orphans.lines(folder(base / "orphans"), built)),
        "kills": ((4,), lambda: kills.lines(dose, seed, folder(base / "kills"), built)),
    }


if __name__ == "__main__":
    sys.exit(runs.main("house", "The house", proofs))
