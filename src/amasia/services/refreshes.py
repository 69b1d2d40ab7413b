"""Refreshes of views: wished for when the source has commits, given machines, claimed, and brought to their end.

The claim keeps two processes from the same work. That each source commit is applied exactly once does not hang on it:
the target's own commit holds the source snapshot, so of two that race one conflicts and looks again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import clusters, events, users
from amasia.database import refreshes as rows
from amasia.database import views as view_rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec, ClusterTarget
from amasia.models.machines import MachineRole
from amasia.models.permissions import Permission, may
from amasia.models.sizes import GIB
from amasia.models.users import Principal, Scope
from amasia.models.views import (
    Claim,
    ClaimRequest,
    Refresh,
    RefreshDone,
    RefreshStatus,
    Renewal,
    Trigger,
    View,
    ViewStatus,
)
from amasia.services import clusters as cluster_verbs
from amasia.services import views
from amasia.services.access import deny, digest, new_secret
from amasia.services.views import known, next_time
from amasia.settings import ServerSettings

CLAIM = timedelta(seconds=60)
"""How long a claim counts that nobody renews."""
TRIES = 3
"""Machines that one refresh may be lost with."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=6)
"""After a failure, doubled with each more in a row."""
MEMORY = GIB


def request(db: Database, who: Principal, workspace: str, name: str) -> Refresh:
    """Wish for a refresh on machines; the one that is wished for or at work already is it."""
    view = views.get(db, who, workspace, name)
    with db.write() as tx:
        view_rows.lock(tx, view.id)
        if live := rows.live(tx, view.id):
            return live
        _check_rests(view)
        if view.source.partition("/")[0] != view.workspace:
            raise errors.InvalidRequest(
                f"The source {view.source} is in another workspace, and machines of {workspace!r} may not read there.",
                cure=f"Refresh it in your own process: amasia view refresh {view.full_name} --here",
            )
        return _wish(tx, view, Trigger.manual, who)


def find(db: Database, who: Principal, workspace: str, name: str, limit: int = 100, after: str = "") -> list[Refresh]:
    """Newest first, with what each cost."""
    view = views.get(db, who, workspace, name)
    with db.read() as tx:
        return _priced(tx, workspace, rows.page(tx, view.id, limit, after))


def newest(db: Database, workspace: str) -> dict[str, Refresh]:
    """The newest of each view, by the view's name, with what it cost."""
    with db.read() as tx:
        return {one.view: one for one in _priced(tx, workspace, rows.newest(tx, workspace))}


def get(db: Database, who: Principal, workspace: str, name: str, refresh_id: str) -> Refresh:
    view = views.get(db, who, workspace, name)
    with db.read() as tx:
        return _priced(tx, workspace, [_known(tx, view, refresh_id)])[0]


def claim(db: Database, who: Principal, workspace: str, name: str, request: ClaimRequest) -> Claim:
    """Begin: here, or as the machine that a refresh was wished for. The function is its owner's, so only they run it.

    Whoever else wants it current asks for machines, which run it as the owner.
    """
    view = views.get(db, who, workspace, name)
    if who.user != view.owner:
        deny(db, who, workspace, "view.claim", view.full_name)
        raise errors.PermissionDenied(
            f"{view.full_name} is {view.owner}'s, and its function would run with your rights.",
            cure=f"Have machines refresh it, with {view.owner}'s rights: amasia view refresh {view.full_name}",
        )
    with db.write() as tx:
        view = known(tx, workspace, name)
        view_rows.lock(tx, view.id)
        refresh = _for_machine(tx, who, view, request.refresh) if request.refresh else _begin_here(tx, who, view)
        if refresh is None:  # written down as failed, which an error would undo
            lost = request.refresh
        else:
            lost = None
            secret, until = new_secret(), now() + CLAIM
            rows.update(tx, refresh.id, status=RefreshStatus.running, claim_hash=digest(secret), claimed_until=until,
                        began_at=refresh.began_at or now(), from_snapshot=view.snapshot,
                        to_snapshot=view.newest)  # fmt: skip
            events.append(tx, actor=who.actor, verb="refresh.claim", target=view.full_name, workspace=workspace,
                          source=who.source, refresh=refresh.id)  # fmt: skip
            made = Claim(
                secret=secret,
                view=known(tx, workspace, name),
                refresh=_known(tx, view, refresh.id),
                function=view_rows.function(tx, view.id),
                until=until,
            )
    if lost:
        raise errors.Conflict(f"The refresh {lost} was begun {TRIES} times on machines that ended; it is given up.")
    return made


