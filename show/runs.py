"""Run proofs, print their lines as a table, and fail if one falls short."""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from show.lines import Line

type Proof = Callable[[], Iterator[Line]]
type Wanted = Mapping[str, tuple[tuple[int, ...], Proof]]
"""The lines of each proof, and how they are had."""
type Proofs = Callable[[float, int, Path], Wanted]
"""From dose, seed and an empty folder."""


def main(name: str, title: str, proofs: Proofs) -> int:
    """The exit status: 1 if a line falls short."""
    parser = argparse.ArgumentParser(prog=f"make show-{name}")
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
        console.print(_table(title, found))
    for line in found:
        if not line.holds:  # last, where a log that is cut still has it
            told = f"line {line.number} falls short: {line.what}: {line.figure}, not {line.goal}. {line.detail}"
            console.print(told, markup=False, soft_wrap=True)
    return 0 if found and all(line.holds for line in found) else 1


def _show(
    wanted: Mapping[str, tuple[tuple[int, ...], Proof]], only: list[int] | None, console: Console
) -> Iterator[Line]:
    for name, (numbers, proof) in wanted.items():
        if only and not set(only) & set(numbers):
            continue
        begun = time.monotonic()
        with console.status(f"{name} …"):
            found = list(_safely(numbers[0], name, proof))
        console.print(f"[dim]{name}: {time.monotonic() - begun:.0f} s[/dim]")
        for line in found:
            if not only or line.number in only or not line.holds:  # what breaks is told, whoever asked
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


def _table(title: str, found: list[Line]) -> Table:
    table = Table("line", "what", "figure", "goal", "holds", title=title)
    for line in found:
        table.add_row(str(line.number), line.what, line.figure, line.goal, _mark(line))
    return table


def _mark(line: Line) -> str:
    return "[green]yes[/green]" if line.holds else "[red]no[/red]"


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
