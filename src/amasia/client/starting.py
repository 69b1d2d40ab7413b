"""How a cluster comes up: the environment goes ahead, the wish is written, the machines are followed."""

from datetime import datetime
from typing import Literal

from amasia.client import clusters, environments
from amasia.client.progress import Stages
from amasia.client.sizes import duration, format_bytes
from amasia.client.transport import Connection
from amasia.errors import AmasiaError, EnvironmentFailed, MachineLost
from amasia.models import money
from amasia.models.clusters import Cluster, ClusterSpec, ClusterStatus, ClusterTarget, Quote, WorkerGroup
from amasia.models.machines import Machine, MachineRole, MachineTarget

Wait = bool | Literal["all"]

MACHINE_STAGES = {
    "booting": "accepted",
    "joined": "joined",
    "environment ready": "environment_ready",
    "process up": "process_up",
}
"""What each stage is called, and the time in `models.machines.Stages` at which it was reached."""

STAGES = ["environment", "requested", *MACHINE_STAGES]
LOG_TAIL = 20


def start(
    spec: ClusterSpec,
    name: str | None,
    workspace: str,
    environment: str | None,
    link: Connection,
    stages: Stages,
    *,
    confirmed: bool,
) -> Cluster:
    """Say what it will cost, capture the environment, unless the hash of one is given, and ask for the cluster.

    Raises
    ------
    InvalidRequest
        It may cost more than the workspace lets pass without ``confirmed``.
    """
    stages.expect(STAGES)
    quote = clusters.quote(spec, workspace, connection=link)
    stages.note(quote.placement.why)
    stages.note(price(quote, spec))
    quote.check(confirmed=confirmed)
    stages.begin("environment")
    if environment is None:
        environment = _send_environment(workspace, link, stages)
    stages.finish("environment", environment[:12])
    stages.begin("requested")
    cluster = clusters.create(spec, environment, name, workspace, confirmed=confirmed, connection=link)
    stages.left_behind = still_running(cluster)
    stages.finish("requested", f"{len(cluster.machines)} machines")
    return cluster


def _send_environment(workspace: str, link: Connection, stages: Stages) -> str:
    def progress(text: str) -> None:
        stages.begin("environment", text)

    captured = environments.capture_here(progress=progress)
    for warning in captured.warnings:
        stages.note(warning)
    return environments.ensure(link, workspace, captured, progress)


def wait_for(cluster: Cluster, wait: Wait, link: Connection, stages: Stages) -> Cluster:
    """Follow a cluster until it can work: the scheduler and one worker, or every worker for ``"all"``.

    Raises
    ------
    MachineLost, EnvironmentFailed
        It stopped before that; says why, with the end of its machine's log.
    """
    said = set(cluster.notices)
    newest = cluster
    stages.left_behind = still_running(cluster)
    for newest in clusters.follow(cluster, connection=link):
        if newest.target == ClusterTarget.stopped:
            break
        for notice in [text for text in newest.notices if text not in said]:
            said.add(notice)
            stages.note(notice)
        if _show(newest, wait, stages) and newest.status == ClusterStatus.running:
            return newest
    raise _failure(newest, link)


def price(quote: Quote, spec: ClusterSpec) -> str:
    """What it costs per hour, and until the idle stop if nothing is done with it."""
    text = f"{quote.machines} machines, {money.show(quote.rate, quote.currency)} per hour"
    if quote.most > quote.rate:
        text += f", at most {money.show(quote.most, quote.currency)}"
    if not spec.idle_timeout:
        return f"{text}; no idle stop: it runs until it is stopped or a budget ends it."
    until = money.cost(quote.rate, round(spec.idle_timeout * 1000))
    idle = duration(spec.idle_timeout)
    return f"{text}; unused, it stops itself after {idle} ({money.show(until, quote.currency)})."


def still_running(cluster: Cluster) -> str:
    """What goes on when the waiting ends, and how to end that too."""
    idle = cluster.spec.idle_timeout
    itself = f"It stops itself after {duration(idle)} without work. " if idle else ""
    return (
        f"Cluster {cluster.name} goes on without this process. {itself}"
        f"Stop it now: amasia cluster stop {cluster.name}. Join it: amasia.Cluster(name={cluster.name!r})."
    )