def renew(db: Database, who: Principal, workspace: str, name: str, refresh_id: str, renewal: Renewal) -> Refresh:
    with db.write() as tx:
        view, refresh = _held(tx, workspace, name, refresh_id, renewal.secret)
        if refresh.status is RefreshStatus.running:
            rows.update(tx, refresh.id, claimed_until=now() + CLAIM)
        return _known(tx, view, refresh_id)


def finish(db: Database, who: Principal, workspace: str, name: str, refresh_id: str, done: RefreshDone) -> Refresh:
    """It went well, or it says why not; repeatable. Its machines end."""
    with db.write() as tx:
        view, refresh = _held(tx, workspace, name, refresh_id, done.secret)
        if refresh.status is not RefreshStatus.running:
            return refresh
        snapshot = done.snapshot or view.snapshot
        rows.update(tx, refresh.id, applied=done.applied)
        view_rows.update(tx, view.id, snapshot=snapshot)
        if done.reason:
            _fail(tx, view, refresh, done.reason, again=done.again)
        else:
            rows.update(tx, refresh.id, status=RefreshStatus.done, to_snapshot=snapshot, ended_at=now(), reason="")
            view_rows.update(tx, view.id, seen=refresh.to_snapshot, reason="", failures=0, retry_at=None)
            events.append(tx, actor=who.actor, verb="refresh.done", target=view.full_name, workspace=workspace,
                          source=who.source, refresh=refresh.id, snapshot=snapshot)  # fmt: skip
        if refresh.cluster_id:
            clusters.wish_stop(tx, refresh.cluster_id, "its refresh failed" if done.reason else "its refresh is done")
        return _known(tx, view, refresh_id)


def wish_due(db: Database) -> None:
    """Wish for a refresh of each view that is due, by its source's commits or by its schedule. Repeatable."""
    at = now()
    with db.read() as tx:
        waiting = view_rows.waiting(tx, at)
    for watch in waiting:
        if _late(watch.view, at) or _due(watch):
            _look_again(db, watch.view, at)


def live(db: Database) -> list[Refresh]:
    with db.read() as tx:
        return rows.every_live(tx)


def follow(db: Database, settings: ServerSettings, refresh: Refresh) -> None:
    """One look at one live refresh: give it machines, or see that it was lost. Repeatable after a crash at any line."""
    with db.read() as tx:
        view = known(tx, refresh.workspace, refresh.view)
        cluster = clusters.find(tx, refresh.cluster_id) if refresh.cluster_id else None
        silent = _is_silent(tx, refresh)
    match refresh.status, cluster:
        case RefreshStatus.requested, None:
            _place(db, settings, view, refresh)
        case _, Cluster(target=ClusterTarget.stopped):
            _lost(db, view, refresh, cluster)
        case RefreshStatus.running, _ if silent:
            _expire(db, view, refresh)


def _place(db: Database, settings: ServerSettings, view: View, refresh: Refresh) -> None:
    """A cluster that does this refresh and ends. It is known by its name, so a repeated try finds its own."""
    name = f"{refresh.id}-{refresh.tries}"
    try:
        cluster = _cluster(db, settings, view, refresh, name)
    except errors.AmasiaError as error:
        again = isinstance(error, errors.BudgetExceeded | errors.Conflict | errors.TooLarge)
        with db.write() as tx:
            _fail(tx, view, refresh, str(error), again=again)
        return
    with db.write() as tx:
        if not rows.place(tx, refresh.id, cluster.id):
            clusters.wish_stop(tx, cluster.id, "its refresh is no longer wanted")


