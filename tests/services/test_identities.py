"""Who becomes a user by an issuer's word, and what its claims give and take."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from amasia import errors
from amasia.database import users as rows
from amasia.database.rows import change
from amasia.database.tables import identities as identity_table
from amasia.models.grants import GroupRequest
from amasia.models.identities import Claims, InvitationRequest
from amasia.models.permissions import Role
from amasia.models.users import Membership, Principal, Scope
from amasia.services import access, events, groups, identities, removals, users, workspaces
from amasia.services import claims as rules
from amasia.settings import Issuer, Rule, issuers

URL = "https://id.example.org"
RULES = (
    Rule(value="climate", workspace="lab", role="viewer"),
    Rule(claim="realm.roles", value="staff", workspace="lab", role="member", groups=("ocean", "there-is-none")),
    Rule(value="ice", workspace="lab", role="guest", groups=("ice",)),
)
ISSUER = Issuer(name="institute", url=URL, client_id="amasia", client_secret="very secret", rules=RULES)


def claims(subject="s-1", issuer=URL, **said):
    name = said.pop("name", "Grace Hopper")
    return Claims(issuer=issuer, subject=subject, provider="Institute", name=name, email="g@example.org", said=said)


def sign_in(world, sign_up, told, code=""):
    settings = world.settings.model_copy(update={"sign_up": sign_up, "session_idle_seconds": 60})
    return identities.sign_in(world.db, settings, ISSUER, told, "192.0.2.7", code=code)


def roles(world, user):
    with world.db.read() as tx:
        return {one.workspace: one.role.value for one in rows.memberships_of(tx, user)}


@pytest.mark.parametrize(
    ("sign_up", "said", "let_in"),
    [
        ("closed", {"groups": ["climate"]}, False),
        ("invited", {"groups": ["climate"]}, False),
        ("claims", {"groups": ["climate"]}, True),
        ("claims", {"groups": "climate"}, True),
        ("claims", {"groups": ["climat"]}, False),
        ("claims", {"groups": {"climate": True}}, False),
        ("claims", {"groups": None}, False),
        ("claims", {}, False),
        ("open", {}, True),
    ],
)
def test_the_policy_says_who_becomes_a_user(world, sign_up, said, let_in):
    if let_in:
        assert sign_in(world, sign_up, claims(**said)).token.user == "grace-hopper"
        return
    with pytest.raises(errors.PermissionDenied, match=r"Institute knows you as g@example\.org, but"):
        sign_in(world, sign_up, claims(**said))
    assert "grace-hopper" not in {user.name for user in users.find(world.db)}


def test_the_highest_role_of_all_claims_counts_and_what_is_gone_is_taken(world):
    sign_in(world, "open", claims(groups=["climate"], realm={"roles": ["staff"]}))
    assert roles(world, "grace-hopper") == {"lab": "member"}
    sign_in(world, "open", claims(groups=["climate"]))
    assert roles(world, "grace-hopper") == {"lab": "viewer"}
    assert removals.find(world.db) == []
    sign_in(world, "open", claims())
    assert roles(world, "grace-hopper") == {}
    assert [one.workspace for one in removals.find(world.db)] == ["lab"]


def test_a_session_of_whoever_lost_the_claim_opens_nothing(world):
    made = sign_in(world, "claims", claims(groups=["climate"]))
    who = access.principal(world.db, made.secret, "")
    assert access.require_member(world.db, who, "lab", "test") is Role.viewer
    with pytest.raises(errors.PermissionDenied):
        sign_in(world, "claims", claims())
    with pytest.raises(errors.NotFound):
        access.require_member(world.db, who, "lab", "test")


def test_two_issuers_with_one_subject_and_one_mail_are_two_people(world):
    one = sign_in(world, "open", claims("s-1"))
    two = sign_in(world, "open", claims("s-1", issuer="https://other.example.org"))
    assert (one.token.user, two.token.user) == ("grace-hopper", "grace-hopper-2")
    assert sign_in(world, "closed", claims("s-1", name="Another")).token.user == "grace-hopper"


def test_an_ended_account_does_not_come_back_by_its_identity(world):
    sign_in(world, "open", claims())
    users.remove(world.db, world.ada, "grace-hopper")
    with pytest.raises(errors.PermissionDenied, match="your account here was ended"):
        sign_in(world, "open", claims())


def test_an_invitation_is_good_once_for_its_user_and_not_where_sign_up_is_closed(world):
    made = identities.invite(world.db, world.ada, InvitationRequest(name="newton"), "https://x")
    with pytest.raises(errors.PermissionDenied):
        sign_in(world, "closed", claims(), code=made.code)
    assert sign_in(world, "invited", claims(), code=made.code).token.user == "newton"
    with pytest.raises(errors.PermissionDenied):
        sign_in(world, "invited", claims("s-2"), code=made.code)
    assert sign_in(world, "invited", claims()).token.user == "newton"


def test_wrong_invitations_are_counted(world):
    for _ in range(identities.TRIES):
        with pytest.raises(errors.NotFound):
            identities.invited(world.db, "ama_wrong", "192.0.2.7")
    with pytest.raises(errors.TooOften):
        identities.invited(world.db, "ama_wrong", "192.0.2.7")


def test_nobody_takes_another_ones_identity(world):
    sign_in(world, "open", claims())
    with pytest.raises(errors.Conflict, match="another user's already"):
        identities.link(world.db, world.bo, claims())
    identities.link(world.db, world.bo, claims("s-2"))
    assert [one.subject for one in identities.find(world.db, world.bo)] == ["s-2"]
    assert sign_in(world, "closed", claims("s-2")).token.user == "bo"


def test_to_link_an_identity_again_is_no_sign_in_by_it(world):
    sign_in(world, "open", claims(groups=["climate"]))
    long_ago = access.now() - timedelta(days=91)
    with world.db.write() as tx:
        change(tx, identity_table, identity_table.c.issuer == URL, last_used_at=long_ago)
    who = Principal(user="grace-hopper", operator=False, scope=Scope.everything, token_id="")
    assert identities.link(world.db, who, claims()).last_used_at == long_ago
    rules.lapse(world.db, world.settings)
    assert roles(world, "grace-hopper") == {}


def test_no_claim_makes_an_owner_or_a_role_that_there_is_not():
    for role in ("owner", "king"):
        wrong = ISSUER.model_copy(update={"rules": (Rule(value="x", workspace="lab", role=role),)})
        with pytest.raises(errors.InvalidRequest, match=f"gives the role '{role}'"):
            rules.check([wrong])
    rules.check([ISSUER])


def test_a_session_ends_when_it_was_idle_and_a_token_does_not(world, monkeypatch):
    made = sign_in(world, "open", claims())
    assert access.principal(world.db, made.secret, "").user == "grace-hopper"
    later = access.now() + timedelta(seconds=90)
    monkeypatch.setattr(access, "now", lambda: later)
    with pytest.raises(errors.TokenExpired, match="idle for too long"):
        access.principal(world.db, made.secret, "")


def test_issuers_of_a_file_join_those_of_the_variable_and_bad_ones_are_refused_without_their_secrets(world, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuer]]\nname = "b"\nurl = "https://b.example"\nclient_id = "x"\nclient_secret_file = "{secret}"\n'
        '[[issuer.rules]]\nvalue = "climate"\nworkspace = "lab"\n'
    )
    settings = world.settings.model_copy(update={"issuers": (ISSUER,), "issuers_file": file})
    assert [one.name for one in issuers(settings)] == ["institute", "b"]
    assert issuers(settings)[1].secret() == "from a file"
    assert "very secret" not in repr(settings)
    for text, said in (
        ("[[issuer]]\nname = 'c'\nclient_secret = 'very secret'\n", "url: Field required"),
        ("[[issuer]]\nname = 'c'\nurl = 'http://c.example'\nclient_id = 'x'\n", "anybody on the way"),
        ("[[issuers]]\n", "may have \\[\\[issuer\\]\\] only"),
        ("[[issuer]]\nname = 'institute'\nurl = 'https://c.example'\nclient_id = 'x'\n", "Two issuers"),
        ("no toml", "cannot be used"),
    ):
        file.write_text(text)
        with pytest.raises(errors.InvalidRequest, match=said) as told:
            issuers(settings)
        assert "very secret" not in str(told.value)


def test_a_subject_must_be_said():
    with pytest.raises(ValidationError):
        claims("")


def test_a_membership_by_hand_stays(world):
    sign_in(world, "open", claims())
    by_hand = Membership(workspace="lab", user="grace-hopper", role=Role.admin)
    workspaces.set_member(world.db, world.ada, Role.owner, by_hand)
    sign_in(world, "open", claims(groups=["climate"]))
    sign_in(world, "open", claims())
    assert roles(world, "grace-hopper") == {"lab": "admin"}


def in_groups(world, user):
    return {one.name: one.origins.get(user, "") for one in groups.find(world.db, "lab") if user in one.members}


def told(world):
    """(verb, target, what) of what claims did, the oldest first."""
    found = [one for one in reversed(events.find(world.db, "lab", None)) if one.detail.get("claims_of") == URL]
    return [(one.verb, one.target, one.detail.get("role") or one.detail.get("user", "")) for one in found]


def test_groups_of_all_rules_are_joined_and_each_goes_with_its_claim(world):
    for name in ("ocean", "ice"):
        groups.create(world.db, world.ada, "lab", GroupRequest(name=name))
    sign_in(world, "open", claims(groups=["ice"], realm={"roles": ["staff"]}))
    assert roles(world, "grace-hopper") == {"lab": "member"}
    assert in_groups(world, "grace-hopper") == {"ice": URL, "ocean": URL}
    sign_in(world, "open", claims(groups=["ice"]))
    assert (roles(world, "grace-hopper"), in_groups(world, "grace-hopper")) == ({"lab": "guest"}, {"ice": URL})
    sign_in(world, "open", claims())
    assert (roles(world, "grace-hopper"), in_groups(world, "grace-hopper")) == ({}, {})
    assert told(world) == [
        ("member.set", "grace-hopper", "member"),
        ("group.add", "ice", "grace-hopper"),
        ("group.add", "ocean", "grace-hopper"),
        ("member.set", "grace-hopper", "guest"),
        ("group.remove", "ocean", "grace-hopper"),
        ("member.remove", "grace-hopper", ""),
    ]


def test_a_place_in_a_group_by_hand_stays_also_where_a_claim_gave_it_before(world):
    for name in ("ocean", "ice"):
        groups.create(world.db, world.ada, "lab", GroupRequest(name=name))
    sign_in(world, "open", claims(groups=["ice"], realm={"roles": ["staff"]}))
    by_hand = Membership(workspace="lab", user="grace-hopper", role=Role.viewer)
    workspaces.set_member(world.db, world.ada, Role.owner, by_hand)
    groups.add(world.db, world.ada, "lab", "ocean", "grace-hopper")
    assert in_groups(world, "grace-hopper") == {"ice": URL, "ocean": ""}
    sign_in(world, "open", claims())
    assert (roles(world, "grace-hopper"), in_groups(world, "grace-hopper")) == ({"lab": "viewer"}, {"ocean": ""})


def test_a_member_says_which_claims_they_are_here_by(world):
    sign_in(world, "open", claims(groups=["climate", "ice"]))
    found = {one.user: one for one in workspaces.members(world.db, "lab")}
    assert found["grace-hopper"].claims == ("groups=climate", "groups=ice")
    assert found["grace-hopper"].by == f"groups=climate, groups=ice of {URL}"
    assert found["ada"].by == "by hand"


@pytest.mark.parametrize(
    ("given", "strongest"),
    [(("viewer", "billing"), "billing"), (("billing", "member"), "member"), (("auditor", "guest"), "auditor"),
     (("viewer", "auditor"), "viewer"), (("member", "admin"), "admin")],
)  # fmt: skip
def test_of_several_rules_the_strongest_role_counts_in_any_order(world, given, strongest):
    for order in (given, given[::-1]):
        issuer = ISSUER.model_copy(update={"rules": tuple(Rule(value="x", workspace="lab", role=one) for one in order)})
        with world.db.write() as tx:
            found = rules.given(tx, issuer.rules, {"groups": ["x"]})
        assert found["lab"].role == strongest


def test_what_claims_gave_ends_when_nobody_has_seen_them_for_long(world):
    sign_in(world, "open", claims(groups=["climate"]))
    sign_in(world, "open", claims("s-2", name="By Hand"))
    by_hand = Membership(workspace="lab", user="by-hand", role=Role.viewer)
    workspaces.set_member(world.db, world.ada, Role.owner, by_hand)
    rules.lapse(world.db, world.settings)
    assert roles(world, "grace-hopper") == {"lab": "viewer"}
    with world.db.write() as tx:
        change(tx, identity_table, last_used_at=access.now() - timedelta(days=91))
    rules.lapse(world.db, world.settings.model_copy(update={"claims_days": 0}))
    assert roles(world, "grace-hopper") == {"lab": "viewer"}
    rules.lapse(world.db, world.settings)
    assert (roles(world, "grace-hopper"), roles(world, "by-hand")) == ({}, {"lab": "viewer"})
    assert [one.workspace for one in removals.find(world.db)] == ["lab"]
    sign_in(world, "open", claims(groups=["climate"]))
    assert roles(world, "grace-hopper") == {"lab": "viewer"}


OTHER = "https://other.example.org"


def two_issuers(world, **said):
    """Somebody with an identity at each of two, who was seen by the first one long ago."""
    sign_in(world, "open", claims(groups=["climate"], realm={"roles": ["staff"]}))
    who = Principal(user="grace-hopper", operator=False, scope=Scope.everything, token_id="")
    identities.link(world.db, who, claims("o-1", issuer=OTHER))
    sign_in(world, "open", claims("o-1", issuer=OTHER, **said))
    with world.db.write() as tx:
        change(tx, identity_table, identity_table.c.issuer == URL, last_used_at=access.now() - timedelta(days=91))


def test_what_another_issuer_still_gives_outlives_the_claims_that_lapse(world):
    for name in ("ocean", "ice"):
        groups.create(world.db, world.ada, "lab", GroupRequest(name=name))
    two_issuers(world, groups=["climate", "ice"])
    assert roles(world, "grace-hopper") == {"lab": "member"}
    assert in_groups(world, "grace-hopper") == {"ocean": URL, "ice": OTHER}
    rules.lapse(world.db, world.settings)
    assert (roles(world, "grace-hopper"), in_groups(world, "grace-hopper")) == ({"lab": "viewer"}, {"ice": OTHER})
    assert removals.find(world.db) == []
    assert {one.user: one.origin for one in workspaces.members(world.db, "lab")}["grace-hopper"] == OTHER


def test_a_sign_in_that_loses_its_claims_leaves_what_another_issuer_gives(world):
    two_issuers(world, groups=["climate"])
    sign_in(world, "open", claims())
    assert roles(world, "grace-hopper") == {"lab": "viewer"}
    sign_in(world, "open", claims("o-1", issuer=OTHER))
    assert roles(world, "grace-hopper") == {}


def test_whom_somebody_puts_out_comes_back_by_no_claim_of_before(world):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ice"))
    two_issuers(world, groups=["climate", "ice"])
    groups.remove(world.db, world.ada, "lab", "ice", "grace-hopper")
    rules.lapse(world.db, world.settings)
    assert (roles(world, "grace-hopper"), in_groups(world, "grace-hopper")) == ({"lab": "viewer"}, {})
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "grace-hopper")
    sign_in(world, "open", claims())
    assert roles(world, "grace-hopper") == {}
