"""Who may set, use and see secrets, on each database."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import failures
from amasia.models.base import now
from amasia.models.clusters import ClusterSpec
from amasia.models.events import EventFilter
from amasia.models.grants import AccountRequest, GroupRequest
from amasia.models.machines import Join
from amasia.models.permissions import Role
from amasia.models.secrets import SecretRequest
from amasia.models.users import Membership, Scope
from amasia.services import access, clusters, events, groups, joins, machines, secrets, service_accounts, workspaces

VALUE = "correct horse battery staple"


def put(world, who, name="KEY_1", value=VALUE, grantee=None, role=Role.member):
    return secrets.put(world.db, who, role, "lab", name, SecretRequest(value=value, grantee=grantee))


def names(world, who, role=Role.member):
    return [(one.name, one.grantee) for one in secrets.find(world.db, who, role, "lab")]


def machine_of(world, cluster, index=0):
    """A machine that joined, as the principal behind its token."""
    machine = clusters.get(world.db, "lab", cluster.id).machines[index]
    boot = machines.begin(world.db, world.settings, machine)
    machines.accepted(world.db, machine, {})
    hello = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
    told = joins.join(world.db, world.settings, hello)
    return access.principal(world.db, told.token, "machine")


def lend(world, who):
    return secrets.lend(world.db, who, who.machine_id)


def test_the_nearest_of_a_name_is_lent_ones_own_before_a_groups_before_everyones(world):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    groups.add(world.db, world.ada, "lab", "ocean", "ada")
    machine = machine_of(world, with_secrets(world, everyone="everyone's own"))
    assert lend(world, machine).values == {"KEY_1": "everyone's own"}
    put(world, world.ada, value="of the group", grantee="group:ocean", role=Role.owner)
    assert lend(world, machine).values == {"KEY_1": "of the group"}
    put(world, world.ada, value="ada's alone")
    assert lend(world, machine).values == {"KEY_1": "ada's alone"}


def with_secrets(world, everyone=VALUE, **spec):
    put(world, world.ada, value=everyone, grantee="everyone", role=Role.owner)
    return world.cluster(secrets=("KEY_1",), **spec)


def test_only_what_a_cluster_asked_for_is_lent_to_its_machines(world):
    put(world, world.ada, name="OTHER_KEY")
    assert set(lend(world, machine_of(world, with_secrets(world))).values) == {"KEY_1"}


def test_a_secret_of_another_is_neither_seen_nor_used_nor_removed(world):
    put(world, world.bo)
    assert names(world, world.bo) == [("KEY_1", "user:bo")]
    assert secrets.find(world.db, world.ada, Role.member, "lab") == []
    with pytest.raises(errors.NotFound, match="no secret KEY_1 that ada may use") as caught:
        world.cluster(secrets=("KEY_1",))
    assert "amasia secret set KEY_1" in caught.value.cure
    with pytest.raises(errors.PermissionDenied, match="may set their own"):
        secrets.remove(world.db, world.ada, Role.member, "lab", "KEY_1", "user:bo")
    assert events.find(world.db, "lab", None)[0].outcome.value == "denied"
    assert clusters.find(world.db, "lab") == []


def test_a_secret_of_another_workspace_is_not_there(world):
    secrets.put(world.db, world.eve, Role.owner, "other", "KEY_1", SecretRequest(value=VALUE, grantee="everyone"))
    with pytest.raises(errors.NotFound, match="no secret KEY_1"):
        world.cluster(secrets=("KEY_1",))


def test_an_unknown_name_is_refused_before_anything_is_paid_for(world):
    with pytest.raises(errors.NotFound, match="KEY_2"):
        clusters.quote(world.db, world.settings, world.ada, "lab", spec(secrets=("KEY_2",)))


def spec(**fields):
    return ClusterSpec.model_validate(fields)


def test_a_shared_cluster_uses_what_is_everyones_and_nothing_else(world):
    put(world, world.ada)
    with pytest.raises(errors.NotFound, match="secrets of everyone only"):
        world.cluster(secrets=("KEY_1",), shared=True)
    machine = machine_of(world, with_secrets(world, everyone="everyone's own", shared=True))
    assert lend(world, machine).values == {"KEY_1": "everyone's own"}


def test_who_manages_sets_for_others_and_sees_all_that_there_are(world):
    put(world, world.ada, grantee="user:bo", role=Role.owner)
    assert names(world, world.ada, Role.owner) == [("KEY_1", "user:bo")]
    assert names(world, world.bo) == [("KEY_1", "user:bo")]
    with pytest.raises(errors.NotFound, match="no group 'none'"):
        put(world, world.ada, grantee="group:none", role=Role.owner)
    with pytest.raises(errors.NotFound, match="user:eve is no member"):
        put(world, world.ada, grantee="user:eve", role=Role.owner)


def test_a_service_account_has_its_own(world):
    service_accounts.create(world.db, world.ada, "lab", AccountRequest(name="nightly", role=Role.member))
    with world.db.write() as tx:
        token = access.issue_token(tx, "nightly", "x", Scope.everything, timedelta(hours=1), workspace="lab").secret
    nightly = access.principal(world.db, token, "test")
    assert put(world, nightly).grantee == "account:nightly"
    assert names(world, nightly) == [("KEY_1", "account:nightly")]


def test_another_value_is_lent_to_the_next_machine_and_a_removed_one_is_missing(world):
    cluster = with_secrets(world)
    lend(world, machine_of(world, cluster))
    again = put(world, world.ada, value="another value", grantee="everyone", role=Role.owner)
    assert again.last_used_at is None
    second = machine_of(world, cluster, index=1)
    assert lend(world, second).values == {"KEY_1": "another value"}
    assert secrets.find(world.db, world.ada, Role.owner, "lab")[0].last_used_at is not None
    secrets.remove(world.db, world.ada, Role.owner, "lab", "KEY_1", "everyone")
    assert lend(world, second).missing == ("KEY_1",)
    assert lend(world, second).values == {}


def test_a_member_who_leaves_loses_secrets_and_machines_that_had_them(world):
    put(world, world.bo)
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.member))
    assert names(world, world.bo) == []


def test_a_group_takes_its_secrets_with_it(world):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    put(world, world.ada, grantee="group:ocean", role=Role.owner)
    groups.delete(world.db, world.ada, "lab", "ocean")
    assert names(world, world.ada, Role.owner) == []


def test_whose_owner_may_no_longer_run_is_lent_nothing(world):
    machine = machine_of(world, with_secrets(world))
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.owner))
    workspaces.set_member(world.db, world.bo, Role.owner, Membership(workspace="lab", user="ada", role=Role.viewer))
    with pytest.raises(errors.PermissionDenied, match="may no longer run"):
        lend(world, machine)


def test_setting_lending_and_removing_are_events_without_the_value(world):
    machine = machine_of(world, with_secrets(world))
    lend(world, machine)
    secrets.remove(world.db, world.ada, Role.owner, "lab", "KEY_1", "everyone")
    found = {one.verb: one for one in events.find(world.db, "lab", None) if one.verb.startswith("secret.")}
    assert set(found) == {"secret.set", "secret.lend", "secret.remove"}
    assert (found["secret.lend"].actor, found["secret.lend"].detail) == (
        f"machine:{machine.machine_id}", {"secrets": {"KEY_1": "everyone"}})  # fmt: skip
    assert VALUE not in str(events.find(world.db, "lab", None))


def test_the_same_lent_again_is_no_second_event_and_another_value_is(world):
    machine = machine_of(world, with_secrets(world))
    for value in ("the first value", "the second value"):
        put(world, world.ada, value=value, grantee="everyone", role=Role.owner)
        assert [lend(world, machine).values["KEY_1"] for _ in range(3)] == [value] * 3
    assert len(events.find(world.db, "lab", None, wanted=EventFilter(verb="secret.lend"))) == 2


def test_a_machine_that_asks_without_end_is_refused_until_a_while_has_gone_by(world, monkeypatch):
    monkeypatch.setattr(secrets, "LENDINGS", 3)
    cluster = with_secrets(world)
    machine, other = machine_of(world, cluster), machine_of(world, cluster, index=1)
    for _ in range(3):
        lend(world, machine)
    with pytest.raises(errors.TooOften):
        lend(world, machine)
    assert lend(world, other).values == {"KEY_1": VALUE}
    later = now() + secrets.WHILE + timedelta(seconds=1)
    monkeypatch.setattr(failures, "now", lambda: later)
    monkeypatch.setattr(secrets, "now", lambda: later)
    assert lend(world, machine).values == {"KEY_1": VALUE}


@pytest.mark.parametrize("name", ["1KEY", "A-B", "", "PATH", "AMASIA_TOKEN", "LD_PRELOAD", "pythonpath", "A" * 101])
def test_a_name_that_is_no_free_variable_is_refused(name):
    with pytest.raises(ValueError, match="variable"):
        spec(secrets=(name,))


@pytest.mark.parametrize("value", ["", "short", "a\nb\nc\nd\ne\nf", "nul\0 in the middle", "x" * (33 << 10)])
def test_a_value_that_no_variable_holds_or_no_log_could_hide_is_refused(value):
    with pytest.raises(ValueError, match=r"secret|variable|hidden"):
        SecretRequest(value=value)
