"""Views: derived datasets that are kept current from their source's commits."""

from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model, Name, Time


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
    function: str = Field(repr=False)
    """The definition by cloudpickle, in base64; it runs on machines only, never in the control plane."""
    environment_hash: str
    trigger: Trigger = Trigger.commit
    schedule: str = ""
    """Cron's five fields, for a trigger of that kind."""
    workers: int = Field(default=0, ge=0)
    """0 for one machine without a cluster's workers."""
    worker_memory: int = 0
    location: str | None = None


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
