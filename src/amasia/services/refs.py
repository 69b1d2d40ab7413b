"""Branches and tags as the control plane has them, and the history that each means, without asking a store."""

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events
from amasia.database import refs as rows
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.refs import Ref, RefKind, RefRequest, RefVerb, moment
from amasia.models.repositories import Commit, Repository
from amasia.models.users import Principal
from amasia.services.repositories import known


def find(db: Database, workspace: str, name: str) -> list[Ref]:
    with db.read() as tx:
        return rows.find(tx, known(tx, workspace, name).id)


def begin(db: Database, who: Principal, workspace: str, name: str, request: RefRequest) -> RefRequest:
    """Somebody is about to change a branch or tag: an event, and the store is looked at soon."""
    with db.write() as tx:
        repository = known(tx, workspace, name)
        if request.verb is RefVerb.reset and request.kind is RefKind.tag:
            raise errors.InvalidRequest("A tag never moves.", cure="Make another tag, or a branch.")
        if request.verb is not RefVerb.create and request.name not in _names(tx, repository, request.kind):
            raise errors.NotFound(
                f"{repository.full_name} has no {request.kind.value} {request.name!r}.",
                cure=f"`amasia repo {request.kind.value} list {repository.full_name}` shows those there are.",
            )
        repository_rows.update(tx, repository.id, stale_since=now())
        events.append(tx, actor=who.actor, verb=f"{request.kind.value}.{request.verb.value}",
                      target=repository.full_name, workspace=workspace, source=who.source, name=request.name,
                      snapshot=request.snapshot)  # fmt: skip
    return request


def finish(db: Database, who: Principal, workspace: str, name: str, request: RefRequest) -> RefRequest:
    """It is done, says whoever did it: answers are right at once, and the store has the last word."""
    ref = Ref(kind=request.kind, name=request.name, snapshot=request.snapshot)
    with db.write() as tx:
        repository = known(tx, workspace, name)
        if request.verb is RefVerb.delete:
            rows.remove(tx, repository.id, ref)
        else:
            rows.put(tx, repository.id, ref)
        repository_rows.update(tx, repository.id, stale_since=now())
    return request


def history(db: Database, workspace: str, name: str, ref: str, limit: int) -> list[Commit]:
    """Commits that a branch, tag, snapshot or time has behind it, newest first, as of this moment.

    A commit whose maker says that it landed counts from then on; the look into the store that confirms it comes within
    a second or two.
    """
    with db.read() as tx:
        repository = known(tx, workspace, name)
        refs = rows.find(tx, repository.id)
        named = {(one.kind, one.name): one.snapshot for one in refs}
        tip = named.get((RefKind.branch, ref))
        fresh = rows.reported(tx, repository.id, ref)
        if tip is not None or fresh or (not refs and ref == "main"):
            found = [*fresh, *_line(tx, repository, tip or "", limit)]
            return list({commit.id: commit for commit in found}.values())[:limit]
        return _line(tx, repository, _snapshot(tx, repository, ref, named), limit)


def _line(tx: Connection, repository: Repository, tip: str, limit: int) -> list[Commit]:
    """A snapshot's commit and those before it; alone, while it is reported and not yet seen in the store."""
    found = rows.line(tx, repository.id, tip, limit)
    return found or [commit for commit in rows.reported(tx, repository.id) if commit.snapshot == tip]


def _snapshot(tx: Connection, repository: Repository, ref: str, named: dict[tuple[RefKind, str], str]) -> str:
    tagged = named.get((RefKind.tag, ref))
    if tagged is not None:
        return tagged
    when = moment(ref)
    tip = named.get((RefKind.branch, when[0])) if when else None
    if when is not None and tip is not None:
        found = rows.at(tx, repository.id, tip, when[1])
    else:
        found = ref if when is None and _line(tx, repository, ref, 1) else ""
    if not found:
        raise errors.NotFound(
            f"{repository.full_name} has no branch, tag or snapshot {ref!r}, and nothing from that time.",
            cure=f"`amasia repo branch list {repository.full_name}` and `amasia repo log {repository.full_name}` "
            "list what there is.",
        )
    return found


def _names(tx: Connection, repository: Repository, kind: RefKind) -> set[str]:
    return {ref.name for ref in rows.find(tx, repository.id) if ref.kind is kind}
