# mypy: allow-untyped-calls
"""`Cluster`: a Dask cluster on machines that the control plane started."""

import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from types import TracebackType
from typing import Any, Self

from distributed.client import Client
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster as DaskCluster
from distributed.security import Security
from distributed.utils import Log, Logs

from amasia.client import budgets, clusters, comms, kinds, starting, timelines
from amasia.client.inputs import request
from amasia.client.progress import Stages
from amasia.client.sizes import memory, seconds
from amasia.client.starting import Wait
from amasia.client.transport import connect
from amasia.client.workspaces import current
from amasia.environments import versions
from amasia.errors import AmasiaError, Conflict, NotFound, Unavailable
from amasia.models import clusters as models
from amasia.models import money
from amasia.models.base import Model, now
from amasia.models.locations import Arch
from amasia.models.machines import Machine, MachineRole, MachineTarget
from amasia.models.tunnels import Service, of_client


class Cost(Model):
    """What a cluster has cost until now."""

    amount: int
    """Micro-units of the currency."""
    rate: int
    """Micro-units per hour of the machines it has now."""
    milliseconds: int
    """Machine time."""
    currency: str

    def __str__(self) -> str:
        return (
            f"{money.show(self.amount, self.currency)} for {self.milliseconds / 1000:,.1f} machine-seconds, "
            f"{money.show(self.rate, self.currency)} per hour now"
        )


