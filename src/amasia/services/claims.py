"""What an issuer's claims give: memberships, roles and groups, by the rules of the settings; and what goes with them.

All rules that match count: of several for one workspace the strongest role, and the groups of all; and so do all
identities of a user, each with what its claims gave when they were last seen. Claims change only what claims gave; what
somebody gave by hand stays as it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, groups, identities, users
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.identities import Given
from amasia.models.permissions import STRENGTH, Role
from amasia.models.users import Membership
from amasia.services import removals
from amasia.settings import Issuer, Rule, ServerSettings


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
        before = found.get(rule.workspace, Given(role=Role(rule.role)))
        claim = f"{rule.claim}={rule.value}"
        found[rule.workspace] = Given(
            role=max(before.role, Role(rule.role), key=STRENGTH.index),
            groups=tuple(sorted({*before.groups, *rule.groups})),
            claims=before.claims if claim in before.claims else (*before.claims, claim),
        )
    return found


def follow(tx: Connection, user: str) -> None:
    """Make what came from claims what those of all identities of a user give, as they were last seen."""
    said = [(one.issuer, one.given) for one in identities.of_user(tx, user)]
    mine = {one.workspace: one for one in users.memberships_of(tx, user)}
    wished = {workspace for _, given in said for workspace in given}
    for workspace, member in mine.items():
        if member.origin and workspace not in wished:
            removals.leave(tx, workspace, user)
            _tell(tx, "member.remove", user, workspace, member.origin, claims=member.claims)
    for workspace in sorted(wished):
        before = mine.get(workspace)
        if before is not None and not before.origin:
            continue
        issuer, one = _strongest([(origin, given[workspace]) for origin, given in said if workspace in given], before)
        member = Membership(workspace=workspace, user=user, role=one.role, origin=issuer, claims=one.claims)
        if before != member:
            users.set_member(tx, member)
            _tell(tx, "member.set", user, workspace, issuer, role=one.role.value, claims=one.claims)
    _follow_groups(tx, user, said)


def lapse(db: Database, settings: ServerSettings) -> None:
    """End what claims gave to those who did not sign in for so long that nobody knows whether they still have them."""
    if not settings.claims_days:
        return
    before = now() - timedelta(days=settings.claims_days)
    with db.read() as tx:
        found = identities.unseen(tx, before)
    for identity in found:
        with db.write() as tx:
            if identities.lapse(tx, identity, before):
                follow(tx, identity.user)


def _strongest(said: list[tuple[str, Given]], before: Membership | None) -> tuple[str, Given]:
    """Of what several issuers give in a workspace; of the same by two, what it was by before."""
    held = before.origin if before else ""
    return max(said, key=lambda one: (STRENGTH.index(one[1].role), one[0] == held))


def _follow_groups(tx: Connection, user: str, said: Sequence[tuple[str, Mapping[str, Given]]]) -> None:
    """After the memberships: only members are in groups, and only in those that there are."""
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    places = ((workspace, name, issuer) for issuer, given in said
              for workspace, one in given.items() for name in one.groups)  # fmt: skip
    for workspace, name, issuer in places:
        if users.role(tx, workspace, user) is not None and groups.find(tx, workspace, name) is not None:
            wanted[workspace, name].append(issuer)
    mine = groups.of_user(tx, user)
    for workspace, name in sorted(key for key, origin in mine.items() if origin and key not in wanted):
        groups.remove_member(tx, user, workspace, name)
        _tell(tx, "group.remove", name, workspace, mine[workspace, name], user=user)
    for (workspace, name), issuers in sorted(wanted.items()):
        held = mine.get((workspace, name))
        if held == "" or held in issuers:  # by hand, or by a claim that still gives it
            continue
        groups.add_member(tx, workspace, name, user, issuers[0])
        _tell(tx, "group.add", name, workspace, issuers[0], user=user)


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
