"""Branches and tags in the store, and the one way in which a ref becomes a snapshot."""

import re
from contextlib import suppress
from datetime import datetime

import icechunk

from amasia import errors
from amasia.models.refs import Ref, RefKind, moment
from amasia.stores.failures import translated
from amasia.stores.leases import Source
from amasia.stores.repositories import committing

_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,253}[A-Za-z0-9])?")


def resolve(repository: icechunk.Repository, ref: str, name: str, source: Source | None = None) -> str:
    """Id of the snapshot that a ref means now; as for `reading`."""
    with translated(source), suppress(icechunk.NotFoundError):
        return str(repository.lookup_branch(ref))
    return reading(repository, ref, name, source).snapshot_id


def reading(repository: icechunk.Repository, ref: str, name: str, source: Source | None = None) -> icechunk.Session:
    """A session that shows what a ref means now, whatever is committed later.

    Parameters
    ----------
    ref
        A branch, a tag, a snapshot's id, or a time: the newest snapshot of ``main`` at ``2026-11-22T10:00`` (UTC where
        it names no zone), that of another branch at ``dev@2026-11-22T10:00``.
    name
        Of the repository, for errors.

    Raises
    ------
    NotFound
    """
    # Asked for rather than looked for first: one request for a branch, which is what most opens name.
    with translated(source), suppress(icechunk.NotFoundError):
        return repository.readonly_session(branch=ref)
    with translated(source), suppress(icechunk.NotFoundError):
        return repository.readonly_session(tag=ref)
    when = moment(ref)
    snapshot = _at(repository, *when, name, source) if when is not None else ref
    try:
        with translated(source):
            return repository.readonly_session(snapshot_id=snapshot)
    except (errors.NotFound, errors.InvalidRequest) as error:
        raise unknown(name, ref) from error


def find(repository: icechunk.Repository, source: Source | None = None) -> list[Ref]:
    """Every branch and tag."""
    with translated(source):
        branches = [(RefKind.branch, name, repository.lookup_branch(name)) for name in repository.list_branches()]
        tags = [(RefKind.tag, name, repository.lookup_tag(name)) for name in repository.list_tags()]
    return [Ref(kind=kind, name=name, snapshot=snapshot) for kind, name, snapshot in sorted([*branches, *tags])]


def create_branch(source: Source, repository: icechunk.Repository, name: str, snapshot: str) -> None:
    check_name(name)
    with committing(source), translated(source):
        repository.create_branch(name, snapshot)


def delete_branch(source: Source, repository: icechunk.Repository, name: str) -> None:
    with committing(source), translated(source):
        repository.delete_branch(name)


def reset_branch(source: Source, repository: icechunk.Repository, name: str, snapshot: str) -> str:
    """Point a branch at any snapshot; the one that it pointed at before."""
    with committing(source), translated(source):
        before = str(repository.lookup_branch(name))
        repository.reset_branch(name, snapshot, from_snapshot_id=before)
    return before


def create_tag(source: Source, repository: icechunk.Repository, name: str, snapshot: str) -> None:
    check_name(name)
    with committing(source), translated(source):
        repository.create_tag(name, snapshot)


def delete_tag(source: Source, repository: icechunk.Repository, name: str) -> None:
    with committing(source), translated(source):
        repository.delete_tag(name)


def check_name(name: str) -> None:
    """A name that addresses can hold, and that is not read as a time."""
    if not _PLAIN.fullmatch(name) or moment(name) is not None:
        raise errors.InvalidRequest(
            f"{name!r} is no name for a branch or tag here: letters, digits, '.', '_', '/' and '-', "
            "with a letter or digit at both ends, and not a time.",
            cure="Choose another one, such as v2026.11 or corrected-winds.",
        )


def unknown(name: str, ref: str) -> errors.NotFound:
    return errors.NotFound(
        f"{name} has no branch, tag or snapshot {ref!r}, and it is no time such as 2026-11-22T10:00.",
        cure=f"`amasia repo branch list {name}`, `amasia repo tag list {name}` and `amasia repo log {name}` list them.",
    )


def _at(repository: icechunk.Repository, branch: str, at: datetime, name: str, source: Source | None) -> str:
    oldest = None
    with translated(source):
        if branch not in repository.list_branches():
            raise unknown(name, branch)
        for info in repository.ancestry(branch=branch):
            if info.written_at <= at:
                return str(info.id)
            oldest = info.written_at
    raise errors.NotFound(
        f"{name} was not there at {at:%Y-%m-%d %H:%M:%S} UTC: its first snapshot on {branch!r} is of "
        f"{oldest:%Y-%m-%d %H:%M:%S} UTC.",
        cure="Name a later time. Without a zone, times are in UTC.",
    )
