"""The ends of leases: nothing runs on time that is not paid for.

What happens when the control plane is dead is a line of ``make show-house``.
"""

from tests.end_to_end.conftest import Stage


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
