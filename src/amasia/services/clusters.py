"""Clusters: asked for, scaled, stopped; and followed until what is matches what is wished."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, events, groups, machines, storage, users
from amasia.database import clusters as rows
from amasia.database import locations as location_rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now, split_repository
from amasia.models.clusters import (
    Cluster,
    ClusterRequest,
    ClusterSpec,
    ClusterStatus,
    ClusterTarget,
    Quote,
    ScaleRequest,
    Security,
)
from amasia.models.grants import Level
from amasia.models.locations import Location
from amasia.models.machines import LogLine, Machine, MachineRole, MachineStatus, MachineTarget
from amasia.models.placements import Choice, Data, Placement
from amasia.models.repositories import BucketKind
from amasia.models.users import Principal
from amasia.services import certificates, environments, grants, leases, limits, placements, standbys
from amasia.services import machines as machine_verbs
from amasia.services import secrets as usable
from amasia.services.access import deny
from amasia.services.ledgers import Ledger, Spender
from amasia.services.placements import Asked
from amasia.settings import ServerSettings

SHARED = (
    "This cluster is shared: whoever connects can run code in the Python of everybody else who is connected. "
    "Share only with people whom you would lend your laptop."
)
PIECES = 40
MAX_DEATHS = 5
"""Worker machines per wanted worker that may end unasked before the cluster is given up."""


def create(db: Database, settings: ServerSettings, who: Principal, workspace: str, request: ClusterRequest) -> Cluster:
    """Reserve the first leases and write the wishes; the reconcilers do the rest."""
    cluster = _wished(who, workspace, request)
    security = certificates.issue(cluster.id)
    data = _data(db, who, request.spec.near)
    with db.write() as tx:
        _check(tx, cluster)
        placement, choices = _place(tx, settings, cluster, data)
        _quote(tx, cluster, placement, choices).check(confirmed=request.confirmed)
        cluster = cluster.model_copy(update={"placement": placement})
        sealed = db.seal(tx, security.tls_key)
        rows.create(tx, cluster, location=placement.location, security=security, sealed_key=sealed)
        _add_machines(tx, settings, cluster, placement.location, _wanted(cluster, choices), first=0)
        events.append(tx, actor=who.actor, verb="cluster.create", target=cluster.id, workspace=workspace,
                      source=who.source, name=cluster.name, spec=cluster.spec.model_dump(mode="json"))  # fmt: skip
    return get(db, workspace, cluster.id)


def quote(db: Database, settings: ServerSettings, who: Principal, workspace: str, spec: ClusterSpec) -> Quote:
    """What it would cost now, and where; refused as the cluster itself would be, but nothing is reserved."""
    cluster = _wished(who, workspace, ClusterRequest(environment_hash="", spec=spec))
    data = _data(db, who, spec.near)
    with db.write() as tx:
        usable.check(tx, cluster)
        placement, choices = _place(tx, settings, cluster, data)
        wanted = [(role, 0, group, choice) for role, group, choice in _wanted(cluster, choices)]
        limits.check_machines(tx, settings, workspace, standbys.lacking(tx, cluster, placement.location, wanted))
        return _quote(tx, cluster, placement, choices)


def _wished(who: Principal, workspace: str, request: ClusterRequest) -> Cluster:
    return Cluster(
        id=new_id("cl"),
        workspace=workspace,
        name=request.name or f"{who.user[:40]}-{secrets.token_hex(3)}",
        owner=who.user,
        status=ClusterStatus.starting,
        target=ClusterTarget.running,
        spec=request.spec,
        environment_hash=request.environment_hash,
        wanted_workers=sum(kind.first_size for kind in request.spec.groups.values()),
        wanted_groups={name: kind.first_size for name, kind in request.spec.worker_groups.items()},
        created_at=now(),
    )


def get(db: Database, workspace: str, name: str) -> Cluster:
    with db.read() as tx:
        return _views(tx, [_known(tx, workspace, name)])[0]


def find(
    db: Database, workspace: str, *, live: bool = False, owner: str = "", limit: int = 100, after: str = ""
) -> list[Cluster]:
    """Newest first, of one owner or of all."""
    with db.read() as tx:
        return _views(tx, rows.page(tx, workspace, limit, after, live=live, owner=owner))


def scale(db: Database, who: Principal, workspace: str, cluster_id: str, request: ScaleRequest) -> Cluster:
    with db.write() as tx:
        cluster = _known(tx, workspace, cluster_id)
        if cluster.target is ClusterTarget.stopped:
            raise errors.Conflict(f"Cluster {cluster.name!r} is ending, so it cannot be scaled.", cure="Start another.")
        group = request.worker_group
        if group not in cluster.spec.groups:
            names = ", ".join(cluster.spec.worker_groups) or "none"
            raise errors.NotFound(f"Cluster {cluster.name!r} has no worker group {group!r}.", cure=f"It has: {names}.")
        size = {"minimum": request.minimum, "maximum": request.maximum}
        if request.n_workers is not None:
            size["n_workers"] = request.n_workers
        spec = cluster.spec.resized(group, size)
        before = cluster.wanted(group)
        wanted = spec.groups[group].clamp(before if request.n_workers is None else request.n_workers)
        _check_room(tx, workspace, _location(tx, cluster), wanted - before)
        rows.update(tx, cluster.id, spec=spec, **cluster.sized({group: wanted}))
        events.append(tx, actor=who.actor, verb="cluster.scale", target=cluster.id, workspace=workspace,
                      source=who.source, **request.model_dump())  # fmt: skip
    return get(db, workspace, cluster.id)


def stop(db: Database, who: Principal, workspace: str, cluster_id: str) -> Cluster:
    """Wish its end; repeatable."""
    with db.write() as tx:
        cluster = _known(tx, workspace, cluster_id)
        if cluster.status is not ClusterStatus.stopped and rows.wish_stop(tx, cluster.id, f"{who.user} stopped it"):
            events.append(tx, actor=who.actor, verb="cluster.stop", target=cluster.id, workspace=workspace,
                          source=who.source)  # fmt: skip
    return get(db, workspace, cluster.id)


def security(db: Database, settings: ServerSettings, who: Principal, workspace: str, cluster_id: str) -> Security:
    """The certificate to connect with: for the owner; for other members only if the cluster is shared."""
    cluster = connectable(db, who, workspace, cluster_id)
    with db.write() as tx:
        found, sealed = rows.security(tx, cluster.id)
        events.append(tx, actor=who.actor, verb="cluster.connect", target=cluster.id, workspace=workspace,
                      source=who.source)  # fmt: skip
    warning = SHARED if cluster.spec.shared else ""
    return found.model_copy(update={"tls_key": db.unseal(sealed), "warning": warning, "gateway": settings.gateway})


def connectable(db: Database, who: Principal, workspace: str, name: str, *, alone: bool = False) -> Cluster:
    """A cluster that runs and that they may connect to: its owner, or any member if it is shared and not ``alone``."""
    with db.read() as tx:
        cluster = _known(tx, workspace, name)
    if cluster.owner != who.user and (alone or not cluster.spec.shared):
        deny(db, who, workspace, "cluster.connect", cluster.id)
        raise errors.PermissionDenied(
            f"Cluster {cluster.name!r} is {cluster.owner}'s alone: tasks on it can reach its clients' processes.",
            cure=f"Start your own, or ask {cluster.owner} to start one with shared=True.",
        )
    if cluster.status is not ClusterStatus.running:
        raise errors.Conflict(f"Cluster {cluster.name!r} is {cluster.status.value}.", cure="Wait until it runs.")
    return cluster


def log(db: Database, workspace: str, cluster_id: str, machine_id: str | None, after: int) -> list[LogLine]:
    with db.read() as tx:
        return rows.log(tx, _known(tx, workspace, cluster_id).id, machine_id, after, limit=500)


def tail(db: Database, workspace: str, cluster_id: str) -> list[LogLine]:
    """The last `PIECES` of the log, oldest first, for somebody who looks at the end of it."""
    with db.read() as tx:
        return rows.last_log(tx, _known(tx, workspace, cluster_id).id, PIECES)


def unsettled(db: Database) -> list[str]:
    """Ids of those that `follow` may have something to do for."""
    with db.read() as tx:
        return rows.unsettled(tx, MAX_DEATHS)


def follow(db: Database, settings: ServerSettings, cluster_id: str) -> None:
    """One look at one cluster: wish machines or their end, until it is as it should be. Repeatable."""
    with db.write() as tx:
        cluster = rows.find(tx, cluster_id)
        if cluster is None:
            return
        own = machines.of_cluster(tx, cluster.id)
        match cluster.status, cluster.target:
            case ClusterStatus.stopped, _:
                return
            case _, ClusterTarget.stopped:
                _wind_down(tx, cluster, own)
            case _:
                _keep_up(tx, settings, cluster, own)


def _wanted(cluster: Cluster, choices: Sequence[Choice]) -> list[tuple[MachineRole, str, Choice]]:
    """The role, worker group and type of each machine that it begins with."""
    scheduler, *workers = choices
    wanted = [(MachineRole.scheduler, "", scheduler)]
    for group, choice in zip(cluster.spec.groups, workers, strict=True):
        wanted += [(MachineRole.worker, group, choice)] * cluster.wanted(group)
    return wanted


def _quote(tx: Connection, cluster: Cluster, placement: Placement, choices: Sequence[Choice]) -> Quote:
    """Of the choices for the scheduler and each kind of worker; what is warm already is counted as if it were not."""
    workspace = users.get_workspace(tx, cluster.workspace)
    scheduler, *workers = choices
    groups = [(cluster.wanted(name), kind, one.price)
              for (name, kind), one in zip(cluster.spec.groups.items(), workers, strict=True)]  # fmt: skip
    return Quote(
        placement=placement,
        machines=1 + sum(wanted for wanted, _, _ in groups),
        rate=scheduler.price + sum(wanted * price for wanted, _, price in groups),
        most=scheduler.price + sum(max(wanted, kind.maximum or 0) * price for wanted, kind, price in groups),
        confirm_above=workspace.confirm_above,
        currency=workspace.currency,
    )


def _known(tx: Connection, workspace: str, name: str) -> Cluster:
    found = rows.find_named(tx, workspace, name)
    if found is None:
        raise errors.NotFound(
            f"The workspace {workspace!r} has no cluster {name!r}.", cure="`amasia cluster list` shows what there is."
        )
    return found


def _check(tx: Connection, cluster: Cluster) -> None:
    environments.check_sent(tx, cluster.workspace, cluster.environment_hash)
    usable.check(tx, cluster)
    other = rows.find_named(tx, cluster.workspace, cluster.name)
    if other is not None and other.status is not ClusterStatus.stopped:
        raise errors.Conflict(
            f"A cluster {cluster.name!r} of {other.owner} is {other.status.value} already.",
            cure=f"Join it with Cluster(name={cluster.name!r}), or choose another name.",
        )


def _check_room(tx: Connection, workspace: str, location: Location, more: int) -> None:
    have = machines.count(tx, workspace, location.name)
    if more > 0 and have + more > location.max_machines:
        raise errors.TooLarge(
            f"{more} more machines were asked for; {workspace!r} has {have} at {location.name!r}, and at most "
            f"{location.max_machines} are allowed there.",
            cure="Ask for fewer workers, or stop something.",
        )


def _data(db: Database, who: Principal, near: str) -> Data | None:
    """What is known of the data that a cluster is to be near to, where its maker may read them."""
    if not near:
        return None
    workspace, name = split_repository(near)
    repository = grants.require(db, who, workspace, name, Level.read, "cluster.create")
    with db.read() as tx:
        bucket = location_rows.find_bucket(tx, workspace, repository.bucket)
        size = storage.find(tx, repository.id)
    assert bucket is not None
    at_home = bucket.kind in (BucketKind.embedded, BucketKind.directory)
    return Data(
        name=repository.full_name,
        region=Location.model_fields["region"].default if at_home else bucket.region,
        nbytes=size.chunks_nbytes if size else 0,
        egress_price=bucket.egress_price,
    )


def _place(
    tx: Connection, settings: ServerSettings, cluster: Cluster, data: Data | None
) -> tuple[Placement, tuple[Choice, ...]]:
    """Where the cluster is to be, with the choices for its scheduler and each kind of worker."""
    spec = cluster.spec
    found = location_rows.list_locations(tx, cluster.workspace)
    if spec.location is not None:
        names = ", ".join(location.name for location in found)
        found = [location for location in found if location.name == spec.location]
        if not found:
            raise errors.NotFound(
                f"The workspace {cluster.workspace!r} has no location {spec.location!r}.", cure=f"It has: {names}."
            )
    ledger = Ledger(tx, cluster.workspace, lock=False)  # warm machines may be taken, and they come before
    return placements.place(
        [
            Asked("The scheduler", spec.wants(MachineRole.scheduler), 1),
            *(Asked(_each(name), spec.wants(MachineRole.worker, name), cluster.wanted(name)) for name in spec.groups),
        ],
        found,
        regions=ledger.workspace.regions,
        room={one.name: one.max_machines - machines.count(tx, cluster.workspace, one.name) for one in found},
        data=data,
        rate=ledger.left(_spender(tx, cluster, spec.location or "")) * 3600 // settings.lease_seconds,
        currency=ledger.workspace.currency,
    )


def _each(group: str) -> str:
    """What a worker is called in a refusal."""
    return f"Each worker of the group {group!r}" if group else "Each worker"


def _location(tx: Connection, cluster: Cluster) -> Location:
    name = rows.location(tx, cluster.id)
    found = location_rows.find_location(tx, cluster.workspace, name)
    if found is None:
        raise errors.NotFound(f"The location {name!r} of cluster {cluster.name!r} was removed.")
    return found


def _add_machines(
    tx: Connection,
    settings: ServerSettings,
    cluster: Cluster,
    location: str,
    wanted: list[tuple[MachineRole, str, Choice]],
    first: int,
) -> list[Machine]:
    """Machines by role, worker group and type: warm ones first, the others all or none; those that are new. Workers are
    numbered from ``first`` on."""
    worker, numbered = first, []
    for role, group, choice in wanted:
        numbered.append((role, 0 if role is MachineRole.scheduler else worker, group, choice))
        worker += role is MachineRole.worker
    lacking = standbys.take(tx, cluster, location, numbered)
    limits.check_machines(tx, settings, cluster.workspace, len(lacking))
    spender, prices = _spender(tx, cluster, location), [choice.price for *_, choice in lacking]
    promises = leases.reserve(tx, cluster.workspace, spender, prices, settings.lease_seconds)
    return [
        machine_verbs.wish(tx, cluster, spender, role, index, group, choice, promise)
        for (role, index, group, choice), promise in zip(lacking, promises, strict=True)
    ]


def _wind_down(tx: Connection, cluster: Cluster, own: list[Machine]) -> None:
    waiting = [machine for machine in own if machine.status is not MachineStatus.stopped]
    if waiting:
        wished = [machine.id for machine in waiting if machine.target is not MachineTarget.stopped]
        machines.wish_stop(tx, wished, cluster.reason)
        if cluster.status is not ClusterStatus.stopping:
            rows.update(tx, cluster.id, status=ClusterStatus.stopping)
        return
    rows.update(tx, cluster.id, status=ClusterStatus.stopped, stopped_at=now())
    events.append(tx, actor="amasia", verb="cluster.end", target=cluster.id, workspace=cluster.workspace,
                  reason=cluster.reason)  # fmt: skip


def _keep_up(tx: Connection, settings: ServerSettings, cluster: Cluster, own: list[Machine]) -> None:
    scheduler = next(machine for machine in own if machine.role is MachineRole.scheduler)
    is_over = scheduler.status is MachineStatus.stopped or scheduler.target is MachineTarget.stopped
    if cluster.ends_at is not None:  # a budget ends it, also where a lease was over before this look
        if is_over or now() >= cluster.ends_at:
            rows.wish_stop(tx, cluster.id, cluster.reason)
        return
    if is_over:
        # Its memory held every future; results that matter are commits. A new scheduler would know nothing.
        rows.wish_stop(tx, cluster.id, f"its scheduler ended: {scheduler.reason}")
        return
    workers = [
        machine
        for machine in own
        if machine.role is MachineRole.worker
        and machine.target is MachineTarget.running
        and machine.status is not MachineStatus.stopped
        and not machine.stages.leaves  # one that is taken back is replaced before it goes
    ]
    if machines.deaths(tx, cluster.id) > MAX_DEATHS * max(1, cluster.wanted_workers):
        last = [machine.reason for machine in own if machine.status is MachineStatus.stopped][-1]
        rows.wish_stop(tx, cluster.id, f"its workers ended again and again, the last one since {last}")
        return
    first = 1 + max((machine.index for machine in own if machine.role is MachineRole.worker), default=-1)
    for group in cluster.spec.groups:
        kind = [machine for machine in workers if machine.group == group]
        more = cluster.wanted(group) - len(kind)
        if more > 0:
            _grow(tx, settings, cluster, group, more, first)
            first += more
        elif more < 0:
            _shrink(tx, kind, -more)


def _grow(tx: Connection, settings: ServerSettings, cluster: Cluster, group: str, more: int, first: int) -> None:
    try:
        location = _location(tx, cluster)
        choice = placements.choose(location, cluster.spec.wants(MachineRole.worker, group), _each(group))
        if cluster.spec.groups[group].minimum is not None:
            more = _affordable(tx, settings, cluster, location, choice, more)
        _check_room(tx, cluster.workspace, location, more)
        _add_machines(tx, settings, cluster, location.name, [(MachineRole.worker, group, choice)] * more, first)
    except (errors.BudgetExceeded, errors.TooLarge, errors.NotFound) as error:
        if (text := str(error)) not in rows.last_notices(tx, cluster.id):
            rows.add_notice(tx, cluster.id, text)


def _affordable(
    tx: Connection, settings: ServerSettings, cluster: Cluster, location: Location, choice: Choice, more: int
) -> int:
    """Of the workers that a load asks for, as many as the location has room and the budget money for; one at least, so
    that somebody says why there is none."""
    room = location.max_machines - machines.count(tx, cluster.workspace, location.name)
    spender = _spender(tx, cluster, location.name)
    fitting = leases.fitting(tx, cluster.workspace, spender, choice.price, settings.lease_seconds)
    allowed = limits.room(tx, settings, cluster.workspace)
    return max(1, min(more, room, fitting, more if allowed is None else allowed))


def _spender(tx: Connection, cluster: Cluster, location: str) -> Spender:
    mine = groups.names(tx, cluster.workspace, cluster.owner)
    return Spender(cluster.owner, location, cluster.spec.tags, mine)


def _shrink(tx: Connection, workers: list[Machine], surplus: int) -> None:
    """End those that hold nothing yet; running ones are drained by the scheduler, which says when."""
    young = [machine for machine in workers if machine.status is not MachineStatus.running]
    newest = sorted(young, key=lambda machine: -machine.index)[:surplus]
    machines.wish_stop(tx, [machine.id for machine in newest], "it is no longer needed")


def _views(tx: Connection, found: list[Cluster]) -> list[Cluster]:
    """Clusters with their machines and money."""
    if not found:
        return []
    own: dict[str, list[Machine]] = {cluster.id: [] for cluster in found}
    for machine in machines.of_clusters(tx, own):
        own[machine.cluster_id].append(machine)
    charged, notices = budgets.of_clusters(tx, found[0].workspace, own), rows.last_notices_of(tx, own)
    return [_view(one, own[one.id], charged[one.id], notices[one.id]) for one in found]


def _view(cluster: Cluster, own: list[Machine], charged: tuple[int, int], notices: list[str]) -> Cluster:
    amount, time = charged
    view = cluster.model_copy(
        update={
            "machines": tuple(own),
            "amount": amount,
            "milliseconds": time,
            "rate": sum(m.price for m in own if m.status not in (MachineStatus.requested, MachineStatus.stopped)),
            "notices": tuple(notices),
        }
    )
    return view.model_copy(update={"version": _version(view, own, notices)})


def _version(cluster: Cluster, own: Iterable[Machine], notices: list[str]) -> str:
    seen = [cluster.status, cluster.target, cluster.wanted_workers, cluster.wanted_groups, cluster.scheduler_address]
    seen += [cluster.spec, notices]
    seen += [(m.id, m.status, m.target, m.stages, m.reason) for m in own]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
