"""``amasia cluster``."""

from time import sleep
from typing import Annotated

import typer

from amasia.cli.options import ClusterName, Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import (
    ago,
    clock,
    per_hour,
    printable,
    say,
    show_fields,
    show_json,
    show_picture,
    show_table,
)
from amasia.client import budgets, clusters, kinds, starting, timelines
from amasia.client.inputs import request
from amasia.client.progress import Stages
from amasia.client.sizes import format_bytes, memory, seconds
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import current
from amasia.errors import InvalidRequest
from amasia.models.base import now
from amasia.models.clusters import Cluster, ClusterSpec
from amasia.models.costs import machine_time
from amasia.models.machines import ALIVE, Machine, MachineRole
from amasia.models.money import show as show_money

app = noun("Clusters: a Dask scheduler and workers.")

GONE = 120
"""Seconds to wait for a cluster's machines to be gone."""


@app.command("list", epilog=examples("amasia cluster list", "amasia cluster list --all --json"))
def list_(
    all: Annotated[bool, typer.Option("--all", help="Also those that stopped.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """What runs, whose it is, and what it costs."""
    found = clusters.find(workspace, stopped=all)
    if as_json:
        show_json(found)
        return
    show_clusters(found, budgets.get(workspace).currency)


def show_clusters(found: list[Cluster], currency: str) -> None:
    rows = [
        (
            one.name,
            one.owner,
            one.status,
            f"{_up(one)}/{one.wanted_workers}",
            per_hour(one.rate, currency),
            show_money(one.amount, currency),
            ago(one.created_at),
        )
        for one in found
    ]
    columns = ["cluster", "owner", "status", ">workers", ">rate", ">spent", "made"]
    show_table(columns, rows, empty="No cluster runs. Start one: amasia cluster start")


@app.command(epilog=examples("amasia cluster show demo", "amasia cluster show cl-3f9a1c0b7d2e4f60 --json"))
def show(cluster: ClusterName, workspace: Workspace = None, as_json: Json = False) -> None:
    """One cluster and its machines: how long each took to be of use, stage by stage, and the reason of each death."""
    found = clusters.get(cluster, workspace)
    if as_json:
        show_json(_with_steps(found))
        return
    currency = budgets.get(found.workspace).currency
    spec = found.spec
    sizes = [kinds.describe(found, name) for name in spec.groups if name or found.wanted("") or not spec.worker_groups]
    fields = {
        "cluster": f"{found.name} ({found.id})",
        "owner": f"{found.owner}{', shared' if spec.shared else ''}",
        "status": f"{found.status}{f': {found.reason}' if found.reason else ''}",
        "made": clock(found.created_at),
        "workers": "; ".join(sizes),
        "idle stop": f"after {spec.idle_timeout / 60:g} min" if spec.idle_timeout else "never",
        "scheduler": found.scheduler_address,
        "dashboard": found.dashboard_address,
        "placed": found.placement.why if found.placement else "",
        "secrets": ", ".join(spec.secrets),
        "environment": found.environment_hash[:12],
        "cost": f"{show_money(found.amount, currency)} for {machine_time(found.milliseconds)} of machines, "
        f"{per_hour(found.rate, currency)} now",
    }
    show_fields({name: value for name, value in fields.items() if value})
    rows = [_machine_row(machine) for machine in found.machines]
    show_table(["machine", "role", "group", "status", ">memory", "why it ended"], rows)
    show_picture(timelines.table(found.machines, now()))


@app.command(
    epilog=examples(
        "amasia cluster start", "amasia cluster start demo --workers 4 --memory '4 GiB' --idle '1 hour'",
        "amasia cluster start demo --minimum 0 --maximum 8", "amasia cluster start --spot fallback --near demo/sst",
        "amasia cluster start demo --workers 4 --group 'big: n_workers=1, worker_memory=64 GiB'",
    )
)  # fmt: skip
def start(
    name: Annotated[str | None, typer.Argument(help="Of the cluster; made up without it.")] = None,
    workers: Annotated[int, typer.Option(help="Worker machines.")] = 2,
    cpu: Annotated[float, typer.Option(help="Cores of each.")] = 1,
    memory_: Annotated[str, typer.Option("--memory", help="Of each, such as '4 GiB' or '500 MB'.")] = "1 GiB",
    minimum: Annotated[int | None, typer.Option(help="With --maximum: scale by load.")] = None,
    maximum: Annotated[int | None, typer.Option(help="With --minimum: scale by load.")] = None,
    idle: Annotated[str, typer.Option(help="Stop after this long without work; 0 for never.")] = "20 minutes",
    group: Annotated[
        list[str] | None, typer.Option(help="Workers of another kind: 'name: n_workers=2, worker_memory=64 GiB, …'.")
    ] = None,
    gpu: Annotated[int, typer.Option(help="GPUs of each.")] = 0,
    arch: Annotated[str, typer.Option(help="x86_64 or aarch64.")] = "x86_64",
    machine_type: Annotated[list[str] | None, typer.Option("--type", help="A type that workers may be of.")] = None,
    spot: Annotated[str, typer.Option(help="no, yes, or fallback: workers that may be taken back, for less.")] = "no",
    location: Annotated[str | None, typer.Option(help="Where the machines come from; the cheapest without it.")] = None,
    near: Annotated[str, typer.Option(help="Repository of the data: what carrying them costs counts.")] = "",
    shared: Annotated[bool, typer.Option("--shared", help="Let other members connect.")] = False,
    secret: Annotated[list[str] | None, typer.Option(help="Name of a secret that its processes get.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="key=value: budgets and bills go by it.")] = None,
    workspace: Workspace = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Start a cluster with the environment of this command's Python. Join it: amasia.Cluster(name="…")."""
    spec = request(
        ClusterSpec, n_workers=workers, worker_cpu=cpu, worker_memory=memory(memory_), minimum=minimum,
        maximum=maximum, idle_timeout=seconds(idle), location=location, shared=shared, worker_gpu=gpu, arch=arch,
        machine_type=tuple(machine_type or ()), spot=spot, near=near,
        worker_groups=dict(kinds.parse(text) for text in group or ()), secrets=tuple(secret or ()),
        tags=dict(one.partition("=")[::2] for one in tag or ()),
    )  # fmt: skip
    link = connect()
    quote = clusters.quote(spec, workspace)
    if quote.asks:
        confirm(f"It may cost {show_money(quote.most, quote.currency)} per hour. Start it?", yes)
    with Stages(f"Cluster {name}" if name else "Cluster", quiet=as_json) as stages:
        made = starting.start(spec, name, current(workspace), None, link, stages, confirmed=True)
        made = starting.wait_for(made, True, link, stages)
    show_json(made) if as_json else say(f"Join it: amasia.Cluster(name={made.name!r})")


@app.command(
    epilog=examples(
        "amasia cluster scale demo 8", "amasia cluster scale demo --minimum 0 --maximum 8",
        "amasia cluster scale demo 2 --group big",
    )
)  # fmt: skip
def scale(
    cluster: ClusterName,
    workers: Annotated[int | None, typer.Argument(help="A fixed number.")] = None,
    minimum: Annotated[int | None, typer.Option(help="With --maximum: by load.")] = None,
    maximum: Annotated[int | None, typer.Option(help="With --minimum: by load.")] = None,
    group: Annotated[str, typer.Option(help="Of this worker group; of those in none without it.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Change the number of workers, or let the load decide. Returns at once."""
    if workers is not None and minimum is None and maximum is None:
        made = clusters.scale(cluster, workers, workspace, worker_group=group)
    elif workers is None and minimum is not None and maximum is not None:
        made = clusters.adapt(cluster, minimum, maximum, workspace, worker_group=group)
    else:
        raise InvalidRequest("Give a number of workers, or both --minimum and --maximum.", cure="See --help.")
    show_json(made) if as_json else say(
        f"{made.name} will have {made.wanted(group)} workers{f' in {group}' if group else ''}."
    )


@app.command(epilog=examples("amasia cluster stop demo --yes"))
def stop(
    cluster: ClusterName,
    workspace: Workspace = None,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option(help="Until its machines are gone.")] = True,
    as_json: Json = False,
) -> None:
    """Stop a cluster and wait until its machines are gone. What they hold in memory is lost."""
    found = clusters.get(cluster, workspace)
    currency = budgets.get(found.workspace).currency
    spent = f"{per_hour(found.rate, currency)}, {show_money(found.amount, currency)} spent"
    confirm(f"Stop {found.name} of {found.owner} ({_up(found)} workers, {spent})?", yes)
    clusters.stop(found.id, found.workspace)
    if wait:
        with Stages(f"Stopping {found.name}", ["machines"], quiet=as_json) as stages:
            stages.left_behind = f"It goes on stopping. Is it gone? amasia cluster show {found.id}"
            found = until_gone(found, stages)
    show_json(found) if as_json else say(
        f"{found.name} is {found.status}: {show_money(found.amount, currency)} in all."
    )


def until_gone(cluster: Cluster, stages: Stages, stage: str = "machines", *, link: Connection | None = None) -> Cluster:
    """Follow a cluster that was asked to stop until none of its machines is left."""
    newest = cluster
    for newest in clusters.follow(cluster, timeout=GONE, connection=link):
        stages.begin(stage, f"{sum(machine.status in ALIVE for machine in newest.machines)} machines left")
    stages.finish(stage, "all machines are gone")
    return newest


@app.command(epilog=examples("amasia cluster logs demo", "amasia cluster logs demo --follow"))
def logs(
    cluster: ClusterName,
    machine: Annotated[str | None, typer.Option(help="Id of one machine.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the cluster stops.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """What its machines wrote."""
    found = clusters.get(cluster, workspace)
    last = None
    while True:
        lines = clusters.log(found.id, found.workspace, machine=machine, after=last)
        if as_json:
            show_json(lines)
            return
        names = {one.id: f"{one.role}-{one.index}" for one in found.machines}
        for line in lines:
            text = f"{clock(line.at)} {names.get(line.machine_id, line.machine_id)}  {line.text}"
            print(printable(text), flush=True)
        last = lines[-1].id if lines else last
        if not follow or found.status == "stopped":
            return
        sleep(1)
        found = clusters.get(found.id, found.workspace)


def _up(cluster: Cluster) -> int:
    return sum(one.role == MachineRole.worker and one.status == "running" for one in cluster.machines)


def _with_steps(cluster: Cluster) -> dict[str, object]:
    """Its record, and the seconds of each machine's stages beside the moments."""
    machines = [
        machine.model_dump(mode="json") | {"steps": [step.model_dump() for step in machine.steps(now())]}
        for machine in cluster.machines
    ]
    return cluster.model_dump(mode="json") | {"machines": machines}


def _machine_row(machine: Machine) -> tuple[object, ...]:
    used = f"{format_bytes(machine.metrics.memory)} of " if machine.metrics.memory else ""
    memory = f"{used}{format_bytes(machine.memory)}"
    return (machine.id, f"{machine.role} {machine.index}", machine.group, machine.status, memory, machine.reason)
