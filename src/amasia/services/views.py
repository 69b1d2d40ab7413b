"""Views: made, looked at, paused, deleted. What brings them up to date is in `services.refreshes`."""

from datetime import datetime

from cronsim import CronSim, CronSimError
from sqlalchemy import Connection

from amasia import errors
from amasia.database import clusters, events, refreshes, repositories
from amasia.database import views as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now, split_repository
from amasia.models.grants import Level
from amasia.models.repositories import Repository
from amasia.models.users import Principal
from amasia.models.views import Trigger, View, ViewChange, ViewRequest, ViewStatus
from amasia.services import environments, grants


def create(db: Database, who: Principal, workspace: str, request: ViewRequest) -> View:
    """Write the view down; its first refresh is due at once, or as its schedule says."""
    _require(db, who, request.source, Level.read)
    _require(db, who, request.target, Level.write)
    _check(workspace, request)
    with db.write() as tx:
        source, target = _repository(tx, request.source), _repository(tx, request.target)
        environments.check_sent(tx, workspace, request.environment_hash)
        view = View(
            id=new_id("vi"),
            workspace=workspace,
            owner=who.user,
            status=ViewStatus.behind,
            created_at=now(),
            next_at=next_time(request.schedule, now()) if request.trigger is Trigger.schedule else None,
            **request.model_dump(exclude={"function", "source", "target", "source_group", "target_group"}),
            source=source.full_name,
            target=target.full_name,
            source_group=_group(request.source_group),
            target_group=_group(request.target_group),
        )
        _check_free(tx, view, target)
        _check_cycle(tx, source, target)
        rows.create(tx, view, source_id=source.id, target_id=target.id, function=request.function)
        events.append(tx, actor=who.actor, verb="view.create", target=view.full_name, workspace=workspace,
                      source=who.source, reads=view.source, writes=view.target)  # fmt: skip
        return known(tx, workspace, view.name)


def find(db: Database, who: Principal, workspace: str) -> list[View]:
    """Those whose target somebody may read."""
    readable = {repository.full_name for repository in grants.visible(db, who, workspace)}
    with db.read() as tx:
        return [view for view in rows.every_of(tx, workspace) if view.target in readable]


def of_repository(db: Database, who: Principal, repository: Repository) -> list[View]:
    """Those that read a repository or write to it, of its own workspace, as far as somebody may see them."""
    return [view for view in find(db, who, repository.workspace) if repository.full_name in (view.source, view.target)]


def get(db: Database, who: Principal, workspace: str, name: str) -> View:
    """One view; whoever may not read its target is not told that it is there."""
    with db.read() as tx:
        view = known(tx, workspace, name)
    if grants.level(db, who, *split_repository(view.target)).rank < Level.read.rank:
        raise unknown(workspace, name)
    return view


def change(db: Database, who: Principal, workspace: str, name: str, request: ViewChange) -> View:
    """Let it rest, or go on. Whoever lets it go on has it try again at once."""
    with db.write() as tx:
        view = known(tx, workspace, name)
        rows.update(tx, view.id, paused=request.paused)
        if not request.paused:
            rows.update(tx, view.id, seen=view.snapshot, failures=0, retry_at=None)
        verb = "view.pause" if request.paused else "view.resume"
        events.append(tx, actor=who.actor, verb=verb, target=view.full_name, workspace=workspace, source=who.source)
        return known(tx, workspace, name)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """Forget it and end its refresh. What it wrote stays in its target."""
    with db.write() as tx:
        view = known(tx, workspace, name)
        live = refreshes.live(tx, view.id)
        if live is not None and live.cluster_id:
            clusters.wish_stop(tx, live.cluster_id, f"{who.user} deleted the view {view.full_name}")
        rows.remove(tx, view.id)
        events.append(tx, actor=who.actor, verb="view.delete", target=view.full_name, workspace=workspace,
                      source=who.source)  # fmt: skip


