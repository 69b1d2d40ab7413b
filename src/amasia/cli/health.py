"""``amasia health``."""

import typer

from amasia.cli.options import Json, examples, noun
from amasia.cli.output import ago, say, show_fields, show_json, show_table
from amasia.client import health as verbs
from amasia.models.health import ServiceHealth

app = noun("How the control plane is.")


@app.command(epilog=examples("amasia health", "amasia health --json"))
def health(as_json: Json = False) -> None:
    """How the control plane is: loops, database, store, what each workspace takes. For operators.

    The exit status is 1 where a loop does not go round or the store does not answer.
    """
    found = verbs.get()
    show_json(found) if as_json else _show(found)
    if not found.ok:
        raise typer.Exit(1)


def _show(found: ServiceHealth) -> None:
    late = [one for one in found.rounds if not one.ok]
    show_fields({
        "control plane": f"version {found.version}, {'well' if found.ok else 'NOT WELL'}",
        "database": f"{found.database}, {found.database_ms:.1f} ms until it can be written to",
        "object store": found.store or "does not answer",
        "loops": f"{len(found.rounds)}, of them {len(late)} that do not go round",
        "users": found.users,
    } | {f"not sent to {one.sink}": f"{one.events} events" for one in found.behind})  # fmt: skip
    columns = ["loop", ">every", ">last", "trouble"]
    show_table(columns, [(one.name, f"{one.seconds:g} s", f"{one.age:.1f} s ago", _trouble(one.failures, one.problem))
                         for one in late], empty="Every loop goes round.")  # fmt: skip
    columns = ["workspace", ">machines", ">starting", ">waiting", ">since", ">repositories"]
    rows = [(one.workspace, one.machines, one.starting, one.waiting, f"{one.waited_seconds:.0f} s", one.repositories)
            for one in found.workspaces]  # fmt: skip
    show_table(columns, rows)
    for place in found.failed_locations:
        checked = f", looked at {ago(place.checked_at)}" if place.checked_at else ""
        say(f"Location {place.name} ({place.provider}) of {place.workspace} cannot be used{checked}.")


def _trouble(failures: int, problem: str) -> str:
    return f"{failures} times {problem}" if failures else "no news"
