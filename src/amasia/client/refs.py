"""Branches, tags and histories as the control plane knows them: answers without opening a store."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from amasia import errors
from amasia.client.inputs import request
from amasia.client.repositories import path
from amasia.client.transport import connect
from amasia.models import repositories as models
from amasia.models.base import Page, split_repository
from amasia.models.refs import MAIN, Ref, RefKind, RefRequest, RefVerb
from amasia.models.repositories import Commit


def find(name: str, kind: RefKind | None = None) -> list[Ref]:
    """Branches and tags of a repository, or those of one kind."""
    found = connect().items(f"{path(*split_repository(name))}/refs", Ref)
    return [ref for ref in found if kind in (None, ref.kind)]


def history(name: str, ref: str = MAIN, limit: int = 50) -> list[Commit]:
    """Commits that a branch, tag, snapshot or time has behind it, newest first.

    Parameters
    ----------
    name
        ``workspace/repository``.
    ref
        As for `amasia.open_repo`.
    limit
        How many at most.

    Raises
    ------
    NotFound
    """
    where = f"{path(*split_repository(name))}/commits"
    return list(connect().get(where, Page[Commit], ref=ref, limit=limit).items)


def named(address: str) -> tuple[str, str]:
    """``demo/x@dev`` as (name, ref); an address without ``@`` means ``main``."""
    name, _, ref = address.removeprefix("amasia://").partition("@")
    return name, ref or MAIN


@contextmanager
def changing(record: models.Repository, kind: RefKind, verb: RefVerb, name: str, snapshot: str = "") -> Iterator[None]:
    """Tell the control plane before and after a branch or tag is changed in the store."""
    where = f"{path(record.workspace, record.name)}/refs"
    body = request(RefRequest, kind=kind, verb=verb, name=name, snapshot=snapshot)
    connect().post(where, body, RefRequest)
    yield
    with suppress(errors.AmasiaError):  # it is done, and the control plane will also see it in the store
        connect().put(where, body, RefRequest)