def held_snapshots(tx: Connection, repository_id: str) -> set[str]:
    """Snapshots of a source that its views still need: what each holds, and all that it has to apply after that."""
    needed: set[str] = set()
    for snapshot, at in rows.held(tx, repository_id):
        needed.add(snapshot)
        if at is not None:
            needed.update(rows.commits_since(tx, repository_id, at))
    return needed


def next_time(schedule: str, after: datetime) -> datetime:
    """When a schedule is due next, in UTC."""
    try:
        return next(CronSim(schedule, after))
    except (CronSimError, StopIteration):
        raise errors.InvalidRequest(
            f"{schedule!r} is no schedule.",
            cure="Write minute, hour, day, month and weekday in UTC: '0 3 * * *' is every night at three.",
        ) from None


def known(tx: Connection, workspace: str, name: str) -> View:
    found = rows.find(tx, workspace, name)
    if found is None:
        raise unknown(workspace, name)
    return found


def unknown(workspace: str, name: str) -> errors.NotFound:
    return errors.NotFound(
        f"The workspace {workspace!r} has no view {name!r}.", cure="`amasia view list` shows what there is."
    )


def _require(db: Database, who: Principal, repository: str, level: Level) -> None:
    """The one place that asks whether somebody may read a source or write a target."""
    workspace, name = split_repository(repository)
    grants.require(db, who, workspace, name, level, "view.create")


def _check(workspace: str, request: ViewRequest) -> None:
    if split_repository(request.target)[0] != workspace:
        raise errors.InvalidRequest(
            f"The target {request.target} is not in {workspace!r}, and a view lives beside its target.",
            cure="Make the view in the target's workspace.",
        )
    elsewhere = split_repository(request.source)[0] != workspace
    if elsewhere and request.trigger is not Trigger.manual:
        raise errors.InvalidRequest(
            f"The source {request.source} is in another workspace, and machines of {workspace!r} may not read there.",
            cure="Use the trigger 'manual' and refresh it in your own process: amasia view refresh NAME --here",
        )
    if (request.trigger is Trigger.schedule) != bool(request.schedule):
        raise errors.InvalidRequest(
            f"The trigger is {request.trigger.value!r} and the schedule is {request.schedule!r}.",
            cure="A schedule goes with the trigger 'schedule', and only with that.",
        )


def _check_free(tx: Connection, view: View, target: Repository) -> None:
    if rows.find(tx, view.workspace, view.name):
        raise errors.Conflict(
            f"There is a view {view.full_name} already.",
            cure=f"Choose another name, or first: amasia view delete {view.full_name}",
        )
    other = rows.of_target_group(tx, target.id, view.target_group)
    if other is not None:
        raise errors.Conflict(
            f"The view {other.full_name} writes to {target.full_name} {view.target_group} already.",
            cure="Give each view a target group of its own.",
        )


def _check_cycle(tx: Connection, source: Repository, target: Repository) -> None:
    """A commit to its own source, also through other views, would make it due for ever."""
    below: dict[str, list[tuple[str, str]]] = {}
    for name, reads, writes in rows.edges(tx):
        below.setdefault(reads, []).append((name, writes))
    paths: dict[str, list[str]] = {target.full_name: []}
    todo = [target.full_name]
    while todo:
        here = todo.pop()
        if here == source.full_name:
            way = " and ".join(paths[here])
            raise errors.InvalidRequest(
                f"{target.full_name} leads back to {source.full_name}"
                + (f" through {way}" if way else ", which is the same repository")
                + ": each refresh would be the cause of the next.",
                cure="Write to a repository that the source is not made from.",
            )
        for name, writes in below.get(here, []):
            if writes not in paths:
                paths[writes] = [*paths[here], name]
                todo.append(writes)


def _repository(tx: Connection, name: str) -> Repository:
    workspace, repository = split_repository(name)
    found = repositories.find(tx, workspace, repository)
    if found is None:
        raise errors.NotFound(
            f"There is no repository {workspace}/{repository}.",
            cure=f"Make it first: amasia repo create {workspace}/{repository}",
        )
    return found


def _group(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)
