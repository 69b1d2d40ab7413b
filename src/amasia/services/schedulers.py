"""What a cluster's scheduler says of itself, and what it is told: size, idleness, drained workers."""

from typing import Any

from sqlalchemy import Connection

from amasia.database import clusters, events, locations, machines
from amasia.models.clusters import Cluster, ClusterStatus
from amasia.models.machines import Heartbeat, Machine, SchedulerReport


def take(tx: Connection, machine: Machine, beat: Heartbeat) -> None:
    """Take down the scheduler's report: addresses, adaptive target, drained workers, idleness."""
    cluster = clusters.find(tx, machine.cluster_id)
    report = beat.scheduler
    assert cluster is not None
    assert report is not None
    changes: dict[str, Any] = {}
    if beat.process.status == "running" and beat.process.address:
        changes["scheduler_address"] = beat.process.address
        changes["dashboard_address"] = beat.process.dashboard_address
        if cluster.status is ClusterStatus.starting:
            changes["status"] = ClusterStatus.running
    if sizes := _adapted(cluster, report):
        changes |= cluster.sized(sizes)
    changed = {key: value for key, value in changes.items() if getattr(cluster, key) != value}
    if changed:
        clusters.update(tx, cluster.id, **changed)
    if report.retire:
        drained = [worker for worker in machines.of_cluster(tx, cluster.id) if worker.id in report.retire]
        leaving = [worker.id for worker in drained if worker.stages.leaves]
        machines.wish_stop(tx, leaving, "it was drained: its provider takes it back")
        machines.wish_stop(tx, {worker.id for worker in drained} - set(leaving),
                           "it was drained: the cluster was made smaller")  # fmt: skip
    if report.driver and clusters.wish_stop(tx, cluster.id, report.driver):
        events.append(tx, actor="amasia", verb="cluster.stop", target=cluster.id, workspace=cluster.workspace,
                      reason=report.driver)  # fmt: skip
    limit = cluster.spec.idle_timeout
    if limit and report.idle_seconds > limit:
        reason = f"it was idle for {report.idle_seconds:.0f} s (idle_timeout is {limit:.0f} s)"
        if clusters.wish_stop(tx, cluster.id, reason):
            events.append(tx, actor="amasia", verb="cluster.stop", target=cluster.id, workspace=cluster.workspace,
                          reason=reason)  # fmt: skip


def wish(tx: Connection, cluster: Cluster) -> dict[str, Any]:
    """What the scheduler is told about its size, and who leaves."""
    size: dict[str, Any] = {"idle_timeout": cluster.spec.idle_timeout, "leaving": machines.leaving(tx, cluster.id)}
    groups = {name: _size(cluster, name) for name in cluster.spec.worker_groups}
    boot = {} if cluster.spec.is_fixed else {"boot_seconds": locations.boot_seconds(tx, cluster.id)}
    return size | boot | _size(cluster, "") | {"groups": groups}


def _size(cluster: Cluster, group: str) -> dict[str, Any]:
    kind = cluster.spec.groups[group]
    if kind.minimum is None:
        return {"n_workers": cluster.wanted(group), "gpus": kind.worker_gpu}
    threads = max(1, int(kind.worker_cpu))
    return {"minimum": kind.minimum, "maximum": kind.maximum, "gpus": kind.worker_gpu, "threads": threads}


def _adapted(cluster: Cluster, report: SchedulerReport) -> dict[str, int]:
    """How many workers the scheduler wants of each kind that it scales by load."""
    asked = report.wanted_groups | ({} if report.wanted_workers is None else {"": report.wanted_workers})
    groups = cluster.spec.groups
    return {
        name: groups[name].clamp(wanted)
        for name, wanted in asked.items()
        if name in groups and groups[name].minimum is not None
    }
