"""The ends of leases: nothing runs on time that is not paid for."""

import time

from amasia.models.budgets import Charge
from show.orphans import records
from tests.end_to_end.conftest import Stage


def test_with_the_control_plane_dead_machines_are_gone_when_their_leases_end(short: Stage) -> None:
    short.start()
    short.plane.kill()
    ends, reserved, before = records(short.plane)
    assert len(ends) == 2
    short.wait(lambda: not short.plane.machines(), max(ends.values()) - time.time())

    short.plane.up()
    short.nothing_runs()
    charges = sum(charge.amount for charge in short.link.items("/v1/workspaces/demo/charges", Charge))
    assert 0 < charges - before <= reserved
    assert short.budget().spent == charges


def test_a_budget_that_ends_warns_and_ends_the_cluster_within_its_lease(short: Stage) -> None:
    cluster = short.start()
    now = short.budget()
    short.set_budget("demo", now.spent + now.reserved)
    ended = short.ended(cluster, 40)
    for machine in ended.machines:
        assert machine.stopped_at <= machine.lease_until
    assert any("commit what must not be lost" in notice for notice in ended.notices)
    assert ended.reason == "the budget 'workspace' did not let it go on"
    short.nothing_runs()
    budget = short.budget()
    assert budget.spent <= budget.limit