class Cluster(DaskCluster):
    """A Dask scheduler and workers with your Python environment, until they are no longer used.

    Scaling by load and the stop when idle happen beside the scheduler: closing the laptop changes nothing. Leaving a
    ``with`` stops a cluster that it created; one that was joined by name goes on.

    Parameters
    ----------
    n_workers
        Worker machines, 0 to 1000. With ``minimum`` and ``maximum``, how many to begin with. None for 2, or
        for 0 beside ``worker_groups``.
    name
        Of the cluster. Where a live one of that name is in the workspace it is joined as it is, and told where it
        differs from what is asked for here. None for a made-up name.
    worker_cpu
        Cores of each worker; it runs one thread for each.
    worker_memory
        Of each worker: ``"1 GiB"``, ``"500 MB"`` or bytes, as `dask.utils.parse_bytes` reads them.
    minimum, maximum
        Scale by load between the two; None for a fixed size. The same as `adapt`.
    idle_timeout
        Stop after this long without work: ``"20 minutes"`` or seconds, as `dask.utils.parse_timedelta` reads them;
        None for never.
    worker_groups
        Workers of other kinds by name, each with some of ``n_workers`` (1 if left out), ``worker_cpu``,
        ``worker_memory``, ``worker_gpu``, ``machine_type``, ``spot``, ``minimum`` and ``maximum``. Tasks go there that
        ask for it: ``dask.annotate(resources={"big": 1})``.
    workspace
        None for that of the profile.
    worker_gpu
        GPUs of each worker. Tasks ask for them by ``resources={"GPU": 1}``.
    arch
        ``"x86_64"`` or ``"aarch64"``; your environment must be there for it.
    machine_type
        One or several types that workers may be of, as `locations.find` names them; empty for any that is large enough.
    spot
        True for workers that may be taken back, for less; ``"fallback"`` for such where there are any. The scheduler
        never is one.
    location
        Where the machines come from; None for the place where they cost least, the way of the data included.
    near
        ``"workspace/repository"`` of the data: placement counts what it costs to carry them to each location.
    shared
        Let other members of the workspace connect. Their tasks can then reach your client process.
    secrets
        Names of secrets that you may use (`secrets.find`): variables of its processes, and so of every task.
    tags
        Such as ``{"project": "x"}``: budgets and bills go by them.
    confirm
        True to start it whatever it costs per hour; above the workspace's threshold nothing starts without.
    environment
        Hash of one that the workspace has; None to capture that of this process.
    wait
        True to return when the scheduler and one worker run, ``"all"`` for all of them, False at once.
    quiet
        Show no progress.

    Raises
    ------
    BudgetExceeded
        The first leases of the machines do not fit into the budget. Nothing was started.
    TooLarge
        No location here has such machines.
    MachineLost, EnvironmentFailed
        It stopped while it was starting; says why, with the end of its machine's log.

    Examples
    --------
    >>> with amasia.Cluster(n_workers=4, worker_memory="4 GiB") as cluster:  # doctest: +SKIP
    ...     client = cluster.get_client()
    ...     client.submit(sum, [1, 2, 3]).result()

    Few workers with much memory beside many small ones that may be taken back:

    >>> groups = {"big": {"worker_memory": "64 GiB"}, "small": {"n_workers": 10, "worker_cpu": 2, "spot": True}}
    >>> cluster = amasia.Cluster(worker_groups=groups)  # doctest: +SKIP
    """

    created: bool
    """Whether this object created the cluster, and will stop it; False for one that was joined."""

    def __init__(
        self,
        n_workers: int | None = None,
        *,
        name: str | None = None,
        worker_cpu: float = 1,
        worker_memory: str | int = "1 GiB",
        minimum: int | None = None,
        maximum: int | None = None,
        idle_timeout: str | float | None = "20 minutes",
        worker_groups: Mapping[str, Mapping[str, Any]] | None = None,
        workspace: str | None = None,
        worker_gpu: int = 0,
        arch: Arch = "x86_64",
        machine_type: str | Sequence[str] = (),
        spot: kinds.MaySpot = False,
        location: str | None = None,
        near: str = "",
        shared: bool = False,
        secrets: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        confirm: bool = False,
        environment: str | None = None,
        wait: Wait = True,
        quiet: bool = False,
    ) -> None:
        spec = request(
            models.ClusterSpec,
            **kinds.sized(n_workers, beside=bool(worker_groups)),
            worker_groups={name: kinds.read(name, group) for name, group in (worker_groups or {}).items()},
            worker_cpu=worker_cpu,
            worker_memory=memory(worker_memory),
            minimum=minimum,
            maximum=maximum,
            idle_timeout=seconds(idle_timeout),
            worker_gpu=worker_gpu,
            arch=arch,
            machine_type=kinds.types(machine_type),
            spot=kinds.spot(spot),
            location=location,
            near=near,
            shared=shared,
            secrets=kinds.types(secrets),
            tags=dict(tags or {}),
        )
        self._link = connect()
        self._wait: Wait = wait
        self._confirm = confirm
        self._security: Security | None = None
        self._tunnelled = False
        title = f"Cluster {name}" if name else "Cluster"
        with Stages(title, quiet=quiet) as stages:
            self._found_or_started(spec, name, current(workspace), environment, stages)
            super().__init__(asynchronous=False, quiet=quiet, name=self._record.name)
            self._measured = stages.seconds
            self._loop_runner.start()
            if wait:
                self._connect_or_close(stages)
        # the text is for whoever ends the process without close(); close() detaches it
        farewell = (starting.still_running(self._record),) if self.created and not quiet else ()
        self._farewell = weakref.finalize(self, _say, *farewell)

    def _found_or_started(
        self, spec: models.ClusterSpec, name: str | None, workspace: str, environment: str | None, stages: Stages
    ) -> None:
        found = _live(name, workspace, self._link)
        if not found:
            try:
                self._record = starting.start(
                    spec, name, workspace, environment, self._link, stages, confirmed=self._confirm
                )
                self.created = True
                return
            except Conflict:
                found = _live(name, workspace, self._link)  # somebody made it in between
                if not found:
                    raise
        self._record, self.created = found, False
        if text := starting.differs(spec, found):
            stages.note(text)

    def wait(self) -> Self:
        """Wait until the scheduler and one worker run, and connect; at once when that was done."""
        if self._security is None:
            with Stages(f"Cluster {self.name}", quiet=self.quiet) as stages:
                self._connect(stages)
        return self

    def get_client(self) -> Client:
        """A Dask client of this cluster; the current one if it is. Waits until there is something to connect to."""
        self.wait()
        client: Client = super().get_client()
        return client

    @property
    def security(self) -> Security | None:
        """Keys for TLS, as a Dask client takes them. Waits until there is something to connect to."""
        self.wait()
        return self._security

    def _connect_or_close(self, stages: Stages) -> None:
        try:
            self._connect(stages)
        except BaseException:
            super().close()
            self._loop_runner.stop()
            raise

    def _connect(self, stages: Stages) -> None:
        if self.created or self._record.status != models.ClusterStatus.running:
            self._record = starting.wait_for(self._record, self._wait or True, self._link, stages)
        given = clusters.security(self._record.id, self._record.workspace, connection=self._link)
        if given.warning:
            stages.note(given.warning)
        security = Security(
            tls_ca_file=given.tls_ca,
            tls_client_cert=given.tls_certificate,
            tls_client_key=given.tls_key,
            require_encryption=True,
        )
        stages.begin("connected")
        try:
            address = self._reach(given, security)
            found = self.sync(self._open, address, security)
        except OSError as error:
            raise Unavailable(
                f"The scheduler of cluster {self.name} at {given.scheduler_address} did not answer: {error}.",
                cure=f"Can this computer reach it? {starting.still_running(self._record)}",
            ) from error
        stages.finish("connected", "through the gateway" if self._tunnelled else address)
        self._security = security
        self._measured |= stages.seconds
        for text in found:
            stages.note(text)

    def _reach(self, given: models.Security, security: Security) -> str:
        """The scheduler's own address where it answers, else one that goes through the gateway."""
        context = security.get_connection_args("client")["ssl_context"]
        self._tunnelled = bool(given.gateway) and not comms.answers(given.scheduler_address, context)
        if not self._tunnelled:
            return given.scheduler_address
        path = of_client(self._record.workspace, self._record.id, Service.scheduler)
        return comms.address(self._record.id, partial(self._link.reach, given.gateway, path))

    async def _open(self, address: str, security: Security) -> list[str]:
        self.scheduler_comm = rpc(address, connection_args=security.get_connection_args("client"))
        await super()._start()
        ask = {"packages": list(versions.NAMES)}
        workers = await self.scheduler_comm.broadcast(msg={"op": "versions", **ask}, on_error="return")
        answers = {"on the scheduler": await self.scheduler_comm.versions(**ask)}
        answers |= {f"on worker {address}": answer for address, answer in workers.items() if isinstance(answer, dict)}
        ours = versions.here()
        found = {where: _versions(answer["packages"]) for where, answer in answers.items()}
        return [text for where, theirs in found.items() for text in versions.differences(ours, theirs, where)]

    @property
    def id(self) -> str:
        """Never used twice; the name is free again when the cluster has stopped."""
        return self._record.id

    @property
    def record(self) -> models.Cluster:
        """The cluster as the control plane sees it now."""
        self._record = clusters.get(self.id, self._record.workspace, connection=self._link)
        return self._record

    @property
    def workers(self) -> dict[str, Machine]:
        """Its worker machines that should run, by id."""
        return {
            machine.id: machine
            for machine in self.record.machines
            if machine.role == MachineRole.worker and machine.target == MachineTarget.running
        }

    @property
    def cost(self) -> Cost:
        """What it has cost until now. Shows as a sentence; amounts are micro-units."""
        record = self.record
        currency = budgets.get(record.workspace, connection=self._link).currency
        return Cost(amount=record.amount, rate=record.rate, milliseconds=record.milliseconds, currency=currency)

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage of its start, as they were waited for here."""
        return self._measured

    @property
    def dashboard_link(self) -> str:
        """Address of Dask's dashboard, through the console where it is not on this computer; empty for none."""
        found, record = self._record.dashboard_address, self._record
        if not (found and self._tunnelled):
            return found
        return f"{self._link.url}/{record.workspace}/clusters/{record.id}/dashboard"

    def logs(self) -> Logs:
        """What its machines wrote, by machine."""
        lines = clusters.log(self.id, self._record.workspace, connection=self._link)
        names = {machine.id: f"{machine.role} {machine.index}" for machine in self.record.machines}
        texts: dict[str, list[str]] = {}
        for line in lines:
            texts.setdefault(names.get(line.machine_id, line.machine_id), []).append(line.text)
        return Logs({name: Log("\n".join(text)) for name, text in texts.items()})

    def scale(self, n: int, worker_group: str = "") -> None:
        """Wish for a fixed number of workers. Returns at once; see `wait_for_workers`.

        Parameters
        ----------
        n
            Machines, 0 to 1000.
        worker_group
            Which ones; empty for those that are in no named group.
        """
        where = self._record.workspace
        self._record = clusters.scale(self.id, n, where, worker_group=worker_group, connection=self._link)

    def adapt(  # type: ignore[override]
        self, *, minimum: int = 0, maximum: int, worker_group: str = ""
    ) -> models.ScaleRequest:
        """Let the load decide how many workers there are, between two numbers.

        It is decided beside the scheduler, so it goes on when this process ends. What the workers do until another
        machine could be up does not count, and no more are started than the budget holds.

        Parameters
        ----------
        minimum, maximum
            Machines, 0 to 1000; with a minimum of 0 the first one is started when there is work.
        worker_group
            Which workers, by the tasks that ask for them; empty for those that are in no named group.
        """
        where = self._record.workspace
        self._record = clusters.adapt(
            self.id, minimum, maximum, where, worker_group=worker_group, connection=self._link
        )
        return models.ScaleRequest(minimum=minimum, maximum=maximum, worker_group=worker_group)

    def stop(self) -> None:
        """Disconnect and stop the cluster, whoever created it. Returns at once; its machines end after that."""
        self._disconnect()
        clusters.stop(self.id, self._record.workspace, connection=self._link)

    def close(self, timeout: float | None = None) -> None:
        """Stop the cluster if it was created here; only disconnect from one that was joined. May be repeated."""
        if self.status == Status.closed:
            return
        if self.created:
            self.stop()
        else:
            self._disconnect(timeout)

    def _disconnect(self, timeout: float | None = None) -> None:
        self._farewell.detach()
        client = _current_client(self)
        if client:
            client.close()  # else it would warn of the end of what is ended on purpose
        super().close(timeout)
        self._loop_runner.stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scaling_status(self) -> str:
        record = self._record
        workers = f"{len(self.scheduler_info['workers'])} of {record.wanted_workers}"
        rows = [f"Workers: {workers}", *(escape(kinds.describe(record, name)) for name in record.spec.groups)]
        return f"<table>{''.join(f'<tr><td>{row}</td></tr>' for row in rows)}</table>"

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        try:
            money_row = str(self.cost)
        except AmasiaError:  # a picture is no place for an error
            money_row = "unknown: the control plane did not answer"
        row = (
            f"<tr><td style='text-align: left;'><strong>Cost:</strong> {money_row}</td>"
            f"<td style='text-align: left;'><strong>Status:</strong> {self._record.status}</td></tr>"
        )
        drawn = timelines.html([one for one in self._record.machines if one.target == MachineTarget.running], now())
        return str(super()._repr_html_(cluster_status=(cluster_status or "") + row)) + drawn


def _current_client(cluster: Cluster) -> Client | None:
    """The current client, if it is one of this cluster."""
    try:
        client = Client.current()
    except ValueError:
        return None
    return client if client.cluster is cluster else None


def _live(name: str | None, workspace: str, link: Any) -> models.Cluster | None:
    if not name:
        return None
    try:
        found = clusters.get(name, workspace, connection=link)
    except NotFound:
        return None
    return found if found.target == models.ClusterTarget.running else None


def _versions(packages: dict[str, str | None]) -> dict[str, str]:
    """A Dask process's versions, as `versions.here` would give them there."""
    found = {name: versions.without_stamp(text) for name in versions.NAMES if (text := packages.get(name))}
    python = (packages.get("python") or "").split(".")
    return {"python": ".".join(python[:3]), **found}


def _say(*texts: str) -> None:
    for text in texts:
        print(text, file=sys.stderr)