def stage_seconds(cluster: Cluster, wait: Wait = True) -> dict[str, float]:
    """How long each stage took that was reached, for the machines that are waited for."""
    seconds: dict[str, float] = {}
    before = _reached(cluster, "requested", wait)
    for stage, field in MACHINE_STAGES.items():
        reached = _reached(cluster, field, wait)
        if before is None or reached is None:
            break
        seconds[stage] = max(0.0, (reached - before).total_seconds())
        before = max(before, reached)
    return seconds


def differs(asked: ClusterSpec, cluster: Cluster) -> str:
    """What was asked for and is otherwise in a cluster that runs already; only what was changed from the defaults."""
    plain = ClusterSpec()
    parts = []
    for field in ClusterSpec.model_fields:
        wish, found = getattr(asked, field), getattr(cluster.spec, field)
        if wish not in (getattr(plain, field), found):
            show = _groups if field == "worker_groups" else format_bytes if field.endswith("memory") else str
            parts.append(f"{field} is {show(found)} (asked for: {show(wish)})")
    return f"Joined {cluster.name} as it is: {'; '.join(parts)}." if parts else ""


def _groups(groups: dict[str, WorkerGroup]) -> str:
    return ", ".join(f"{kind.n_workers} {name}" for name, kind in groups.items()) or "none"


def _show(cluster: Cluster, wait: Wait, stages: Stages) -> bool:
    """Put what was reached into the stages; True when all were."""
    seconds = stage_seconds(cluster, wait)
    machines = _wanted(cluster)
    for stage, field in MACHINE_STAGES.items():
        count = f"{sum(getattr(machine.stages, field) is not None for machine in machines)} of {len(machines)} machines"
        if stage not in seconds:
            stages.begin(stage, count)
            return False
        stages.finish(stage, count, seconds=seconds[stage])
    return True


def _wanted(cluster: Cluster) -> list[Machine]:
    return [machine for machine in cluster.machines if machine.target == MachineTarget.running]


def _reached(cluster: Cluster, field: str, wait: Wait) -> datetime | None:
    """When the scheduler and as many workers as are waited for had all reached a stage."""
    needed = cluster.wanted_workers if wait == "all" else min(1, cluster.wanted_workers)
    machines = _wanted(cluster)
    times: dict[MachineRole, list[datetime]] = {MachineRole.scheduler: [], MachineRole.worker: []}
    for machine in machines:
        if time := getattr(machine.stages, field):
            times[machine.role].append(time)
    if not times[MachineRole.scheduler] or len(times[MachineRole.worker]) < needed:
        return None
    return max(times[MachineRole.scheduler] + sorted(times[MachineRole.worker])[:needed])


def _failure(cluster: Cluster, link: Connection) -> AmasiaError:
    ended = sorted((machine for machine in cluster.machines if machine.reason), key=lambda machine: machine.role)
    machine = ended[0] if ended else None
    reason = cluster.reason or (machine.reason if machine else "") or "nobody said why"
    tail = _tail(cluster, machine, link)
    building = machine and machine.stages.joined and not machine.stages.environment_ready
    text = f"Cluster {cluster.name} stopped before it could work: {reason.rstrip('.')}."
    if tail:
        text += "\nThe end of its machine's log:\n" + "\n".join(f"  {line}" for line in tail) + "\n"
    return (EnvironmentFailed if building else MachineLost)(
        text, cure=f"The whole log: amasia cluster logs {cluster.id}", cluster=cluster.id, reason=reason, log=tail
    )


def _tail(cluster: Cluster, machine: Machine | None, link: Connection) -> list[str]:
    try:
        lines = clusters.log(cluster.id, cluster.workspace, machine=machine.id if machine else None, connection=link)
    except AmasiaError:  # the reason is worth more than its log
        return []
    return [line.text for line in lines[-LOG_TAIL:]]
