"""Repositories: asked for, lent, committed to; and the index of their history."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from pydantic import Field
from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, clusters, datasets, events, grants, locations, users, views
from amasia.database import cleanings as graves
from amasia.database import refs as ref_rows
from amasia.database import repositories as rows
from amasia.database.engine import Database
from amasia.database.schema import Sealed
from amasia.models.base import Model, new_id, now
from amasia.models.endpoints import check_literal, check_uri
from amasia.models.grants import ROLES, Level
from amasia.models.limits import NONE
from amasia.models.permissions import Role
from amasia.models.refs import Ref
from amasia.models.repositories import (
    Bucket,
    BucketKind,
    BucketRequest,
    BucketStatus,
    Commit,
    CommitDone,
    CommitRequest,
    CommitStatus,
    LeaseRequest,
    Mode,
    Provenance,
    Repository,
    RepositoryRequest,
    RepositoryStatus,
)
from amasia.models.users import SERVICE, Principal, Scope
from amasia.services import limits, removals
from amasia.services.access import denials, require_operator
from amasia.settings import ServerSettings

LONGEST = timedelta(hours=1)
"""No credentials are lent for longer: until then other tools may write with them without our hearing of it."""
ABANDONED_AFTER = timedelta(hours=2)
"""A begun commit that is in no history after this: longer than any credential, so it cannot land any more."""


class Keys(Model):
    """The broker's own long-lived keys to a bucket."""

    access_key: str = Field(default="", repr=False)
    secret_key: str = Field(default="", repr=False)
    role: str = ""


class Place(Model):
    """Where a repository is, and the long-lived keys of its bucket: for whoever lends credentials, never for users."""

    repository: Repository
    bucket: Bucket
    access_key: str = ""
    secret_key: str = ""
    role: str = ""
    session: str = ""
    """What the store is to call what is lent there."""

    def __repr__(self) -> str:
        return f"Place({self.repository.full_name!r} in {self.bucket.uri!r})"


def known(tx: Connection, workspace: str, name: str) -> Repository:
    """The repository of that name, for every service that takes one."""
    found = rows.find(tx, workspace, name)
    if found is None:
        raise errors.NotFound(
            f"There is no repository {workspace}/{name}.",
            cure=f"`amasia repo list` shows what there is; `amasia repo create {workspace}/{name}` makes it.",
        )
    return found


def create_bucket(
    db: Database, who: Principal, workspace: str, request: BucketRequest, *, private_endpoints: bool = False
) -> Bucket:
    """Register it, to be tried by `amasia.reconcilers.buckets` before anything is kept there."""
    private = who.operator or private_endpoints
    check_literal(request.endpoint, private=private)
    check_uri(request.kind, request.uri)
    if request.kind is BucketKind.embedded:
        raise errors.InvalidRequest(
            "Every workspace has the embedded bucket already.", cure="Register one of kind s3, gcs, azure or directory."
        )
    if request.kind in (BucketKind.gcs, BucketKind.azure) and not request.secret_key:
        # Whatever that identity may do there, the bucket's workspace could do.
        require_operator(db, who, "bucket.create by the control plane's own identity")
    if request.kind is BucketKind.directory:
        # The control plane itself makes and reads what is there, with its own rights and not with the asker's.
        require_operator(db, who, "bucket.create of a directory")
        if not PurePath(request.uri.removeprefix("file://")).is_absolute():
            raise errors.InvalidRequest(f"{request.uri!r} is no absolute path.", cure="Write it as /data/amasia.")
    described = request.model_dump(exclude={"access_key", "secret_key", "role"})
    bucket = Bucket(workspace=workspace, **described, private_endpoint=private, status=BucketStatus.requested)
    with db.write() as tx:
        if locations.find_bucket(tx, workspace, bucket.name):
            raise errors.Conflict(f"There is a bucket {bucket.name!r} already.", cure="Choose another name.")
        locations.add_bucket(tx, bucket, _seal(tx, db, request.access_key, request.secret_key, request.role))
        events.append(tx, actor=who.actor, verb="bucket.create", target=bucket.name, workspace=workspace,
                      source=who.source, uri=bucket.uri)  # fmt: skip
    return bucket


def find_buckets(db: Database, workspace: str) -> list[Bucket]:
    with db.read() as tx:
        return locations.list_buckets(tx, workspace)


def untried(db: Database) -> list[tuple[Bucket, Keys]]:
    """Buckets that were registered and not tried, with the broker's keys."""
    with db.read() as tx:
        found = locations.untried_buckets(tx)
        return [(bucket, Keys(**json.loads(db.unseal(sealed)))) for bucket, sealed in found]


