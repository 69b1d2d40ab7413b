"""A Dask scheduler and workers."""

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from amasia.errors import InvalidRequest
from amasia.models.base import Model, Name, Time
from amasia.models.budgets import check_tag
from amasia.models.locations import Arch
from amasia.models.machines import Machine, MachineRole
from amasia.models.money import show
from amasia.models.placements import Placement, Spot, Wants
from amasia.models.secrets import MOST, SecretName
from amasia.models.sizes import GIB

SCHEDULER_CPUS = 1.0
GPU = "GPU"
"""What Dask calls GPUs where tasks ask for them."""


class ClusterStatus(StrEnum):
    starting = "starting"
    running = "running"
    stopping = "stopping"
    stopped = "stopped"


class ClusterTarget(StrEnum):
    running = "running"
    stopped = "stopped"


class WorkerGroup(Model):
    """Workers of one kind, beside those of other kinds in the same cluster."""

    n_workers: int = Field(default=1, ge=0, le=1000)
    worker_cpu: float = Field(default=1, gt=0)
    worker_memory: int = Field(default=GIB, gt=0)
    """Bytes."""
    worker_gpu: int = Field(default=0, ge=0, le=64)
    machine_type: tuple[Name, ...] = Field(default=(), max_length=50)
    spot: Spot = "no"
    minimum: int | None = Field(default=None, ge=0, le=1000)
    """With ``maximum``: adaptive scaling between the two, by the tasks that ask for this group."""
    maximum: int | None = Field(default=None, ge=0, le=1000)

    @model_validator(mode="after")
    def both_or_none(self) -> Self:
        if (self.minimum is None) != (self.maximum is None):
            raise ValueError("adaptive scaling needs both minimum and maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) is greater than maximum ({self.maximum})")
        return self

    @property
    def first_size(self) -> int:
        """How many there are to be at the beginning."""
        return self.clamp(self.n_workers)

    def clamp(self, wanted: int) -> int:
        """Within the minimum and the maximum, where there are such."""
        if self.minimum is None or self.maximum is None:
            return wanted
        return max(self.minimum, min(self.maximum, wanted))


class ClusterSpec(WorkerGroup):
    """What is wished for. The sizes that it gives itself are those of the workers that are in no named group."""

    n_workers: int = Field(default=2, ge=0, le=1000)
    worker_groups: dict[Name, WorkerGroup] = Field(default={}, max_length=20)
    """Workers of other kinds, by the names that tasks ask for them by."""
    scheduler_memory: int = Field(default=GIB, gt=0)
    idle_timeout: float = Field(default=1200, ge=0)
    """Seconds without work after which the cluster stops itself; 0 for never (its lease and budget still end it)."""
    location: Name | None = None
    arch: Arch = "x86_64"
    near: str = ""
    """``workspace/repository`` whose data are computed on: placement counts what it costs to carry them away."""
    shared: bool = False
    """Other members of the workspace may connect. Their tasks can then reach each other's client processes."""
    refresh: str = ""
    """``view/refresh`` that its scheduler's machine does as the owner; the cluster ends with it. Empty for none."""

    secrets: tuple[SecretName, ...] = Field(default=(), max_length=MOST)
    """Names of secrets that its owner may use: variables of its processes."""

    tags: dict[str, str] = Field(default={}, max_length=20)
    """``{"project": "x"}``: budgets and bills go by them."""

    @field_validator("tags")
    @classmethod
    def tagged(cls, value: dict[str, str]) -> dict[str, str]:
        for key, word in value.items():
            check_tag(f"{key}={word}")
            if "=" in key:
                raise ValueError(f"the key of the tag {key!r} has a '=' in it")
        return value

    @property
    def groups(self) -> dict[str, WorkerGroup]:
        """All kinds of workers by name; those that are in no named group have the empty one."""
        return {"": self, **self.worker_groups}

    @property
    def is_fixed(self) -> bool:
        """Whether none of its sizes goes by the load."""
        return all(kind.minimum is None for kind in self.groups.values())

    def wants(self, role: MachineRole, group: str = "") -> Wants:
        """What a machine of this role and group is to have."""
        if role is MachineRole.scheduler:
            return Wants(cpus=SCHEDULER_CPUS, memory=self.scheduler_memory, arch=self.arch)
        kind = self.groups[group]
        return Wants(
            cpus=kind.worker_cpu,
            memory=kind.worker_memory,
            gpus=kind.worker_gpu,
            arch=self.arch,
            machine_types=kind.machine_type,
            spot=kind.spot,
        )

    def resized(self, group: str, size: dict[str, int | None]) -> Self:
        """With other numbers for one kind of worker."""
        if not group:
            return self.model_copy(update=size)
        changed = self.worker_groups[group].model_copy(update=size)
        return self.model_copy(update={"worker_groups": {**self.worker_groups, group: changed}})


