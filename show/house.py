"""``make show-house``: every promise of the house that a machine can prove, as a table.

Exit status 1 if one falls short.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from show import answers, fresh, house_rules, kills, orphans, starts
from show.lines import Line

type Proof = Callable[[], Iterator[Line]]


def proofs(dose: float, seed: int, base: Path) -> dict[str, tuple[tuple[int, ...], Proof]]:
    """What there is to show: the lines of each, and how they are had."""
    built = base / "built"
    return {
        "rules": ((6, 7), house_rules.lines),
        "fresh clone": ((1,), lambda: fresh.lines(dose, _folder(base / "fresh"))),
        "answers": ((2,), lambda: answers.lines(_folder(base / "answers"), built)),
        "starts": ((3,), lambda: starts.lines(dose, _folder(base / "starts"), built)),
        "orphans": ((5,), lambda: orphans.lines(_folder(base / "orphans"), built)),
        "kills": ((4,), lambda: kills.lines(dose, seed, _folder(base / "kills"), built)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make show-house", description=__doc__)
    parser.add_argument("--dose", type=float, default=1.0, help="scales the counts")
    parser.add_argument("--only", type=int, action="append", help="a line's number; repeatable")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(100_000))
    parser.add_argument("--json", action="store_true", help="the lines as JSON on stdout")
    parser.add_argument("--base", type=Path, help="keep everything in this folder")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, highlight=False)
    console.print(f"dose {arguments.dose:g}, seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="amasia-show-", ignore_cleanup_errors=True) as folder:
        base = (arguments.base or Path(folder)).absolute()
        found = list(_show(proofs(arguments.dose, arguments.seed, base), arguments.only, console))
    found.sort(key=lambda line: line.number)
    if arguments.json:
        print(json.dumps([asdict(line) for line in found], indent=1))
    else:
        console.print(_table(found))
    return 0 if found and all(line.holds for line in found) else 1


def _show(wanted: dict[str, tuple[tuple[int, ...], Proof]], only: list[int] | None, console: Console) -> Iterator[Line]:
    for name, (numbers, proof) in wanted.items():
        if only and not set(only) & set(numbers):
            continue
        begun = time.monotonic()
        with console.status(f"{name} …"):
            found = list(_safely(numbers[0], name, proof))
        console.print(f"[dim]{name}: {time.monotonic() - begun:.0f} s[/dim]")
        for line in found:
            if not only or line.number in only:
                yield line
                console.print(f"  {_mark(line)} {line.number} {line.what}: {line.figure}")
                if line.detail:
                    console.print(f"      [dim]{line.detail}[/dim]", markup=True)


def _safely(number: int, name: str, proof: Proof) -> Iterator[Line]:
    """A proof that breaks is a line that falls short, and the others go on."""
    try:
        yield from proof()
    except Exception as error:
        yield Line(number, name, f"broke: {type(error).__name__}", "an answer", False, str(error)[-1500:])


def _table(found: list[Line]) -> Table:
    table = Table("line", "what", "figure", "goal", "holds", title="The house")
    for line in found:
        table.add_row(str(line.number), line.what, line.figure, line.goal, _mark(line))
    return table


def _mark(line: Line) -> str:
    return "[green]yes[/green]" if line.holds else "[red]no[/red]"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