def tried(db: Database, bucket: Bucket, reason: str = "") -> None:
    """It can be used; or, with a reason, it cannot."""
    status = BucketStatus.failed if reason else BucketStatus.ready
    with db.write() as tx:
        if locations.set_bucket_status(tx, bucket, status, reason):
            events.append(tx, actor="amasia", verb="bucket.tried", target=bucket.name, workspace=bucket.workspace,
                          reason=reason)  # fmt: skip


def refresh_embedded(db: Database, *, uri: str, endpoint: str, access_key: str, secret_key: str, role: str) -> None:
    """Tell every workspace's embedded bucket where the store is and with which keys, at each start."""
    with db.write() as tx:
        for found in locations.embedded_buckets(tx):
            fresh = found.model_copy(update={"endpoint": endpoint, "uri": uri})
            locations.change_bucket(tx, fresh, _seal(tx, db, access_key, secret_key, role))


def create(db: Database, who: Principal, workspace: str, request: RepositoryRequest, *, most: int = NONE) -> Repository:
    """Write the wish; `amasia.reconcilers.repositories` makes it. ``most``: that the workspace may have."""
    with db.write() as tx:
        if rows.find(tx, workspace, request.name):
            raise errors.Conflict(
                f"There is a repository {workspace}/{request.name} already.",
                cure="Choose another name, or write to that one.",
            )
        limits.check_repositories(tx, workspace, most)
        bucket = _usable(_bucket(tx, workspace, request.bucket))
        repository = Repository(
            id=new_id("re"),
            workspace=workspace,
            name=request.name,
            bucket=bucket.name,
            status=RepositoryStatus.requested,
            description=request.description,
            created_by=who.user,
            created_at=now(),
        )
        rows.create(tx, repository)
        _keep(tx, who, repository)
        events.append(tx, actor=who.actor, verb="repository.create", target=repository.full_name,
                      workspace=workspace, source=who.source)  # fmt: skip
    return repository


def get(db: Database, workspace: str, name: str) -> Repository:
    with db.read() as tx:
        return known(tx, workspace, name)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """Forget it and its index. Its objects stay in the bucket, under its id, for the days of grace."""
    with db.write() as tx:
        repository = known(tx, workspace, name)
        if needed := views.of_repository(tx, repository.id):
            names = ", ".join(view.full_name for view in needed)
            raise errors.Conflict(
                f"{repository.full_name} is read or written by the views {names}.", cure="Delete those first."
            )
        datasets.remove(tx, repository.id)
        graves.bury(tx, repository, now())
        rows.remove(tx, repository.id)
        events.append(tx, actor=who.actor, verb="repository.delete", target=repository.full_name,
                      workspace=workspace, source=who.source, id=repository.id)  # fmt: skip


def lend(db: Database, who: Principal, workspace: str, name: str, request: LeaseRequest) -> Place:
    """Write down that credentials are lent, and say for what; the API asks the store for them."""
    with denials(db, who, workspace, "credentials.lend", f"{workspace}/{name}"), db.write() as tx:
        repository = known(tx, workspace, name)
        if repository.status is not RepositoryStatus.ready:
            why = f": {repository.reason}" if repository.reason else ""
            raise errors.Conflict(
                f"Repository {repository.full_name} is {repository.status.value}{why}.", cure="Try again in a moment."
            )
        # Before the look at what they may: whoever is removed between the two gets what is refused already.
        place = _place(tx, db, repository).model_copy(update={"session": removals.session(tx, workspace, who.user)})
        _check_still(tx, who, repository, request.mode)
        if request.mode is Mode.write:
            rows.update(tx, repository.id, lent_until=now() + LONGEST)
        events.append(tx, actor=who.actor, verb="credentials.lend", target=repository.full_name,
                      workspace=workspace, source=who.source, mode=request.mode.value)  # fmt: skip
    return place


def _check_still(tx: Connection, who: Principal, repository: Repository, mode: Mode) -> None:
    """The route asked before; meanwhile they may have been removed."""
    if who.scope is Scope.publish:
        return
    found = grants.find_repository(tx, who, repository.workspace, repository.name, public=True)
    needed = Level.write if mode is Mode.write else Level.read
    if found is None or found[1].rank < needed.rank:
        raise errors.PermissionDenied(
            f"{who.user} may no longer {mode.value} {repository.full_name}.", cure="Ask an admin of the workspace."
        )


def life(settings: ServerSettings, who: Principal, request: LeaseRequest) -> int:
    """Seconds that credentials are lent for: as asked, up to what the settings give."""
    most = settings.public_credentials_seconds if who.anonymous else settings.credentials_seconds
    return min(request.seconds or most, most)