class ClusterRequest(Model):
    name: Name | None = None
    environment_hash: str
    spec: ClusterSpec = ClusterSpec()
    confirmed: bool = False
    """Whoever asks knows what it may cost; needed above the workspace's `confirm_above`."""


class Quote(Model):
    """What a cluster would cost, before anything starts. Amounts are micro-units."""

    placement: Placement
    machines: int
    """To begin with."""
    rate: int
    """Per hour of these."""
    most: int
    """Per hour, if it grows to its maximum."""
    confirm_above: int
    currency: str

    @property
    def asks(self) -> bool:
        """Whether it is to be confirmed."""
        return self.most > self.confirm_above

    def check(self, *, confirmed: bool) -> None:
        """Refuse what is to be confirmed and was not.

        Raises
        ------
        InvalidRequest
        """
        if self.asks and not confirmed:
            raise InvalidRequest(
                f"This may cost {show(self.most, self.currency)} per hour, and here what costs more than "
                f"{show(self.confirm_above, self.currency)} is to be confirmed.",
                cure="Start it with confirm=True or --yes, or ask for less.",
                most=self.most,
            )


class ScaleRequest(Model):
    """Either ``n_workers`` or both ``minimum`` and ``maximum``."""

    n_workers: int | None = Field(default=None, ge=0, le=1000)
    minimum: int | None = Field(default=None, ge=0, le=1000)
    maximum: int | None = Field(default=None, ge=0, le=1000)
    worker_group: str = Field(default="", max_length=63)
    """Which workers; empty for those that are in no named group."""

    @model_validator(mode="after")
    def one_of(self) -> "ScaleRequest":
        given = [one is not None for one in (self.minimum, self.maximum)]
        if not (all(given) if self.n_workers is None else not any(given)):
            raise ValueError("give n_workers, or minimum and maximum")
        if all(given) and self.minimum > self.maximum:  # type: ignore[operator]
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
    """In all groups together."""
    wanted_groups: dict[str, int] = {}
    """Of them, how many in each named group."""
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
    ends_at: Time | None = None
    """A budget does not let it go on: it works until then, on time that is paid for. None while it may go on."""
    machines: tuple[Machine, ...] = ()
    notices: tuple[str, ...] = ()
    version: str = ""
    """Differs whenever anything but metrics and money differs; see ``?wait=``."""

    def wanted(self, group: str) -> int:
        """Workers that are wanted in a group; of the empty name: in none."""
        return self.wanted_groups.get(group, 0) if group else self.wanted_workers - sum(self.wanted_groups.values())

    def sized(self, sizes: dict[str, int]) -> dict[str, Any]:
        """The fields that say how many are wanted, with other numbers for these groups."""
        groups = {name: sizes.get(name, self.wanted(name)) for name in self.spec.worker_groups}
        return {"wanted_workers": sizes.get("", self.wanted("")) + sum(groups.values()), "wanted_groups": groups}


class Security(Model):
    """What a Dask client needs to connect. Given to the owner only, or to members of a shared cluster's workspace."""

    scheduler_address: str
    tls_ca: str
    tls_certificate: str
    tls_key: str = Field(repr=False)
    gateway: str = ""
    """Where the scheduler is reached when its address is not, see `models.tunnels.gateway_url`; empty for nowhere."""
    warning: str = ""