def _cluster(db: Database, settings: ServerSettings, view: View, refresh: Refresh, name: str) -> Cluster:
    with db.read() as tx:
        made = clusters.find_named(tx, view.workspace, name)
        role = users.role(tx, view.workspace, view.owner)
    if made is not None:
        return made
    if not may(role, Permission.run):
        raise errors.PermissionDenied(
            f"{view.owner}, whose view it is, may no longer run anything in {view.workspace!r}.",
            cure="Somebody who may makes the view anew.",
        )
    memory = view.worker_memory or MEMORY
    spec = ClusterSpec(
        n_workers=view.workers,
        worker_memory=memory,
        scheduler_memory=MEMORY if view.workers else memory,
        idle_timeout=0,  # its driver ends it
        location=view.location,
        refresh=f"{view.name}/{refresh.id}",
    )
    owner = Principal(user=view.owner, operator=False, scope=Scope.everything, token_id="", source="view")
    wish = ClusterRequest(name=name, environment_hash=view.environment_hash, spec=spec, confirmed=True)
    return cluster_verbs.create(db, settings, owner, view.workspace, wish)


def _lost(db: Database, view: View, refresh: Refresh, cluster: Cluster) -> None:
    """Its machines end before it has. Another try, unless it was the last or another would be the same."""
    reason = f"its machines ended: {cluster.reason}"
    unbuilt = any(
        machine.role is MachineRole.scheduler and machine.stages.joined and not machine.stages.environment_ready
        for machine in cluster_verbs.get(db, view.workspace, cluster.id).machines
    )
    with db.write() as tx:
        if unbuilt:
            _fail(tx, view, refresh, reason, again=False)
        elif refresh.tries + 1 >= TRIES:
            _fail(tx, view, refresh, f"{TRIES} times {reason}", again=False)
        else:
            rows.update(tx, refresh.id, status=RefreshStatus.requested, cluster_id=None, claim_hash="",
                        claimed_until=None, tries=refresh.tries + 1, reason=reason)  # fmt: skip


def _expire(db: Database, view: View, refresh: Refresh) -> None:
    with db.write() as tx:
        if not _is_silent(tx, refresh):
            return
        if refresh.cluster_id:
            clusters.wish_stop(tx, refresh.cluster_id, "its driver was not heard of for a minute")
            return
        _fail(tx, view, refresh, _silent(refresh), again=True)


def _is_silent(tx: Connection, refresh: Refresh) -> bool:
    """Whether whoever claimed it was not heard of for as long as a claim counts."""
    hold = rows.hold(tx, refresh.id)
    return hold.claimed_until is not None and hold.claimed_until <= now()


def _fail(tx: Connection, view: View, refresh: Refresh, reason: str, *, again: bool) -> None:
    """Written down with its reason. What would fail the same way waits for a new commit or for somebody."""
    if not rows.update(tx, refresh.id, status=RefreshStatus.failed, reason=reason, ended_at=now()):
        return
    failures = view_rows.failures(tx, view.id) + 1
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 20))
    view_rows.update(tx, view.id, reason=reason, failures=failures, retry_at=now() + wait)
    if not again:
        view_rows.update(tx, view.id, seen=refresh.to_snapshot or view.newest)
    events.append(tx, actor="amasia", verb="refresh.fail", target=view.full_name, workspace=view.workspace,
                  refresh=refresh.id, reason=reason)  # fmt: skip


def _new(watch: view_rows.Watch) -> bool:
    return watch.view.newest not in ("", watch.view.snapshot, watch.seen)


def _late(view: View, at: datetime) -> bool:
    return view.next_at is not None and view.next_at <= at


def _due(watch: view_rows.Watch) -> bool:
    """By its source; a schedule's view only where it failed, since it does not wait for the next time then."""
    return _new(watch) and (watch.view.trigger is Trigger.commit or watch.failures > 0)


def _look_again(db: Database, view: View, at: datetime) -> None:
    """With the view locked: another control plane, or somebody by hand, may have been quicker."""
    with db.write() as tx:
        view_rows.lock(tx, view.id)
        for watch in view_rows.waiting(tx, at):
            if watch.view.id == view.id:
                _wish_due(tx, watch, at)


def _wish_due(tx: Connection, watch: view_rows.Watch, at: datetime) -> None:
    """Times of a schedule that were missed count as one."""
    view, late = watch.view, _late(watch.view, at)
    if late:
        view_rows.update(tx, view.id, next_at=next_time(view.schedule, at))
    if _due(watch) or (late and _new(watch)):
        _wish(tx, view, view.trigger, Principal(user=view.owner, operator=False, scope=Scope.everything, token_id=""))