def place(db: Database, repository: Repository) -> Place:
    with db.read() as tx:
        return _place(tx, db, repository)


def begin_commit(db: Database, who: Principal, workspace: str, name: str, request: CommitRequest) -> Provenance:
    """Write the commit down before it is made, with provenance in the control plane's own words.

    Its cost is that of its cluster since the cluster's last commit, so that commits share a cluster's bill.
    """
    with db.write() as tx:
        repository = known(tx, workspace, name)
        amount, time, cluster_name, environment = _cost(tx, workspace, who, request.cluster_id)
        found = users.get_workspace(tx, workspace)
        provenance = Provenance(
            commit_id=new_id("co"),
            user=who.user,
            at=now(),
            cluster=cluster_name,
            inputs=request.inputs,
            environment_hash=request.environment_hash or environment,
            code_version=request.code_version,
            amount=amount,
            currency=found.currency,
            milliseconds=time,
        )
        commit = Commit(
            id=provenance.commit_id,
            repository=repository.full_name,
            branch=request.branch,
            status=CommitStatus.begun,
            message=request.message,
            at=provenance.at,
            provenance=provenance,
        )
        rows.begin_commit(tx, repository.id, request.cluster_id, commit)
        rows.update(tx, repository.id, stale_since=now())
        events.append(tx, actor=who.actor, verb="commit.begin", target=repository.full_name, workspace=workspace,
                      source=who.source, commit=commit.id)  # fmt: skip
    return provenance


def finish_commit(db: Database, who: Principal, workspace: str, name: str, commit_id: str, done: CommitDone) -> Commit:
    """The commit landed, says its maker; it counts as committed when `index` has seen it in the history."""
    with db.write() as tx:
        repository = known(tx, workspace, name)
        commit = rows.find_commit(tx, repository.id, commit_id)
        if commit is None or (commit.provenance and commit.provenance.user != who.user):
            raise errors.NotFound(f"No commit {commit_id!r} of {who.user} was begun in {repository.full_name}.")
        if commit.status is CommitStatus.begun and done.snapshot:
            rows.update_commit(tx, commit_id, snapshot=done.snapshot, reported_at=now())
        elif commit.status is CommitStatus.begun:
            rows.update_commit(tx, commit_id, status=CommitStatus.abandoned, amount=0, milliseconds=0)
        rows.update(tx, repository.id, stale_since=now())
        events.append(tx, actor=who.actor, verb="commit.finish", target=repository.full_name, workspace=workspace,
                      source=who.source, commit=commit_id, snapshot=done.snapshot)  # fmt: skip
        found = rows.find_commit(tx, repository.id, commit_id)
    assert found is not None
    return found


def commits(db: Database, workspace: str, name: str, limit: int = 100, after: str = "") -> list[Commit]:
    with db.read() as tx:
        return rows.history(tx, known(tx, workspace, name).id, limit, after)


def newest(db: Database, workspace: str) -> dict[str, Commit]:
    """The newest commit of each repository, by the repository's full name."""
    with db.read() as tx:
        return {commit.repository: commit for commit in rows.newest(tx, workspace)}


def requested(db: Database) -> list[Repository]:
    with db.read() as tx:
        return rows.requested(tx)


def made(db: Database, repository: Repository, reason: str = "") -> None:
    """It is there now; or, with a reason, it could not be made."""
    status = RepositoryStatus.failed if reason else RepositoryStatus.ready
    with db.write() as tx:
        rows.update(tx, repository.id, status=status, reason=reason, stale_since=now())
        events.append(tx, actor="amasia", verb="repository.made", target=repository.full_name,
                      workspace=repository.workspace, reason=reason)  # fmt: skip


def stale(db: Database, before: datetime) -> list[Repository]:
    with db.read() as tx:
        return rows.stale(tx, before)


def indexed(db: Database, repository: Repository) -> set[str]:
    """Snapshots that the index has, and with each all that are before it."""
    with db.read() as tx:
        return rows.snapshots(tx, repository.id)


def watch(db: Database, since: datetime) -> None:
    """Have another look at what could be written lately by whoever does not tell, and was not looked at since."""
    with db.write() as tx:
        rows.mark_lent(tx, since)


