"""Views: derived datasets that are kept current from their source's commits."""

from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model, Name, Time

LONGEST_FUNCTION = (4 << 20) // 3
"""Letters of base64 for one MiB."""


class ViewKind(StrEnum):
    """How an output region depends on input regions, and so what a change costs."""

    elementwise = "elementwise"
    """Each output step from the same input step."""
    window = "window"
    """Rolling: each output step from its neighbours (a halo)."""
    coarsen = "coarsen"
    resample = "resample"
    reduction = "reduction"
    """One value for the whole dimension, kept as a running state."""
    groupby = "groupby"
    """A climatology: a running state for each group."""
    regrid = "regrid"
    general = "general"
    """A function whose author declared what depends on what."""


class Trigger(StrEnum):
    commit = "commit"
    schedule = "schedule"
    manual = "manual"


class ViewRequest(Model):
    name: Name
    source: str
    """``workspace/repository``."""
    source_group: str = "/"
    target: str
    target_group: str = "/"
    along: str
    """The dimension that the source grows along."""
    kind: ViewKind
    plan: str = ""
    """Which output region depends on which input region, in the planner's words."""
    function: str = Field(repr=False, min_length=1, max_length=LONGEST_FUNCTION)
    """The definition by cloudpickle, in base64; it runs on machines only, never in the control plane."""
    environment_hash: str
    trigger: Trigger = Trigger.commit
    schedule: str = ""
    """Cron's five fields, for a trigger of that kind."""
    workers: int = Field(default=0, ge=0)
    """0 for one machine without a cluster's workers."""
    worker_memory: int = Field(default=0, ge=0)
    """Bytes of each worker, or of the one machine; 0 for the default."""
    location: Name | None = None


class ViewChange(Model):
    """Let it rest, or go on."""

    paused: bool


class ViewStatus(StrEnum):
    current = "current"
    behind = "behind"
    """The source has commits that are not applied."""
    refreshing = "refreshing"
    failed = "failed"
    """The last refresh ended with an error; `reason` says which."""
    paused = "paused"


class View(Model):
    id: str
    workspace: Name
    name: Name
    source: str
    source_group: str = "/"
    target: str
    target_group: str = "/"
    along: str
    kind: ViewKind
    plan: str = ""
    environment_hash: str
    trigger: Trigger
    schedule: str = ""
    workers: int = 0
    worker_memory: int = 0
    location: str | None = None
    owner: Name
    status: ViewStatus
    target_status: ViewStatus = ViewStatus.current
    """``paused`` where it should rest."""
    snapshot: str = ""
    """The newest source snapshot that the target holds."""
    reason: str = ""
    retry_at: Time | None = None
    """After a failure: when it is tried again by itself, where trying again may help."""
    next_at: Time | None = None
    """Of a schedule."""
    newest: str = ""
    """The source's newest snapshot that the control plane knows of."""
    lag: int = 0
    """Commits of the source that are not applied."""
    created_at: Time

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"


class Applied(Model):
    """One source commit, brought into the target in one commit."""

    source_snapshot: str
    """The source commit that was applied."""
    before: str = ""
    """The source snapshot that the target held before; empty for the first."""
    target_snapshot: str
    whole: bool = False
    """Everything was computed: the first time, or the change could not be bounded."""
    computed: tuple[str, ...] = ()
    """Output regions that were computed, in words: ``t2m time[120:132]``."""
    skipped: str = ""
    """What was left as it is, and why, in words."""
    nbytes_read: int = 0
    nbytes_written: int = 0
    seconds: float = 0.0


class RefreshStatus(StrEnum):
    requested = "requested"
    """A wish; no machine is asked yet, or its machine has not begun."""
    running = "running"
    done = "done"
    failed = "failed"


class Refresh(Model):
    """One going over the source commits that a view's target did not have."""

    id: str
    view: Name
    workspace: Name
    status: RefreshStatus
    trigger: Trigger
    by: Name
    """Who asked; for a trigger of its own, the view's owner."""
    from_snapshot: str = ""
    """The source snapshot that the target held before."""
    to_snapshot: str = ""
    """The source's newest at its beginning; at its end, what the target holds."""
    applied: tuple[Applied, ...] = ()
    amount: int = 0
    """Micro-units that its machines cost."""
    milliseconds: int = 0
    """Machine time; for one in somebody's own process, how long it took."""
    tries: int = 0
    """Machines that it was lost with."""
    reason: str = ""
    requested_at: Time
    began_at: Time | None = None
    ended_at: Time | None = None
    cluster_id: str | None = None
    """None where it ran in somebody's own process."""


class ClaimRequest(Model):
    refresh: str | None = None
    """The id of one that waits for this machine; None to begin one here."""


class Claim(Model):
    """The right to refresh a view for a while, and what is needed for it. Given to the view's owner only."""

    secret: str = Field(repr=False)
    view: View
    refresh: Refresh
    function: str = Field(repr=False)
    until: Time
    """Renewed before this, or else somebody else may begin."""


class Renewal(Model):
    secret: str = Field(repr=False)


class RefreshDone(Model):
    """How a refresh ended: ``reason`` is empty where it went well."""

    secret: str = Field(repr=False)
    applied: tuple[Applied, ...] = Field(default=(), max_length=100_000)
    snapshot: str = ""
    """The source snapshot that the target holds now."""
    reason: str = ""
    again: bool = False
    """The failure is none of the function's or the data's: the same may go well later."""
