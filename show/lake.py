"""``make show-lake``: every promise of the lake that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import sys
from pathlib import Path

from show import files, many_files, runs, search, trespass
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    return {
        "files": ((1,), lambda: files.prove(folder(base / "files"))),
        "trespass": ((3,), lambda: trespass.lines(base / "trespass")),
        "many files": ((6,), lambda: many_files.prove(dose, seed, folder(base / "many"))),
        "search": ((8,), lambda: search.lines(dose, seed, folder(base / "search"))),
    }


if __name__ == "__main__":
    sys.exit(runs.main("lake", "The lake", proofs))
