"""Many heartbeats at once are the same as one by one, for those that they may be heard for."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest
from amasia.models.machines import Death, Heartbeat, Join, MachineTarget, Metrics, ProcessReport, SchedulerReport
from amasia.models.money import cost
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import access, budgets, clusters, costs, crowds, heartbeats, joins, machines, workspaces
from amasia.services.crowds import Told

ADDRESS = "tls://127.0.0.1:1"


def running(world, **spec):
    """(machine, digest of its token) of a cluster that runs."""
    found = []
    for machine in world.cluster(**spec).machines:
        boot = machines.begin(world.db, world.settings, machine)
        machines.accepted(world.db, machine, {})
        body = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
        assignment = joins.join(world.db, world.settings, body)
        heartbeats.hear(world.db, world.settings, machine.id, beat(machine))
        found.append((machine, access.digest(assignment.token)))
    return found


def beat(machine, at=None, **told):
    process = ProcessReport(status="running", address=ADDRESS)
    scheduler = SchedulerReport() if machine.role == "scheduler" else None
    return Heartbeat(at=at or now(), **({"process": process, "scheduler": scheduler} | told))


def hear(world, *told, crowd=0):
    return crowds.hear(world.db, world.settings, told, crowd)


def of(world, machine):
    return next((found, account) for found, account in read(world, rows.accounts) if found.id == machine.id)


def read(world, query, *arguments):
    with world.db.read() as tx:
        return query(tx, *arguments)


def test_what_goes_on_as_it_was_is_written_down_and_answered_like_one_by_one(world):
    _, *found = running(world, n_workers=3)
    told = [Told(machine.id, digest, beat(machine, metrics=Metrics(memory=7))) for machine, digest in found]
    together = hear(world, *told)
    alone = [heartbeats.hear(world.db, world.settings, one.machine_id, one.beat) for one in told]
    assert [wishes.model_copy(update={"heartbeat_seconds": 0.0}) for wishes in together] == alone
    assert together[0].scheduler_address == ADDRESS
    assert [of(world, machine)[0].metrics.memory for machine, _ in found] == [7, 7, 7]


def test_what_a_worker_says_of_itself_is_heard_with_the_others_and_wakes_who_waits(world):
    _, (worker, digest) = running(world, n_workers=1)
    with world.db.write() as tx:
        rows.update(tx, worker.id, status="preparing", address="")
    before, seen, at = of(world, worker)[0], world.db.changes.wait(-1, 0), now()
    process = ProcessReport(status="running", address="tls://b:2")
    (wishes,) = hear(world, Told(worker.id, digest, beat(worker, process=process, stages={"process_up": at})))
    assert wishes is not None
    found = of(world, worker)[0]
    assert (found.status, found.address, found.stages.process_up) == ("running", "tls://b:2", at)
    assert found.stages.joined == before.stages.joined
    assert world.db.changes.wait(seen, 0) != seen


def test_leases_of_many_are_renewed_and_charged_to_the_same_sums(world):
    _, *found = running(world, n_workers=2)
    start = now() - timedelta(seconds=30)
    with world.db.write() as tx:
        for machine, _ in found:
            rows.update(tx, machine.id, started_at=start, lease_until=start + timedelta(seconds=60))
    answers = hear(world, *(Told(machine.id, digest, beat(machine)) for machine, digest in found))
    assert all(wishes.lease_until > start + timedelta(seconds=89) for wishes in answers)
    budget, charges = budgets.get(world.db, "lab"), costs.charges(world.db, world.ada, Role.owner, "lab", 0)
    assert budget.spent == sum(charge.amount for charge in charges) > 0
    for machine, account in (of(world, machine) for machine, _ in found):
        own = [charge for charge in charges if charge.machine_id == machine.id]
        assert sum(charge.milliseconds for charge in own) == account.charged_ms >= 30_000
        assert account.charged_amount == cost(machine.price, account.charged_ms)
    assert budget.reserved == sum(account.reserved for _, account in read(world, rows.accounts))


def test_a_budget_that_is_used_up_leaves_each_to_be_heard_by_itself_and_renews_none(world):
    found = running(world, n_workers=1)
    budget = budgets.get(world.db, "lab")
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=budget.reserved + budget.spent))
    soon = now() + timedelta(seconds=10)
    with world.db.write() as tx:
        for machine, _ in found:
            rows.update(tx, machine.id, started_at=now() - timedelta(seconds=50), lease_until=soon)
    assert hear(world, *(Told(machine.id, digest, beat(machine)) for machine, digest in found)) == [None, None]
    assert all(machine.lease_until == soon for machine, _ in read(world, rows.accounts))


def other_token(world, scheduler, worker):
    return Told(worker[0].id, scheduler[1], beat(worker[0]))


def unknown_token(world, scheduler, worker):
    return Told(worker[0].id, access.digest("ama_no"), beat(worker[0]))


def a_death(world, scheduler, worker):
    return Told(worker[0].id, worker[1], beat(worker[0], deaths=(Death(at=now(), reason="out of memory"),)))


def a_log(world, scheduler, worker):
    return Told(worker[0].id, worker[1], beat(worker[0], log="a line\n"))


def a_failure(world, scheduler, worker):
    return Told(worker[0].id, worker[1], beat(worker[0], process=ProcessReport(status="failed", reason="no disk")))


def a_leave(world, scheduler, worker):
    return Told(worker[0].id, worker[1], beat(worker[0], stages={"leaves": now() + timedelta(seconds=60)}))


def a_scheduler(world, scheduler, worker):
    return Told(scheduler[0].id, scheduler[1], beat(scheduler[0]))


def a_machine_that_was_taken_and_does_not_know(world, scheduler, worker):
    return Told(worker[0].id, worker[1], beat(worker[0], process=ProcessReport(status="warm")))


def another_address_of_the_scheduler(world, scheduler, worker):
    process = ProcessReport(status="running", address="tls://b:2")
    return Told(scheduler[0].id, scheduler[1], beat(scheduler[0], process=process))


def a_wished_stop(world, scheduler, worker):
    with world.db.write() as tx:
        rows.wish_stop(tx, [worker[0].id], "it is no longer needed")
    return Told(worker[0].id, worker[1], beat(worker[0]))


def a_stopped_cluster(world, scheduler, worker):
    clusters.stop(world.db, world.ada, "lab", worker[0].cluster_id)
    return Told(worker[0].id, worker[1], beat(worker[0]))


@pytest.mark.parametrize(
    "what",
    [other_token, unknown_token, a_death, a_log, a_leave, a_scheduler, a_machine_that_was_taken_and_does_not_know,
     a_failure, a_wished_stop, a_stopped_cluster],
)  # fmt: skip
def test_what_is_news_is_heard_by_itself(world, what):
    scheduler, worker = running(world, n_workers=1)
    before = of(world, worker[0])[0].last_heartbeat_at
    assert hear(world, what(world, scheduler, worker)) == [None]
    assert of(world, worker[0])[0].last_heartbeat_at == before


def test_whoever_may_no_longer_run_gets_no_lease(world):
    _, worker = running(world, n_workers=1)
    workspaces.set_member(world.db, world.ada, "owner", Membership(workspace="lab", user="bo", role="owner"))
    with world.db.write() as tx:
        rows.update(tx, worker[0].id, lease_until=now() + timedelta(seconds=10))
    workspaces.set_member(world.db, world.bo, "owner", Membership(workspace="lab", user="ada", role="viewer"))
    assert hear(world, Told(worker[0].id, worker[1], beat(worker[0]))) == [None]
    wishes = heartbeats.hear(world.db, world.settings, worker[0].id, beat(worker[0]))
    assert wishes.target is MachineTarget.stopped


def test_a_crowd_is_asked_for_fewer_heartbeats_but_in_time_for_its_lease(settings):
    assert crowds.pace(settings, 10) == settings.heartbeat_seconds
    assert crowds.pace(settings, 400) == 4
    assert crowds.pace(settings, 10_000) == settings.lease_seconds / 12


def test_the_machine_of_a_token_that_was_ended_is_not_known(world):
    _, worker = running(world, n_workers=1)
    machines.gone(world.db, of(world, worker[0])[0], None)
    assert hear(world, Told(worker[0].id, worker[1], beat(worker[0]))) == [None]
    with pytest.raises(errors.NotFound):
        heartbeats.hear(world.db, world.settings, worker[0].id, beat(worker[0]))
