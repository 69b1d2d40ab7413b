"""Where machines come from, and which type fits."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, machines
from amasia.database import locations as rows
from amasia.database.engine import Database
from amasia.database.schema import Sealed
from amasia.models.base import now
from amasia.models.locations import (
    AIMS,
    Finding,
    Location,
    LocationChange,
    LocationRequest,
    LocationStatus,
    Offer,
    Use,
)
from amasia.models.machines import Machine
from amasia.models.users import Principal
from amasia.services.access import denials, require_operator


def known(tx: Connection, workspace: str, name: str) -> Location:
    """The location of that name, for every service that takes one."""
    found = rows.find_location(tx, workspace, name)
    if found is None:
        raise errors.NotFound(
            f"The workspace {workspace!r} has no location {name!r}.", cure="`amasia location list` shows what there is."
        )
    return found


def find(db: Database, workspace: str) -> list[Location]:
    with db.read() as tx:
        return rows.list_locations(tx, workspace)


def get(db: Database, workspace: str, name: str) -> Location:
    with db.read() as tx:
        return known(tx, workspace, name)


def in_use(db: Database, workspace: str) -> dict[str, Use]:
    """What there is at each location that has any machine."""
    with db.read() as tx:
        found = machines.by_location(tx, workspace)
    return {name: Use(machines=number, rate=rate) for name, (number, rate) in found.items()}


def machines_at(db: Database, workspace: str, name: str) -> list[Machine]:
    """Those that are wished for or alive there."""
    with db.read() as tx:
        return machines.at_location(tx, workspace, known(tx, workspace, name).name)


def create(
    db: Database, who: Principal, workspace: str, request: LocationRequest, *, private_endpoints: bool = False
) -> Location:
    """Register it, to be looked at by `amasia.reconcilers.locations` before any machine is started there.

    Parameters
    ----------
    private_endpoints
        Whether everybody may name hosts and endpoints at private addresses, and not only operators.
    """
    if not request.secrets:
        # Without keys of its own it would act as the control plane itself does.
        require_operator(db, who, "location.create without secrets of its own")
    described = request.model_dump(exclude={"secrets"})
    private = who.operator or private_endpoints
    location = Location(workspace=workspace, status=LocationStatus.requested, private_endpoints=private, **described)
    with db.write() as tx:
        if rows.find_location(tx, workspace, location.name):
            raise errors.Conflict(
                f"There is a location {location.name!r} already.", cure="Choose another name, or remove that one."
            )
        rows.put_location(tx, location, db.seal(tx, json.dumps(request.secrets)))
        events.append(tx, actor=who.actor, verb="location.create", target=location.name, workspace=workspace,
                      source=who.source, provider=location.provider, region=location.region)  # fmt: skip
    return location


def check(db: Database, who: Principal, workspace: str, name: str) -> Location:
    """Wish for another look at it."""
    with db.write() as tx:
        known(tx, workspace, name)
        rows.change_location(tx, workspace, name, status=LocationStatus.requested)  # what runs there goes on
        events.append(tx, actor=who.actor, verb="location.check", target=name, workspace=workspace,
                      source=who.source)  # fmt: skip
    return get(db, workspace, name)


def update(
    db: Database,
    who: Principal,
    workspace: str,
    name: str,
    change: LocationChange,
    *,
    private_endpoints: bool = False,
) -> Location:
    """Change it, and wish for a look at it; its machines go on.

    Whoever changes its options or secrets answers for them as if they had registered it: see `create`. Secrets that
    are kept go only where they went, since who changes it need not know them.
    """
    said = change.model_dump(exclude_none=True)
    changes: dict[str, Any] = dict(said)
    if change.options is not None:
        changes["private_endpoints"] = who.operator or private_endpoints
    with denials(db, who, workspace, "location.update", name), db.write() as tx:
        location = known(tx, workspace, name)
        _check_secrets(db, tx, who, location, change)
        if change.secrets is not None:
            changes["secrets"] = db.seal(tx, json.dumps(change.secrets))
        if change.options is not None and not _keeps(location.options, change.options):
            _refuse_with_machines(tx, location)
        rows.change_location(tx, workspace, name, status=LocationStatus.requested, **changes)
        events.append(tx, actor=who.actor, verb="location.update", target=name, workspace=workspace,
                      source=who.source, changed=", ".join(sorted(said)))  # fmt: skip
    return get(db, workspace, name)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """Forget it; refused while it has machines."""
    with db.write() as tx:
        location = known(tx, workspace, name)
        _refuse_with_machines(tx, location)
        rows.delete_location(tx, workspace, name)
        events.append(tx, actor=who.actor, verb="location.delete", target=name, workspace=workspace,
                      source=who.source)  # fmt: skip


def every(db: Database) -> list[tuple[Location, dict[str, str]]]:
    """Every location with its secrets, for who opens their providers."""
    with db.read() as tx:
        found = rows.every_location(tx)
    return [(location, _unsealed(db, sealed)) for location, sealed in found]


def checked(db: Database, location: Location, findings: Sequence[Finding], offers: Sequence[Offer]) -> None:
    """Take down what was found there."""
    usable = bool(offers) and all(finding.ok for finding in findings if finding.subject == location.name)
    status = LocationStatus.ready if usable else LocationStatus.failed
    with db.write() as tx:
        rows.change_location(tx, location.workspace, location.name, status=status, findings=tuple(findings),
                             offers=tuple(offers), checked_at=now())  # fmt: skip
        events.append(tx, actor="amasia", verb="location.checked", target=location.name,
                      workspace=location.workspace, status=status)  # fmt: skip


def strayed(db: Database, location: Location, strays: Sequence[Finding]) -> None:
    """Take down what a sweep saw that carries no mark of ours: only a person can say whose it is."""
    known = {finding.subject for finding in location.findings}
    new = [stray for stray in strays if stray.subject not in known]
    if not new:
        return
    with db.write() as tx:
        rows.change_location(tx, location.workspace, location.name, findings=(*location.findings, *new))
        for stray in new:
            events.append(tx, actor="amasia", verb="location.stray", target=stray.subject,
                          workspace=location.workspace, location=location.name, what=stray.what)  # fmt: skip


def offered(db: Database, location: Location, offers: Sequence[Offer]) -> None:
    """Bring its price list up to date."""
    if location.offers == tuple(offers):
        return
    with db.write() as tx:
        rows.change_location(tx, location.workspace, location.name, offers=tuple(offers))


def _check_secrets(db: Database, tx: Connection, who: Principal, location: Location, change: LocationChange) -> None:
    kept = _unsealed(db, rows.location_secrets(tx, location.workspace, location.name))
    if not who.operator and (not kept or change.secrets == {}):
        raise errors.PermissionDenied(
            f"{location.name!r} acts as the control plane itself does, or would: that is for operators.",
            cure="Ask an operator, or register a location with secrets of its own.",
        )
    if change.options is None or change.secrets is not None:
        return
    turned = [key for key in AIMS if change.options.get(key) != location.options.get(key)]
    if kept and turned:
        raise errors.PermissionDenied(
            f"The secrets of {location.name!r} would be sent to another {' and '.join(turned)}.",
            cure="Give them again, under [secrets] of its file.",
        )


def _unsealed(db: Database, sealed: Sealed | None) -> dict[str, str]:
    found: dict[str, str] = json.loads(db.unseal(sealed)) if sealed else {}
    return found


def _refuse_with_machines(tx: Connection, location: Location) -> None:
    running = machines.count(tx, location.workspace, location.name)
    if running:
        raise errors.Conflict(
            f"The location {location.name!r} has {running} machines.",
            cure="Stop their clusters first: amasia cluster list. Those that are kept warm: amasia location warm",
        )


def _keeps(old: Any, new: Any) -> bool:
    """Whether everything is still there as it was: what machines run by must not change under them."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _keeps(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return all(item in new for item in old)
    return bool(old == new)
