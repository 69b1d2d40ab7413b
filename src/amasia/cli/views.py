"""``amasia view``."""

from enum import StrEnum
from typing import Annotated

import typer

import amasia
from amasia.cli.options import Json, ViewName, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import ago, clock, printable, say, show_fields, show_json, show_table
from amasia.client import budgets, views
from amasia.client.progress import Stages
from amasia.client.workspaces import current
from amasia.errors import AmasiaError, from_wire
from amasia.models.costs import machine_time
from amasia.models.money import show as show_money
from amasia.models.views import Refresh, RefreshStatus, View

app = noun("Views: derived data that keeps itself current.")
REFRESHES = 10
REGIONS = 6


class Trigger(StrEnum):
    commit = "commit"
    schedule = "schedule"
    manual = "manual"


@app.command("list", epilog=examples("amasia view list", "amasia view list --workspace demo --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The views of a workspace, and how far each is behind."""
    found = views.find(current(workspace))
    if as_json:
        show_json(found)
        return
    rows = [
        (one.full_name, one.status, one.lag, one.source, f"{one.target} {one.target_group}", _when(one), one.owner)
        for one in found
    ]
    empty = "No view yet. Make one: amasia view create module.py:monthly"
    show_table(["view", "status", ">behind", "source", "target", "refreshed", "owner"], rows, empty=empty)


@app.command(
    epilog=examples(
        "amasia view create views.py:monthly",
        "amasia view create views.py:monthly --trigger schedule --schedule '0 3 * * *'",
        "amasia view create views.py:climatology --workers 4 --worker-memory '4 GiB'",
    )
)
def create(
    function: Annotated[str, typer.Argument(metavar="MODULE.PY:FUNCTION", help="Decorated with @amasia.view.")],
    trigger: Annotated[Trigger, typer.Option(help="When it is refreshed.")] = Trigger.commit,
    schedule: Annotated[str, typer.Option(help="Minute, hour, day, month, weekday in UTC: '0 3 * * *'.")] = "",
    workers: Annotated[int, typer.Option(help="Dask workers of each refresh; 0 for one machine.", min=0)] = 0,
    worker_memory: Annotated[str, typer.Option(help="Of each worker, or of the one machine.")] = "1 GiB",
    location: Annotated[str | None, typer.Option(help="Where the machines come from.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what depends on what, and make nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Register a function as a view, with the environment of this command's Python."""
    view = amasia.View.load(function)
    if plan:
        found = view.plan()
        show_json({"view": view.full_name, "kind": found.kind, "plan": found.text}) if as_json else print(
            printable(found.text)
        )
        return
    with Stages(f"View {view.full_name}", ["registered"], quiet=as_json) as stages:
        made = view.deploy(
            trigger=trigger.value,
            schedule=schedule,
            workers=workers,
            worker_memory=worker_memory,
            location=location,
            progress=lambda text: stages.begin("registered", text),
        )
        stages.finish("registered", f"{made.source} to {made.target}")
    if as_json:
        show_json(made)
        return
    print(printable(made.plan))
    say(f"It is refreshed {_trigger(made)}. Now, here: amasia view refresh {made.full_name} --here")


@app.command(epilog=examples("amasia view show demo/monthly", "amasia view show monthly --json"))
def show(view: ViewName, as_json: Json = False) -> None:
    """One view: how far it is behind, what depends on what, and its last refreshes with their cost."""
    _show(view, as_json)


@app.command(epilog=examples("amasia view status demo/monthly", "amasia view status monthly --json"))
def status(view: ViewName, as_json: Json = False) -> None:
    """The same as show."""
    _show(view, as_json)


@app.command(epilog=examples("amasia view refresh demo/monthly --here", "amasia view refresh monthly --no-wait"))
def refresh(
    view: ViewName,
    here: Annotated[bool, typer.Option("--here", help="In this process, and not on machines.")] = False,
    wait: Annotated[bool, typer.Option(help="Until it is over.")] = True,
    as_json: Json = False,
) -> None:
    """Bring it to its source's newest commit."""
    with Stages(f"Refresh {view}", ["refreshed"], quiet=as_json) as stages:
        if here:
            stages.begin("refreshed", "here")
            done = amasia.refreshes.here(view)
        else:
            stages.begin("refreshed", "on machines")
            done = views.refresh(view)
            stages.left_behind = f"The refresh goes on, on machines. How far is it? amasia view show {view}"
            done = views.follow(done) if wait else done
        if done.status is RefreshStatus.failed:
            raise _failure(done)
        stages.finish("refreshed", _outcome(done))
    if as_json:
        show_json(done)
        return
    _show_work(done)


@app.command(epilog=examples("amasia view pause demo/monthly"))
def pause(view: ViewName, as_json: Json = False) -> None:
    """Let it rest."""
    changed = views.pause(view)
    show_json(changed) if as_json else say(f"{changed.full_name} rests. Go on: amasia view resume {changed.full_name}")


@app.command(epilog=examples("amasia view resume demo/monthly"))
def resume(view: ViewName, as_json: Json = False) -> None:
    """Let it go on; after failures it is tried again at once."""
    changed = views.resume(view)
    show_json(changed) if as_json else say(f"{changed.full_name} goes on: it is refreshed {_trigger(changed)}.")


@app.command(epilog=examples("amasia view delete demo/monthly --yes"))
def delete(view: ViewName, yes: Yes = False, as_json: Json = False) -> None:
    """Forget it and its refreshes; what it wrote stays in its target."""
    confirm(f"Forget the view {view}? What it wrote stays in its target.", yes)
    views.delete(view)
    if as_json:
        show_json({"deleted": view})
        return
    say(f"{view} is forgotten.")


def _show(name: str, as_json: bool) -> None:
    found = views.get(name)
    last = [one for one, _ in zip(views.refreshes(name), range(REFRESHES), strict=False)]
    if as_json:
        show_json({"view": found.model_dump(mode="json"), "refreshes": [one.model_dump(mode="json") for one in last]})
        return
    currency = budgets.get(found.workspace).currency
    fields: dict[str, object] = {
        "view": found.full_name,
        "status": f"{found.status}{f': {found.reason}' if found.reason else ''}",
        "behind": f"{found.lag} commits" if found.lag else "nothing",
        "source": f"{found.source} {found.source_group} along {found.along}",
        "target": f"{found.target} {found.target_group}",
        "holds": found.snapshot or "nothing yet",
        "kind": found.kind,
        "plan": found.plan,
        "refreshed": _trigger(found),
        "next time": clock(found.next_at) if found.next_at else "",
        "tried again": clock(found.retry_at) if found.retry_at and found.reason else "",
        "on": f"{found.workers} workers" if found.workers else "one machine",
        "environment": found.environment_hash[:12],
        "owner": found.owner,
    }
    show_fields({key: value for key, value in fields.items() if value})
    print()
    rows = [_row(one, currency) for one in last]
    columns = ["refresh", "status", "by", ">commits", ">cost", ">time", "why"]
    show_table(columns, rows, empty="It was not refreshed yet.")
    if last:
        _show_work(last[0])


def _row(one: Refresh, currency: str) -> tuple[object, ...]:
    by = one.trigger if one.trigger != "manual" else one.by
    cost = show_money(one.amount, currency) if one.cluster_id else "here"
    return ago(one.requested_at), one.status, by, len(one.applied), cost, machine_time(one.milliseconds), one.reason


def _show_work(done: Refresh) -> None:
    """What was computed and what was left as it is, of each commit that was applied."""
    for applied in done.applied:
        regions = list(applied.computed[:REGIONS])
        if len(applied.computed) > REGIONS:
            regions.append(f"and {len(applied.computed) - REGIONS} more")
        whole = "all of it: " if applied.whole else ""
        print(printable(f"{applied.source_snapshot}  computed {whole}{', '.join(regions) or 'nothing'}"))
        if applied.skipped:
            print(printable(f"{'':<{len(applied.source_snapshot)}}  skipped {applied.skipped}"))


def _outcome(done: Refresh) -> str:
    if done.status is RefreshStatus.done:
        return f"{len(done.applied)} commits applied" if done.applied else "it was current already"
    return f"{done.status}; see it: amasia view show {done.workspace}/{done.view}"


def _failure(done: Refresh) -> AmasiaError:
    name = f"{done.workspace}/{done.view}"
    cure = f"Mend the function and make the view anew, or look at it: amasia view show {name}"
    return from_wire({"kind": "error", "message": f"The refresh of {name} failed: {done.reason}", "cure": cure})


def _trigger(view: View) -> str:
    match view.trigger.value:
        case "commit":
            return "at each commit of its source"
        case "schedule":
            return f"by the schedule {view.schedule!r} (UTC)"
        case _:
            return "by hand"


def _when(view: View) -> str:
    return "refreshing" if view.status == "refreshing" else _trigger(view)