def index(
    db: Database,
    repository: Repository,
    history: Iterable[Mapping[str, Any]],
    since: datetime,
    refs: Iterable[Ref] | None = None,
) -> None:
    """Make the index agree with the history that was read at ``since``: the history is right.

    ``history`` has branch, snapshot, parent, message, at and metadata of each commit, each branch newest first; what
    is in the index already may be left out. ``refs`` are all branches and tags.
    """
    with db.write() as tx:
        seen = rows.snapshots(tx, repository.id)
        for item in history:
            _index_one(tx, repository, item, seen)
        if refs is not None:
            ref_rows.replace(tx, repository.id, refs)
            ref_rows.doubt(tx, repository.id, since)
        for commit in rows.begun_before(tx, repository.id, since - ABANDONED_AFTER):
            rows.update_commit(tx, commit.id, status=CommitStatus.abandoned, amount=0, milliseconds=0)
        if rows.begun_before(tx, repository.id, now()):
            rows.update(tx, repository.id, stale_since=now())
        else:
            rows.indexed(tx, repository.id, since)


def _index_one(tx: Connection, repository: Repository, item: Mapping[str, Any], seen: set[str]) -> None:
    landed = {"status": CommitStatus.committed, "snapshot": item["snapshot"], "parent": item["parent"],
              "at": item["at"], "message": item["message"], "metadata": item["metadata"]}  # fmt: skip
    begun = _begun_as(tx, repository, item)
    if begun is not None:
        rows.update_commit(tx, begun.id, **landed)
        return
    if item["snapshot"] in seen:
        return
    # Made by a tool that did not ask first: it is in the history, so in the index, with nobody's word on its origin.
    seen.add(item["snapshot"])
    foreign = Commit(id=new_id("co"), repository=repository.full_name, branch=item["branch"], **landed)
    rows.begin_commit(tx, repository.id, None, foreign)


def _begun_as(tx: Connection, repository: Repository, item: Mapping[str, Any]) -> Commit | None:
    """The commit that was begun for this snapshot: its provenance must be word for word what was given out, and once.

    Whoever may write to a repository writes what they like into its metadata, another one's provenance too.
    """
    claimed = item["metadata"].get("amasia")
    if not isinstance(claimed, Mapping):
        return None
    found = rows.find_commit(tx, repository.id, str(claimed.get("commit_id", "")))
    if found is None or found.provenance is None or found.provenance.model_dump(mode="json") != dict(claimed):
        return None
    free = found.status is not CommitStatus.committed or found.snapshot == item["snapshot"]
    return found if free else None


def _cost(tx: Connection, workspace: str, who: Principal, cluster_id: str | None) -> tuple[int, int, str, str]:
    """(amount, milliseconds, name, environment) of the cluster, the money since its last commit."""
    if not cluster_id:
        return 0, 0, "", ""
    cluster = clusters.find(tx, cluster_id)
    if cluster is None or cluster.workspace != workspace or (cluster.owner != who.user and not cluster.spec.shared):
        raise errors.NotFound(f"You have no cluster {cluster_id!r} in {workspace!r} to commit from.")
    amount, time = budgets.of_clusters(tx, cluster.workspace, [cluster.id])[cluster.id]
    before, before_time = rows.attributed(tx, cluster.id)
    return max(0, amount - before), max(0, time - before_time), cluster.name, cluster.environment_hash


def _bucket(tx: Connection, workspace: str, name: str | None) -> Bucket:
    found = locations.list_buckets(tx, workspace)
    for bucket in found:
        if name in (None, bucket.name):
            return bucket
    names = ", ".join(bucket.name for bucket in found)
    raise errors.NotFound(f"The workspace {workspace!r} has no bucket {name!r}.", cure=f"It has: {names}.")


def _keep(tx: Connection, who: Principal, repository: Repository) -> None:
    """Whoever makes a repository says who else may, where their role does not give that anyway."""
    if ROLES[users.role(tx, repository.workspace, who.user) or Role.guest] is Level.admin:
        return
    maker = users.find_user(tx, who.user)
    assert maker is not None
    kind = "account" if maker.issuer == SERVICE else "user"
    grants.put(tx, repository.id, f"{kind}:{who.user}", Level.admin, who.user)


def _usable(bucket: Bucket) -> Bucket:
    """Also one that is being tried: what was wished for waits for that."""
    if bucket.status is not BucketStatus.failed:
        return bucket
    raise errors.Conflict(
        f"The bucket {bucket.name!r} cannot be used: {bucket.reason}", cure="Mend it and register it under a new name."
    )


def _seal(tx: Connection, db: Database, access_key: str, secret_key: str, role: str) -> Sealed:
    return db.seal(tx, json.dumps({"access_key": access_key, "secret_key": secret_key, "role": role}))


def _place(tx: Connection, db: Database, repository: Repository) -> Place:
    row = locations.bucket_row(tx, repository.workspace, repository.bucket)
    assert row is not None
    keys = json.loads(db.unseal(row["keys"]))
    return Place(repository=repository, bucket=Bucket.model_validate(dict(row)), **keys)
