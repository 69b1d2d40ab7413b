from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import budgets as budget_rows
from amasia.database import clusters as cluster_rows
from amasia.database import machines as machine_rows
from amasia.database import refreshes as rows
from amasia.database import views as view_rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, Charge
from amasia.models.clusters import ClusterStatus, ClusterTarget
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.models.views import (
    Applied,
    ClaimRequest,
    RefreshDone,
    RefreshStatus,
    Renewal,
    Trigger,
    ViewStatus,
)
from amasia.reconcilers import views as loop
from amasia.services import budgets, clusters, refreshes, views, workspaces


@pytest.fixture
def house(lake):
    return House(lake)


class House:
    """A lake with a view, and the verbs of these tests."""

    def __init__(self, lake):
        self.lake, self.world, self.db = lake, lake.world, lake.world.db

    def round(self):
        loop.reconcile(self.db, self.world.settings)

    def live(self):
        return refreshes.live(self.db)

    def all(self):
        return refreshes.find(self.db, self.world.ada, "lab", "monthly")

    def clusters(self):
        return clusters.find(self.db, "lab")

    def machine(self, refresh):
        """The owner's principal on the refresh's machine."""
        return self.world.ada.model_copy(update={"cluster_id": refresh.cluster_id, "machine_id": "ma-0"})

    def claim(self, refresh=None, who=None):
        who = who or (self.machine(refresh) if refresh else self.world.ada)
        return refreshes.claim(self.db, who, "lab", "monthly", ClaimRequest(refresh=refresh.id if refresh else None))

    def finish(self, claim, snapshot="", **fields):
        done = RefreshDone(secret=claim.secret, snapshot=snapshot, **fields)
        return refreshes.finish(self.db, self.world.ada, "lab", "monthly", claim.refresh.id, done)

    def let_pass(self, claim):
        """As if nobody had been heard of for a long time."""
        with self.db.write() as tx:
            rows.update(tx, claim.refresh.id, claimed_until=now() - timedelta(seconds=1))

    def let_retry(self):
        with self.db.write() as tx:
            view_rows.update(tx, self.lake.get().id, retry_at=now() - timedelta(seconds=1))

    def lose(self, reason="its scheduler ended: the power went"):
        for cluster in self.clusters():
            with self.db.write() as tx:
                cluster_rows.wish_stop(tx, cluster.id, reason)


def test_a_commit_makes_one_wish_and_one_cluster_however_often_it_is_looked_at(house):
    house.lake.view(worker_memory=1 << 29)
    for _ in range(3):
        house.round()
    [refresh], [cluster] = house.live(), house.clusters()
    assert (refresh.trigger, refresh.to_snapshot, refresh.cluster_id) == (Trigger.commit, "S1", cluster.id)
    assert (cluster.owner, cluster.spec.n_workers, cluster.spec.idle_timeout) == ("ada", 0, 0)
    assert cluster.spec.refresh == f"monthly/{refresh.id}"
    assert [machine.role for machine in cluster.machines] == ["scheduler"]
    assert house.lake.get().status is ViewStatus.refreshing


def test_asking_twice_gives_the_same_one(house):
    house.lake.view(trigger="manual")
    house.round()
    assert house.live() == []
    first = refreshes.request(house.db, house.world.bo, "lab", "monthly")
    second = refreshes.request(house.db, house.world.ada, "lab", "monthly")
    assert first.id == second.id
    assert (first.by, first.trigger) == ("bo", Trigger.manual)


