"""How the pages say times and reasons."""

from datetime import datetime

from amasia.models.base import now
from amasia.models.clusters import Cluster, ClusterStatus, ClusterTarget
from amasia.models.machines import MachineRole, MachineStatus

IDLE = 60
"""Seconds without work after which a page calls a cluster idle."""


def span(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2 h 10 min``, ``3 d 4 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def ago(at: datetime) -> str:
    """The largest unit alone, since nobody asks for more."""
    seconds = (now() - at).total_seconds()
    if seconds < 5:
        return "just now"
    return f"{' '.join(span(seconds).split()[:2])} ago"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def told(value: object) -> str:
    """What an event's detail says, in words; nothing where it says nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key} {text}" for key, one in value.items() if (text := told(one)))
        case list():
            return ", ".join(map(told, value))
    return str(value)


def why(cluster: Cluster) -> str:
    """What keeps a cluster there, or what ends it."""
    if cluster.target is ClusterTarget.stopped:
        return f"ends: {cluster.reason or 'no reason was given'}"
    if cluster.ends_at is not None:
        return f"works until {moment(cluster.ends_at)}: {cluster.reason}"
    if cluster.status is ClusterStatus.starting:
        late = sum(one.status not in (MachineStatus.running, MachineStatus.stopped) for one in cluster.machines)
        return f"starts: {late} of its machines {'is' if late == 1 else 'are'} on the way"
    if cluster.spec.refresh:
        return f"refreshes the view {cluster.spec.refresh.partition('/')[0]}"
    idle = max((one.metrics.idle_seconds for one in cluster.machines if one.role is MachineRole.scheduler), default=0)
    if idle < IDLE:
        return "has work"
    limit = cluster.spec.idle_timeout
    return f"has been idle for {span(idle)}, " + (
        f"stops itself in {span(limit - idle)}" if limit else "never stops itself"
    )
