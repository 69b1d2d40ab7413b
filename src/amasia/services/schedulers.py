"""What a cluster's scheduler says of itself, and what it is told: size, idleness, drained workers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from amasia.database import clusters, events, machines
from amasia.models.clusters import ClusterSpec, ClusterStatus
from amasia.models.machines import Heartbeat, Machine


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
    wanted = _clamp(cluster.spec, report.wanted_workers)
    if wanted is not None and wanted != cluster.wanted_workers:
        changes["wanted_workers"] = wanted
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


def size(spec: ClusterSpec, wanted: int, leaving: Sequence[str] = ()) -> dict[str, Any]:
    """What the scheduler is told about its size, and who leaves."""
    told: dict[str, Any] = {"idle_timeout": spec.idle_timeout, "leaving": list(leaving)}
    if spec.minimum is None:
        return told | {"n_workers": wanted}
    return told | {"minimum": spec.minimum, "maximum": spec.maximum}


def is_steady(spec: ClusterSpec, *, wanted: int, running: bool, addresses: tuple[str, str], beat: Heartbeat) -> bool:
    """Whether `take` would change nothing."""
    report, process = beat.scheduler, beat.process
    assert report is not None
    told = process.status == "running" and process.address != ""
    return (
        not (report.retire or report.driver)
        and (not told or (running and addresses == (process.address, process.dashboard_address)))
        and _clamp(spec, report.wanted_workers) in (None, wanted)
        and not (spec.idle_timeout and report.idle_seconds > spec.idle_timeout)
    )


def _clamp(spec: ClusterSpec, wanted: int | None) -> int | None:
    if wanted is None or spec.minimum is None or spec.maximum is None:
        return None
    return max(spec.minimum, min(spec.maximum, wanted))
