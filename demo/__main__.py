"""``make demo``: tell the story, calmly, and leave everything running."""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from demo.places import ROOT, Failed, Place
from demo.story import SOURCE, TARGET, Facts, story

NEXT = (
    ("the console, in a browser (name and password: amasia console)", "{console}"),
    ("what runs, and what it costs", "amasia status"),
    ("where the result comes from", f"amasia repo log {TARGET}"),
    ("the bill", "amasia cost"),
    ("a cluster of your own, from Python", "python -c 'import amasia; print(amasia.Cluster(n_workers=2))'"),
    ("your own files", f"amasia repo ingest {SOURCE} YOUR-FILE.nc"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--base", type=Path, default=ROOT / ".demo", help="where the demo keeps its things")
    place = Place(parser.parse_args().base.absolute())
    console = Console(highlight=False)
    console.print("\n[bold]Amasia[/bold]  the main job, on real files\n")
    facts, begun = Facts(), time.monotonic()
    steps = story(place, facts)
    number = 0
    while True:
        number += 1
        last = time.monotonic()
        try:
            with console.status(f"step {number} …", spinner="dots"):
                step = next(steps)
        except StopIteration:
            break
        except Failed as error:
            console.print(f"[red]✗[/red] step {number} failed: {error}", markup=True)
            return 1
        seconds = time.monotonic() - last
        console.print(f"[green]✓[/green] [bold]{step.title}[/bold]  [dim]{seconds:.1f} s[/dim]")
        console.print(f"  [cyan]{step.command}[/cyan]")
        console.print(f"  {step.outcome}\n", soft_wrap=True)
    _farewell(console, place, facts, time.monotonic() - begun)
    return 0


def _farewell(console: Console, place: Place, facts: Facts, seconds: float) -> None:
    url = facts.told["up"]["console"]
    console.print(f"[bold]Done in {seconds:.0f} s.[/bold] The control plane stays up; `make down` stops it.\n")
    console.print(f"First:  [cyan]source {place.activate}[/cyan]\n\nThen try:")
    for what, command in NEXT:
        console.print(f"  [cyan]{command.format(console=url)}[/cyan]  [dim]{what}[/dim]", soft_wrap=True)
    console.print()


if __name__ == "__main__":
    sys.exit(main())
