"""``make show-machines``: every promise of machines anywhere that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import anywhere, crowd, cuts, launches, runs, tunnel
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    built = base / "built"
    return {
        "contract": ((1,), lambda: anywhere.contract(folder(base / "contract"))),
        "placement": ((4,), lambda: anywhere.placement(folder(base / "placement"))),
        "stories and pages": ((1, 7), lambda: anywhere.elsewhere(folder(base / "anywhere"), built)),
        "launches": ((2,), lambda: launches.lines(dose, seed, folder(base / "launches"))),
        "cuts": ((3,), lambda: cuts.lines(dose, folder(base / "cuts"), built)),
        "tunnel": ((5,), lambda: tunnel.lines(dose, folder(base / "tunnel"))),
        "crowd": ((6,), lambda: crowd.lines(dose, folder(base / "crowd"))),
    }


if __name__ == "__main__":
    sys.exit(runs.main("machines", "Machines anywhere", proofs))