def test_a_crash_between_the_cluster_and_the_note_of_it_makes_no_second_cluster(house, monkeypatch):
    house.lake.view()
    with monkeypatch.context() as broken:
        broken.setattr(rows, "place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            house.round()
    assert house.live()[0].cluster_id is None
    house.round()
    assert house.live()[0].cluster_id == house.clusters()[0].id
    assert len(house.clusters()) == 1


def test_many_commits_go_into_one_refresh(house):
    house.lake.view()
    house.round()
    house.lake.commit("data", "S2", "S3", "S4")
    house.round()
    claim = house.claim(house.live()[0])
    assert claim.refresh.to_snapshot == "S4"
    house.finish(claim, "S4", applied=(Applied(source_snapshot="S4", target_snapshot="T1", computed=("t2m",)),))
    house.round()
    assert [(one.status, one.to_snapshot) for one in house.all()] == [(RefreshStatus.done, "S4")]
    assert (house.lake.get().status, house.lake.get().lag) == (ViewStatus.current, 0)


def test_its_machines_end_with_it_and_their_cost_is_its_cost(house):
    house.lake.view()
    house.round()
    refresh = house.live()[0]
    house.finish(house.claim(refresh), "S1")
    [cluster] = house.clusters()
    assert (cluster.target, cluster.reason) == (ClusterTarget.stopped, "its refresh is done")
    at = cluster.created_at
    charged = Charge(id=0, workspace="lab", user="ada", cluster_id=cluster.id, machine_id="ma-0", machine_type="small",
                     day="2026-11-25", start=at, end=at, milliseconds=4000, amount=50)  # fmt: skip
    with house.db.write() as tx:
        budget_rows.charge(tx, [charged])
    assert [(one.amount, one.milliseconds) for one in house.all()] == [(50, 4000)]


def test_the_newest_refresh_of_each_view_is_found_with_its_cost(house):
    house.lake.view()
    house.lake.repository("sums")
    house.lake.view("sums", target="lab/sums", trigger="manual")
    house.lake.repository("rest")
    house.lake.view("rest", target="lab/rest", trigger="manual")
    for name in ("monthly", "sums", "sums"):
        claim = refreshes.claim(house.db, house.world.ada, "lab", name, ClaimRequest())
        refreshes.finish(house.db, house.world.ada, "lab", name, claim.refresh.id, RefreshDone(secret=claim.secret))
    newest = refreshes.newest(house.db, "lab")
    assert newest.keys() == {"monthly", "sums"}
    assert newest["sums"] == refreshes.find(house.db, house.world.ada, "lab", "sums")[0]


def test_a_commit_during_a_refresh_is_for_the_next_one(house):
    house.lake.view()
    house.round()
    claim = house.claim(house.live()[0])
    house.lake.commit("data", "S2")
    house.finish(claim, "S1")
    assert house.lake.get().lag == 1
    house.round()
    assert [one.status for one in house.all()] == [RefreshStatus.requested, RefreshStatus.done]


def test_an_engine_that_is_ahead_of_the_index_is_not_sent_again(house):
    house.lake.view()
    house.round()
    house.finish(house.claim(house.live()[0]), "S2")
    assert house.lake.get().lag == 0
    house.lake.commit("data", "S2")
    house.round()
    assert house.live() == []
    assert house.lake.get().status is ViewStatus.current


def test_a_finish_whose_answer_was_lost_is_repeated(house):
    house.lake.view()
    claim = house.claim()
    first, second = house.finish(claim, "S1"), house.finish(claim, "S1")
    assert first.status is second.status is RefreshStatus.done
    assert first.ended_at == second.ended_at


def test_two_claims_at_once_are_refused_and_a_dead_one_makes_room(house):
    house.lake.view()
    dead = house.claim()
    with pytest.raises(errors.Conflict, match="refreshed in a process of ada"):
        house.claim()
    house.let_pass(dead)
    fresh = house.claim()
    assert fresh.refresh.id != dead.refresh.id
    with pytest.raises(errors.Conflict, match="somebody else's"):
        refreshes.renew(house.db, house.world.ada, "lab", "monthly", fresh.refresh.id, Renewal(secret=dead.secret))
    assert house.finish(dead, "S9").status is RefreshStatus.failed
    assert house.lake.get().snapshot == ""
    assert house.finish(fresh, "S1").status is RefreshStatus.done


def test_a_claim_that_is_renewed_stays(house):
    house.lake.view()
    claim = house.claim()
    house.let_pass(claim)
    refreshes.renew(house.db, house.world.ada, "lab", "monthly", claim.refresh.id, Renewal(secret=claim.secret))
    house.round()
    assert [one.status for one in house.live()] == [RefreshStatus.running]


def test_a_process_that_fell_silent_is_followed_by_machines(house):
    house.lake.view()
    house.let_pass(house.claim())
    house.round()
    assert "not heard of" in house.lake.get().reason
    house.let_retry()
    house.round()
    assert house.live()[0].cluster_id == house.clusters()[0].id


def test_a_wish_that_has_no_machine_yet_is_taken_over_here(house):
    house.lake.view()
    refreshes.wish_due(house.db)
    [stale] = house.live()
    claim = house.claim()
    assert claim.refresh.id == stale.id
    refreshes.follow(house.db, house.world.settings, stale)  # a reconciler that looked before the claim
    assert house.live()[0].cluster_id is None
    assert [cluster.target for cluster in house.clusters()] == [ClusterTarget.stopped]


def test_only_the_owner_runs_the_function_and_only_its_own_machine_claims(house):
    house.lake.view()
    house.round()
    refresh = house.live()[0]
    with pytest.raises(errors.PermissionDenied, match="is ada's"):
        house.claim(who=house.world.bo)
    other = house.machine(refresh).model_copy(update={"cluster_id": "cl-other"})
    for who in (other, house.world.ada):
        with pytest.raises(errors.Conflict, match="waits for this machine"):
            house.claim(refresh, who)
    assert house.claim(refresh).function == "Zm9v"


def test_a_function_that_fails_is_tried_again_only_for_a_new_commit(house):
    house.lake.view()
    house.round()
    house.finish(house.claim(house.live()[0]), reason="ValueError: no such variable")
    view = house.lake.get()
    assert (view.status, view.reason, view.lag) == (ViewStatus.failed, "ValueError: no such variable", 1)
    house.let_retry()
    house.round()
    assert house.live() == []
    house.lake.commit("data", "S2")
    house.round()
    assert len(house.live()) == 1


def test_what_may_go_well_later_is_tried_again_later_and_each_time_later(house):
    house.lake.view()
    waits = []
    for _ in range(3):
        house.round()
        house.finish(house.claim(house.live()[0]), reason="the store did not answer", again=True)
        waits.append((house.lake.get().retry_at - now()).total_seconds())
        house.round()
        assert house.live() == []
        house.let_retry()
    assert waits == pytest.approx([30, 60, 120], abs=5)


def test_lost_machines_are_replaced_twice_and_then_it_is_given_up(house):
    house.lake.view()
    for _ in range(3):
        house.round()
        house.lose()
        house.round()
    assert len(house.clusters()) == 3
    [refresh] = house.all()
    assert refresh.status is RefreshStatus.failed
    assert refresh.reason == "3 times its machines ended: its scheduler ended: the power went"
    house.let_retry()
    house.round()
    assert house.live() == []


def test_a_process_that_dies_again_and_again_on_one_machine_is_given_up(house):
    house.lake.view()
    house.round()
    refresh = house.live()[0]
    for _ in range(3):
        house.claim(refresh)
    with pytest.raises(errors.Conflict, match="3 times"):
        house.claim(refresh)
    assert house.all()[0].status is RefreshStatus.failed


def test_an_environment_that_cannot_be_built_is_not_tried_again(house):
    house.lake.view()
    house.round()
    [cluster] = house.clusters()
    stages = cluster.machines[0].stages.model_copy(update={"accepted": now(), "joined": now()})
    with house.db.write() as tx:
        machine_rows.update(tx, cluster.machines[0].id, stages=stages)
    house.lose("its scheduler ended: its environment could not be built: no such wheel")
    house.round()
    house.let_retry()
    house.round()
    assert [one.status for one in house.all()] == [RefreshStatus.failed]
    assert "no such wheel" in house.lake.get().reason


def test_a_budget_that_is_used_up_starts_nothing_and_is_asked_again_later(house):
    budgets.set_limit(house.db, house.world.ada, "lab", BudgetRequest(limit=1))
    house.lake.view()
    house.round()
    assert house.clusters() == []
    assert "budget of 'lab'" in house.lake.get().reason
    budgets.set_limit(house.db, house.world.ada, "lab", BudgetRequest(limit=1_000_000))
    house.let_retry()
    house.round()
    house.round()
    assert len(house.clusters()) == 1


def test_whoever_may_no_longer_run_anything_runs_no_view(house):
    house.lake.view(who=house.world.bo)
    workspaces.set_member(house.db, house.world.ada, Role.owner,
                          Membership(workspace="lab", user="bo", role=Role.viewer))  # fmt: skip
    house.round()
    assert house.clusters() == []
    assert "bo, whose view it is, may no longer run" in house.lake.get().reason


def test_times_of_a_schedule_that_were_missed_count_as_one(house):
    house.lake.view(trigger="schedule", schedule="* * * * *")
    house.round()
    assert house.live() == []
    with house.db.write() as tx:
        view_rows.update(tx, house.lake.get().id, next_at=now() - timedelta(hours=5))
    house.round()
    house.finish(house.claim(house.live()[0]), "S1")
    house.round()
    assert len(house.all()) == 1
    assert house.lake.get().next_at > now()


def test_a_schedule_without_news_starts_nothing(house):
    house.lake.view(trigger="schedule", schedule="* * * * *")
    house.finish(house.claim(), "S1")
    with house.db.write() as tx:
        view_rows.update(tx, house.lake.get().id, next_at=now() - timedelta(hours=5))
    house.round()
    assert house.live() == []
    assert house.lake.get().next_at > now()


def test_a_deleted_view_ends_its_machines(house):
    house.lake.view()
    house.round()
    views.delete(house.db, house.world.ada, "lab", "monthly")
    assert house.clusters()[0].target is ClusterTarget.stopped
    house.round()
    assert house.clusters()[0].status is not ClusterStatus.running


def test_a_view_of_a_view_follows_when_the_first_has_committed(house):
    house.lake.repository("years")
    house.lake.view()
    house.lake.view("yearly", "lab/means", "lab/years")
    house.round()
    assert [one.view for one in house.live()] == ["monthly"]
    house.finish(house.claim(house.live()[0]), "S1")
    house.lake.commit("means", "T1")
    house.round()
    assert [one.view for one in house.live()] == ["yearly"]