def _wish(tx: Connection, view: View, trigger: Trigger, who: Principal) -> Refresh:
    refresh = Refresh(
        id=new_id("rf"),
        view=view.name,
        workspace=view.workspace,
        status=RefreshStatus.requested,
        trigger=trigger,
        by=who.user,
        from_snapshot=view.snapshot,
        to_snapshot=view.newest,
        requested_at=now(),
    )
    rows.create(tx, view.id, refresh)
    events.append(tx, actor=who.actor, verb="refresh.request", target=view.full_name, workspace=view.workspace,
                  source=who.source, refresh=refresh.id, trigger=trigger.value)  # fmt: skip
    return refresh


def _for_machine(tx: Connection, who: Principal, view: View, refresh_id: str) -> Refresh | None:
    """The one that was wished for this machine; None if it was begun there too often."""
    refresh = rows.live(tx, view.id)
    if refresh is None or refresh.id != refresh_id or who.cluster_id is None or refresh.cluster_id != who.cluster_id:
        raise errors.Conflict(f"{view.full_name} has no refresh {refresh_id} that waits for this machine.")
    if not rows.hold(tx, refresh.id).claim_hash:
        return refresh
    # The same machine asks again: what it began has died with its process.
    if refresh.tries + 1 >= TRIES:
        _fail(tx, view, refresh, f"its process died {TRIES} times on {who.machine_id or 'its machine'}", again=False)
        return None
    rows.update(tx, refresh.id, tries=refresh.tries + 1)
    return refresh


def _begin_here(tx: Connection, who: Principal, view: View) -> Refresh:
    """A new one, or the one that still waits for machines; one whose process fell silent makes room."""
    _check_rests(view)
    refresh = rows.live(tx, view.id)
    if refresh is None:
        return _wish(tx, view, Trigger.manual, who)
    if refresh.cluster_id is None and refresh.status is RefreshStatus.requested:
        return refresh
    if refresh.cluster_id is None and _is_silent(tx, refresh):
        _fail(tx, view, refresh, _silent(refresh), again=True)
        return _wish(tx, view, Trigger.manual, who)
    where = "on machines" if refresh.cluster_id else f"in a process of {refresh.by}"
    raise errors.Conflict(
        f"{view.full_name} is being refreshed {where} since {refresh.requested_at:%H:%M:%S} UTC.",
        cure="Wait for that; `amasia view show` tells how far it is.",
    )


def _silent(refresh: Refresh) -> str:
    return f"the process of {refresh.by} that did it was not heard of for a minute"


def _check_rests(view: View) -> None:
    if view.target_status is ViewStatus.paused:
        raise errors.Conflict(f"{view.full_name} is paused.", cure=f"First: amasia view resume {view.full_name}")


def _held(tx: Connection, workspace: str, name: str, refresh_id: str, secret: str) -> tuple[View, Refresh]:
    view = known(tx, workspace, name)
    view_rows.lock(tx, view.id)
    refresh = _known(tx, view, refresh_id)
    if rows.hold(tx, refresh.id).claim_hash != digest(secret):
        raise errors.Conflict(
            f"The refresh {refresh_id} of {view.full_name} is somebody else's now.",
            cure="Nothing is lost: what was committed counts once.",
        )
    return view, refresh


def _known(tx: Connection, view: View, refresh_id: str) -> Refresh:
    found = rows.find(tx, view.id, refresh_id)
    if found is None:
        raise errors.NotFound(f"The view {view.full_name} has no refresh {refresh_id!r}.")
    return found


def _priced(tx: Connection, workspace: str, found: Sequence[Refresh]) -> list[Refresh]:
    charged = rows.costs(tx, workspace, [one.id for one in found])
    return [_with_cost(one, *charged[one.id]) for one in found]


def _with_cost(refresh: Refresh, amount: int, time: int) -> Refresh:
    if not time and refresh.began_at and refresh.ended_at and refresh.cluster_id is None:
        time = round((refresh.ended_at - refresh.began_at).total_seconds() * 1000)
    return refresh.model_copy(update={"amount": amount, "milliseconds": time})
