"""What an issuer's claims give: memberships, roles and groups, by the rules of the settings; and what goes with them.

All rules that match count: of several for one workspace the strongest role, and the groups of all. Claims change only
what claims of the same issuer gave; what somebody gave by hand stays as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, groups, identities, users
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.permissions import STRENGTH, Role
from amasia.models.users import Membership
from amasia.services import removals
from amasia.settings import Issuer, Rule, ServerSettings


@dataclass(frozen=True)
class Given:
    """What claims give in one workspace."""

    role: Role
    groups: frozenset[str]
    claims: tuple[str, ...]
    """Those that did, as they are shown."""


def check(issuers: Iterable[Issuer]) -> None:
    """Refuse rules that give what no claim may.

    Raises
    ------
    InvalidRequest
        A role that there is not, or owner: whoever owns a workspace was made its owner by somebody here.
    """
    roles = [role.value for role in Role if role is not Role.owner]
    for issuer in issuers:
        for rule in issuer.rules:
            if rule.role not in roles:
                raise errors.InvalidRequest(
                    f"A rule of the issuer {issuer.name!r} gives the role {rule.role!r}.",
                    cure=f"Claims give one of {', '.join(roles)}.",
                )


def given(tx: Connection, rules: Iterable[Rule], said: Mapping[str, Any]) -> dict[str, Given]:
    """By workspace, as far as there is one of that name."""
    found: dict[str, Given] = {}
    for rule in rules:
        if rule.value not in _values(said, rule.claim) or users.find_workspace(tx, rule.workspace) is None:
            continue
        before = found.get(rule.workspace, Given(Role(rule.role), frozenset(), ()))
        claim = f"{rule.claim}={rule.value}"
        found[rule.workspace] = Given(
            max(before.role, Role(rule.role), key=STRENGTH.index),
            before.groups | set(rule.groups),
            before.claims if claim in before.claims else (*before.claims, claim),
        )
    return found


def follow(tx: Connection, user: str, issuer: str, wished: Mapping[str, Given]) -> None:
    """Make what came from this issuer's claims what its claims are now."""
    mine = {one.workspace: one for one in users.memberships_of(tx, user)}
    for workspace, member in mine.items():
        if member.origin == issuer and workspace not in wished:
            removals.leave(tx, workspace, user)
            _tell(tx, "member.remove", user, workspace, issuer, claims=member.claims)
    for workspace, one in wished.items():
        member = Membership(workspace=workspace, user=user, role=one.role, origin=issuer, claims=one.claims)
        before = mine.get(workspace)
        if before == member or (before is not None and before.origin != issuer):
            continue
        users.set_member(tx, member)
        _tell(tx, "member.set", user, workspace, issuer, role=one.role.value, claims=one.claims)
    _follow_groups(tx, user, issuer, wished)


def lapse(db: Database, settings: ServerSettings) -> None:
    """End what claims gave to those who did not sign in for so long that nobody knows whether they still have them."""
    if not settings.claims_days:
        return
    before = now() - timedelta(days=settings.claims_days)
    with db.read() as tx:
        found = identities.unseen(tx, before)
    for user, issuer in found:
        with db.write() as tx:
            if (user, issuer) in identities.unseen(tx, before):  # they may be signing in at this moment
                follow(tx, user, issuer, {})


def _follow_groups(tx: Connection, user: str, issuer: str, wished: Mapping[str, Given]) -> None:
    """After the memberships: only members are in groups, and only in those that there are."""
    wanted = {
        (workspace, name)
        for workspace, one in wished.items()
        for name in sorted(one.groups)
        if users.role(tx, workspace, user) is not None and groups.find(tx, workspace, name) is not None
    }
    mine = groups.of_user(tx, user)
    for workspace, name in sorted(key for key, origin in mine.items() if origin == issuer and key not in wanted):
        groups.remove_member(tx, user, workspace, name)
        _tell(tx, "group.remove", name, workspace, issuer, user=user)
    for workspace, name in sorted(wanted - mine.keys()):
        groups.add_member(tx, workspace, name, user, issuer)
        _tell(tx, "group.add", name, workspace, issuer, user=user)


def _values(said: Mapping[str, Any], claim: str) -> list[str]:
    """Of a claim: its name as it is, or a path into objects. A single value counts as a list of one."""
    found: Any = said.get(claim)
    if found is None:
        found = said
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    many = found if isinstance(found, list | tuple) else [found]
    return [str(one) for one in many if isinstance(one, str | int)]


def _tell(tx: Connection, verb: str, target: str, workspace: str, issuer: str, **detail: Any) -> None:
    events.append(tx, actor="amasia", verb=verb, target=target, workspace=workspace, claims_of=issuer, **detail)
