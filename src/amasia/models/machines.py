"""One VM, host slot or Slurm task: owner, type, price per hour, lease, reason of death."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.environments import Environment
from amasia.models.locations import Offer


class MachineRole(StrEnum):
    scheduler = "scheduler"
    worker = "worker"
    warm = "warm"
    """Neither yet: it is kept for the next cluster."""


class MachineStatus(StrEnum):
    requested = "requested"
    """A wish and a reservation; no provider was asked yet."""
    starting = "starting"
    """The provider is being asked, or was asked and the answer was lost."""
    booting = "booting"
    """The provider has it; its agent has not joined yet."""
    preparing = "preparing"
    """The agent joined and builds the environment."""
    running = "running"
    """Its process is up."""
    stopping = "stopping"
    """The provider was asked to end it."""
    stopped = "stopped"
    """The provider no longer has it and its charges are settled. Final."""


class MachineTarget(StrEnum):
    running = "running"
    stopped = "stopped"


FINAL = ("failed", "exited")
"""Statuses of a process that is not started again."""

ALIVE = (MachineStatus.starting, MachineStatus.booting, MachineStatus.preparing, MachineStatus.running,
         MachineStatus.stopping)  # fmt: skip
"""A provider may have it: it is looked for, and it costs."""


STAGES = ("accepted", "booted", "joined", "environment_ready", "process_up")
"""In their order, by the moment that ends each of them."""


class Step(Model):
    """One stage of a machine's way from the wish to the work."""

    stage: str
    """One of `STAGES`."""
    seconds: float
    over: bool


class Stages(Model):
    """When each stage was reached."""

    requested: Time
    accepted: Time | None = None
    """The provider said that it will make it."""
    booted: Time | None = None
    """Its system was up, and its boot script began."""
    joined: Time | None = None
    environment_ready: Time | None = None
    process_up: Time | None = None
    leaves: Time | None = None
    """When its provider takes it back, where it has announced that: its work goes to others before."""

    def steps(self, end: datetime) -> tuple["Step", ...]:
        """How long each stage took that was entered; the one that goes on, until ``end``."""
        begin, steps = self.requested, []
        for stage in STAGES:
            reached: datetime | None = getattr(self, stage)
            if reached is None and stage == "booted":
                continue  # there is no system of its own to boot, or it was not up yet: part of the next one
            steps.append(Step(stage=stage, seconds=_between(begin, reached or end), over=reached is not None))
            if reached is None:
                break
            begin = reached
        return tuple(steps)


def _between(begin: datetime, end: datetime) -> float:
    """Seconds; none where two clocks disagree."""
    return max(0.0, (end - begin).total_seconds())


class Metrics(Model):
    """What the agent saw last."""

    memory: int = 0
    """Bytes used by the machine's processes."""
    memory_limit: int = 0
    cpu: float = 0.0
    """Cores busy."""
    busy_seconds: float = 0.0
    """Of processor, that all its processes have had since its agent began; over its life it tells how busy it was."""
    memory_peak: int = 0
    """Most bytes that were seen used."""
    watched_seconds: float = 0.0
    """How long the agent has watched the two; 0 for one that does not."""
    idle_seconds: float = 0.0
    """Of a scheduler: since anybody had work for it."""


class Machine(Model):
    id: str
    workspace: Name
    location: Name
    cluster_id: str
    """Empty while it is kept warm."""
    cluster: Name
    owner: Name
    role: MachineRole
    index: int
    group: str = ""
    """Name of the worker group; empty for a scheduler, and for workers that are in none."""
    status: MachineStatus
    target: MachineTarget
    machine_type: Name
    cpus: float
    memory: int
    price: int
    """Micro-units per hour at which every second of it is charged."""
    spot: bool = False
    """It costs less, and may be taken back: asked for so, or made so."""
    fallback: bool = False
    """Where no such machine can be had, one that is not taken back is started instead: ``price`` holds it too."""
    zone: str = ""
    """Part of the region that it is in, where there is such a choice."""
    alternatives: tuple[Offer, ...] = ()
    """Other types that would do as well and cost no more: the provider takes one of them where its own has no room."""
    tags: dict[str, str] = {}
    """Of its cluster: budgets and bills go by them."""
    groups: tuple[str, ...] = ()
    """Of members, that its owner was in when it was asked for: budgets and bills go by them too."""
    no_room: tuple[str, ...] = ()
    """Types that its provider had no room for."""
    handle: dict[str, Any] = {}
    """What the provider needs to find it again."""
    lease_until: Time | None = None
    """The machine ends itself at this time unless the lease is renewed. Paid for in advance."""
    started_at: Time | None = None
    stopped_at: Time | None = None
    last_heartbeat_at: Time | None = None
    address: str = ""
    """Of its Dask process."""
    reason: str = ""
    """Why it ended, in words a user understands."""
    stages: Stages
    metrics: Metrics = Metrics()

    @property
    def title(self) -> str:
        """``worker 3 of big``, as it is called beside others of its cluster."""
        number = f" {self.index}" if self.role is MachineRole.worker else ""
        return f"{self.role.value}{number}" + (f" of {self.group}" if self.group else "")

    def steps(self, at: datetime) -> tuple[Step, ...]:
        """How long each stage took that was entered; one that goes on, until ``at`` or the machine's end."""
        return self.stages.steps(self.stopped_at or at)


