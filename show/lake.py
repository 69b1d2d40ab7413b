"""``make show-lake``: every promise of the lake that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import os
import sys
from functools import partial
from pathlib import Path

from show import (
    commits,
    elsewhere,
    files,
    histories,
    many_files,
    refresh,
    refreshing,
    runs,
    search,
    throughput,
    trespass,
)
from show.runs import Wanted, folder


def proofs(dose: float, seed: int, base: Path) -> Wanted:
    """What there is to show: the lines of each, and how they are had."""
    return {
        "files": ((1,), lambda: files.prove(folder(base / "files"))),
        "trespass": ((3,), lambda: trespass.lines(base / "trespass")),
        "trespass elsewhere": ((3,), lambda: elsewhere.lines(base / "elsewhere")),
        "many files": ((6,), lambda: many_files.prove(dose, seed, folder(base / "many"))),
        "search": ((8,), lambda: search.lines(dose, seed, folder(base / "search"))),
        "commits": ((2,), lambda: commits.lines(dose, folder(base / "commits"))),
        "throughput": ((7,), lambda: throughput.lines(dose, folder(base / "throughput"))),
        "views in random histories": ((4,), partial(histories.lines, dose, seed)),
        "views under kill -9": ((4,), lambda: refreshing.lines(dose, seed, folder(base / "kills"))),
        "views in proportion to the change": ((5,), lambda: refresh.lines(dose, folder(base / "refresh"))),
    }


if __name__ == "__main__":
    status = runs.main("lake", "The lake", proofs)
    sys.stdout.flush()
    os._exit(status)  # ecCodes and others of C abort in an orderly exit, after all is shown
