"""A Dask scheduler and workers."""

from enum import StrEnum

from pydantic import Field, model_validator

from amasia.models.base import Model, Name, Time
from amasia.models.locations import Arch
from amasia.models.machines import Machine, MachineRole
from amasia.models.placements import Placement, Spot, Wants

SCHEDULER_CPUS = 1.0


class ClusterStatus(StrEnum):
    starting = "starting"
    running = "running"
    stopping = "stopping"
    stopped = "stopped"


class ClusterTarget(StrEnum):
    running = "running"
    stopped = "stopped"


class ClusterSpec(Model):
    """What is wished for."""

    n_workers: int = Field(default=2, ge=0, le=1000)
    worker_cpu: float = Field(default=1, gt=0)
    worker_memory: int = Field(default=1 << 30, gt=0)
    """Bytes."""
    scheduler_memory: int = Field(default=1 << 30, gt=0)
    minimum: int | None = Field(default=None, ge=0, le=1000)
    """With ``maximum``: adaptive scaling between the two; None for a fixed size."""
    maximum: int | None = Field(default=None, ge=0, le=1000)
    idle_timeout: float = Field(default=1200, ge=0)
    """Seconds without work after which the cluster stops itself; 0 for never (its lease and budget still end it)."""
    location: Name | None = None
    worker_gpu: int = Field(default=0, ge=0, le=64)
    arch: Arch = "x86_64"
    machine_type: tuple[Name, ...] = Field(default=(), max_length=50)
    """Workers are of one of these types; empty for any that is large enough."""
    spot: Spot = "no"
    """Workers may be machines that can be taken back, for less; the scheduler never is."""
    near: str = ""
    """``workspace/repository`` whose data are computed on: placement counts what it costs to carry them away."""
    shared: bool = False
    """Other members of the workspace may connect. Their tasks can then reach each other's client processes."""
    refresh: str = ""
    """``view/refresh`` that its scheduler's machine does as the owner; the cluster ends with it. Empty for none."""

    def wants(self, role: MachineRole) -> Wants:
        """What a machine of this role is to have."""
        if role is MachineRole.scheduler:
            return Wants(cpus=SCHEDULER_CPUS, memory=self.scheduler_memory, arch=self.arch)
        return Wants(
            cpus=self.worker_cpu,
            memory=self.worker_memory,
            gpus=self.worker_gpu,
            arch=self.arch,
            machine_types=self.machine_type,
            spot=self.spot,
        )

    @model_validator(mode="after")
    def both_or_none(self) -> "ClusterSpec":
        if (self.minimum is None) != (self.maximum is None):
            raise ValueError("adaptive scaling needs both minimum and maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) is greater than maximum ({self.maximum})")
        return self


class ClusterRequest(Model):
    name: Name | None = None
    environment_hash: str
    spec: ClusterSpec = ClusterSpec()


class ScaleRequest(Model):
    """Either ``n_workers`` or both ``minimum`` and ``maximum``."""

    n_workers: int | None = Field(default=None, ge=0, le=1000)
    minimum: int | None = Field(default=None, ge=0, le=1000)
    maximum: int | None = Field(default=None, ge=0, le=1000)

    @model_validator(mode="after")
    def one_of(self) -> "ScaleRequest":
        adaptive = self.minimum is not None and self.maximum is not None
        if (self.n_workers is not None) == adaptive:
            raise ValueError("give n_workers, or minimum and maximum")
        if adaptive and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError(f"minimum ({self.minimum}) is greater than maximum ({self.maximum})")
        return self


class Cluster(Model):
    id: str
    workspace: Name
    name: Name
    owner: Name
    status: ClusterStatus
    target: ClusterTarget
    spec: ClusterSpec
    environment_hash: str
    wanted_workers: int
    scheduler_address: str = ""
    dashboard_address: str = ""
    placement: Placement | None = None
    """Where its machines are, and why there."""
    rate: int = 0
    """Micro-units per hour of the machines it has now."""
    amount: int = 0
    """Charged so far."""
    milliseconds: int = 0
    """Machine time charged so far."""
    reason: str = ""
    created_at: Time
    stopped_at: Time | None = None
    machines: tuple[Machine, ...] = ()
    notices: tuple[str, ...] = ()
    version: str = ""
    """Differs whenever anything but metrics and money differs; see ``?wait=``."""


class Security(Model):
    """What a Dask client needs to connect. Given to the owner only, or to members of a shared cluster's workspace."""

    scheduler_address: str
    tls_ca: str
    tls_certificate: str
    tls_key: str = Field(repr=False)
    gateway: str = ""
    """Where the scheduler is reached when its address is not, see `models.tunnels.gateway_url`; empty for nowhere."""
    warning: str = ""