class Boot(Model):
    """All that a machine is told at its start. Everything else it asks for when it has joined."""

    machine_id: str
    control_plane: str
    """URL of the control plane as the machine sees it."""
    join_token: str = Field(repr=False)
    """Works once, for this machine only."""
    lease_until: Time
    cpus: float
    memory: int
    workspace: str = ""
    location: str = ""
    ca: str = ""
    """PEM of an authority to trust beside the system's; empty for none."""


class Found(Model):
    """A machine as its provider sees it."""

    machine_id: str
    alive: bool
    waiting: bool = False
    """It is in a queue: neither its lease nor its cost has begun."""
    started_at: Time | None = None
    stopped_at: Time | None = None
    """Best known moment of its end; None while alive or where the provider cannot tell."""
    reason: str = ""


class Join(Model):
    machine_id: str
    join_token: str = Field(repr=False)
    agent_version: str
    started_at: Time
    booted_at: Time | None = None
    """When the boot script began; None where there was none."""
    hostname: str = ""


class Assignment(Model):
    """The answer to a join: what this machine is for."""

    machine: Machine
    token: str = Field(repr=False)
    """The machine's own token, for everything it asks from now on."""
    environment_hash: str = ""
    environment: Environment | None = None
    """None for a warm machine where the workspace has none yet."""
    spec: dict[str, Any] = {}
    """The cluster's spec."""
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = Field(repr=False, default="")
    owner_token: str = Field(repr=False, default="")
    """Lets tasks open repositories as the cluster's owner; ends with the cluster."""
    scheduler_address: str = ""
    """Empty for the scheduler itself, and for workers until it is known."""
    heartbeat_seconds: float = 2.0
    gateway: str = ""
    """Where a scheduler's machine offers its streams, see `models.tunnels.gateway_url`; empty for nowhere."""


class ProcessReport(Model):
    """What the agent knows of the Dask process of its machine."""

    status: str = "preparing"
    """preparing, running, failed or exited; warm where the agent knows of no cluster."""
    address: str = ""
    dashboard_address: str = ""
    reason: str = ""


class SchedulerReport(Model):
    """What the scheduler says of itself, from beside it."""

    idle_seconds: float = 0.0
    """Since the last task ended or client asked for something; 0 while busy."""
    wanted_workers: int | None = None
    """How many workers adaptive scaling asks for, of those in no named group; None where it is off."""
    wanted_groups: dict[str, int] = {}
    """The same for named groups, where it is on for them."""
    retire: tuple[str, ...] = ()
    """Machine ids of workers that were drained and may stop."""
    tasks: int = 0
    workers: int = 0
    clients: int = 0
    driver: str = ""
    """How the cluster's driver ended, in words; empty while it runs, and where there is none."""


class Death(Model):
    """One end of a Dask process on a machine, in words."""

    at: Time
    reason: str


class Heartbeat(Model):
    at: Time
    metrics: Metrics = Metrics()
    stages: dict[str, Time] = {}
    """Stages reached since the join: environment_ready, process_up; and leaves, when that was announced."""
    process: ProcessReport = ProcessReport()
    scheduler: SchedulerReport | None = None
    deaths: tuple[Death, ...] = ()
    """Since the last heartbeat that was answered."""
    log: str = ""
    """Lines since the last heartbeat that was answered."""


class Wishes(Model):
    """The answer to a heartbeat."""

    target: MachineTarget
    lease_until: Time
    taken: bool = False
    """It was warm, and a cluster took it: its assignment waits to be asked for."""
    scheduler_address: str = ""
    scale: dict[str, Any] = {}
    """For the scheduler: {"n_workers": 4} or {"minimum": 0, "maximum": 8}, "groups" with the same for each worker group
    by name, "boot_seconds" that a new machine most likely takes, "idle_timeout" in seconds, and "leaving": names of
    workers whose machines are taken back."""
    heartbeat_seconds: float = 0.0
    """Until the next heartbeat, where nothing changes before; 0 for as at the join."""
    notices: tuple[str, ...] = ()
    """For the scheduler: sentences to show to the clients (deaths of workers, budget warnings)."""


class LogLine(Model):
    id: int
    at: Time
    machine_id: str
    text: str
