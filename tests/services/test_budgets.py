"""Budgets of anything: all that apply must agree, in every period that is touched."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from amasia import errors
from amasia.database import budgets as budget_rows
from amasia.database import events as event_rows
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, NewBudget, NewScope
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus
from amasia.models.costs import Cut
from amasia.models.events import EventFilter
from amasia.models.grants import GroupRequest
from amasia.models.machines import Found, Heartbeat, ProcessReport
from amasia.models.money import cost
from amasia.models.permissions import Role
from amasia.models.workspaces import PolicyRequest
from amasia.services import alerts, budgets, clusters, costs, groups, leases, machines, workspaces
from tests.services.test_leases import joined

PRICE = 45_000
FIRST = cost(PRICE, 60_000)
"""The first lease of a machine of the world."""
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def make(world, name, limit, kind="workspace", of="", **rest):
    wish = NewBudget(name=name, limit=limit, scope=NewScope(kind=kind, name=of), **rest)
    return budgets.create(world.db, world.ada, "lab", wish)


def launch(world, who, **spec):
    request = ClusterRequest(environment_hash=world.environment_hash, spec=ClusterSpec(n_workers=0, **spec))
    return clusters.create(world.db, world.settings, who, "lab", request)


def events_of(world):
    with world.db.read() as tx:
        return event_rows.page(tx, "lab", EventFilter(verb="budget"), None, 10)


def got(world, name="workspace"):
    found = budgets.get(world.db, "lab", name)
    return found.spent, found.reserved


@pytest.fixture
def clock(monkeypatch):
    """Sets what time the money thinks it is."""
    moment = [now()]
    for module in (leases, machines, budgets):
        monkeypatch.setattr(module, "now", lambda: moment[0])
    monkeypatch.setattr("amasia.services.ledgers.now", lambda: moment[0])

    def set_(at):
        moment[0] = at

    return set_


def beat(world, machine, at, seconds=60):
    report = ProcessReport(status="running", address="tls://127.0.0.1:1")
    settings = world.settings.model_copy(update={"lease_seconds": seconds})
    return machines.heartbeat(world.db, settings, machine.id, Heartbeat(at=at, process=report))


def aged(world, machine, seconds):
    """As if it had run for so long, and had a minute then."""
    started = now() - timedelta(seconds=seconds)
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=started, lease_until=started + timedelta(seconds=60))
    return started


def test_every_budget_that_applies_must_agree_and_one_that_does_not_apply_is_not_asked(world, clock):
    clock(NOON)
    make(world, "ada", 2 * FIRST, "user", "ada")
    make(world, "here", 3 * FIRST, "location", "local")
    make(world, "nino", FIRST, "tag", "project=nino")
    make(world, "day", 10**6, period="day")
    launch(world, world.ada, tags={"project": "nino"})
    with pytest.raises(errors.BudgetExceeded, match=r"'nino' \(tag project=nino, .* has 0\.00 EUR left .*--name nino"):
        launch(world, world.bo, tags={"project": "nino"})
    launch(world, world.ada)
    with pytest.raises(errors.BudgetExceeded, match=r"'ada' \(user ada, "):
        launch(world, world.ada)
    launch(world, world.bo)
    with pytest.raises(errors.BudgetExceeded, match=r"'here' \(location local, "):
        launch(world, world.bo)
    assert {one.name: one.reserved // FIRST for one in budgets.find(world.db, "lab")} == {
        "workspace": 3, "ada": 2, "here": 3, "nino": 1, "day": 3,
    }  # fmt: skip


def test_a_soft_budget_stops_nothing_and_counts_all(world):
    make(world, "soft", 1, hard=False)
    launch(world, world.ada)
    assert got(world, "soft") == (0, FIRST)


def test_a_refusal_says_which_budget_what_is_left_and_when_there_is_money_again(world, clock):
    clock(NOON)
    make(world, "daily", FIRST - 1, "user", "ada", period="day")
    with pytest.raises(errors.BudgetExceeded) as refused:
        launch(world, world.ada)
    assert "wait until 2026-11-26 00:00 (UTC)" in refused.value.cure
    assert refused.value.detail["budget"] == "daily"
    assert refused.value.detail["left"] == FIRST - 1
    assert refused.value.detail["needed"] == FIRST
    assert got(world) == (0, 0)


def test_a_lease_over_midnight_is_reserved_and_charged_in_both_days_to_the_micro_unit(world, clock):
    make(world, "day", 10**6, period="day")
    start = datetime(2026, 11, 25, 23, 59, 40, tzinfo=UTC)
    clock(start)
    machine = launch(world, world.ada).machines[0]
    assert got(world, "day") == (0, cost(PRICE, 20_000))
    joined(world, machine)
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=start, lease_until=start + timedelta(seconds=60))
    clock(start + timedelta(seconds=15))
    beat(world, machine, start + timedelta(seconds=15))
    assert got(world, "day") == (cost(PRICE, 15_000), cost(PRICE, 20_000) - cost(PRICE, 15_000))
    clock(start + timedelta(seconds=40))
    beat(world, machine, start + timedelta(seconds=40))
    assert got(world, "day") == (cost(PRICE, 40_000) - cost(PRICE, 20_000), cost(PRICE, 100_000) - cost(PRICE, 40_000))
    end = start + timedelta(seconds=77, milliseconds=77)
    machines.gone(world.db, machines.alive(world.db)[0], Found(machine_id=machine.id, alive=False, stopped_at=end))
    days = {}
    for charge in costs.charges(world.db, world.ada, Role.owner, "lab", 0):
        days[charge.day] = days.get(charge.day, 0) + charge.amount
    assert days == {"2026-11-25": cost(PRICE, 20_000), "2026-11-26": cost(PRICE, 77_077) - cost(PRICE, 20_000)}
    assert got(world) == (cost(PRICE, 77_077), 0)
    assert got(world, "day") == (days["2026-11-26"], 0)


def test_tomorrows_money_is_asked_for_a_lease_that_reaches_into_tomorrow(world, clock):
    make(world, "grant", 10**6, period="grant", starts=date(2026, 1, 1), ends=date(2026, 11, 25))
    start = datetime(2026, 11, 25, 23, 59, 45, tzinfo=UTC)
    clock(start)
    with pytest.raises(errors.BudgetExceeded, match=r"'grant' .*from 2026-01-01 to 2026-11-25"):
        launch(world, world.ada)
    clock(start - timedelta(minutes=1))
    assert launch(world, world.ada).machines
    assert got(world, "grant") == (0, FIRST)


def test_days_turn_in_the_time_zone_of_the_workspace(world, clock):
    workspaces.set_policy(world.db, world.ada, "lab", PolicyRequest(time_zone="Europe/Zurich"))
    make(world, "day", FIRST, period="day")
    clock(datetime(2026, 11, 25, 22, 30, tzinfo=UTC))
    launch(world, world.ada)
    with pytest.raises(errors.BudgetExceeded, match=r"wait until 2026-11-26 00:00 \(Europe/Zurich\)"):
        launch(world, world.ada)
    clock(datetime(2026, 11, 25, 23, 1, tzinfo=UTC))
    launch(world, world.ada)
    assert got(world, "day") == (0, FIRST)


def test_a_machine_that_begins_a_day_later_than_it_was_wished_is_reserved_in_that_day(world, clock):
    make(world, "day", FIRST, period="day")
    clock(datetime(2026, 11, 25, 12, tzinfo=UTC))
    machine = launch(world, world.ada).machines[0]
    clock(datetime(2026, 11, 26, 12, tzinfo=UTC))
    assert got(world, "day") == (0, 0)
    assert machines.begin(world.db, world.settings, machine) is not None
    assert got(world, "day") == (0, FIRST)
    with pytest.raises(errors.BudgetExceeded):
        launch(world, world.ada)


def test_a_machine_for_which_the_next_day_has_no_money_does_not_begin(world, clock):
    make(world, "day", FIRST, period="day")
    clock(datetime(2026, 11, 25, 12, tzinfo=UTC))
    machine = launch(world, world.ada).machines[0]
    clock(datetime(2026, 11, 26, 12, tzinfo=UTC))
    launch(world, world.bo)
    assert machines.begin(world.db, world.settings, machine) is None
    assert "'day'" in clusters.get(world.db, "lab", machine.cluster_id).notices[-1]


def test_a_new_budget_counts_what_was_spent_and_what_runs(world):
    machine = launch(world, world.ada, tags={"project": "x"}).machines[0]
    joined(world, machine)
    start = aged(world, machine, 20)
    beat(world, machine, now())
    launch(world, world.bo)
    spent, reserved = got(world)
    assert spent >= cost(PRICE, 20_000)
    for name, kind, of in (("a", "user", "ada"), ("t", "tag", "project=x")):
        make(world, name, 10**6, kind, of)
        assert got(world, name) == (spent, reserved - FIRST)
    make(world, "years", 10**6, period="grant", starts=date(2020, 1, 1), ends=date(2999, 12, 31))
    assert got(world, "years") == (spent, reserved)
    end = Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(seconds=30))
    machines.gone(world.db, machine, end)
    assert got(world, "a") == (cost(PRICE, 30_000), 0)
    assert got(world) == (cost(PRICE, 30_000), FIRST)


def test_a_hard_budget_that_lets_nothing_go_on_is_made_and_set_only_by_who_confirms_it(world, clock):
    clock(NOON)
    launch(world, world.ada)
    before = events_of(world)
    later = {"period": "grant", "starts": date(2027, 1, 1), "ends": date(2027, 12, 31)}
    for limit, rest in ((FIRST - 1, {}), (0, {"kind": "user", "of": "ada"}), (10**6, later)):
        with pytest.raises(errors.InvalidRequest, match="lets nothing go on") as refused:
            make(world, "tight", limit, **rest)
        assert refused.value.detail == {"used": FIRST}
    with pytest.raises(errors.InvalidRequest, match="lets nothing go on"):
        budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=FIRST - 1))
    assert [one.name for one in budgets.find(world.db, "lab")] == ["workspace"]
    assert events_of(world) == before
    assert make(world, "tight", 0, confirmed=True).left == -FIRST
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=0, confirmed=True))
    assert budgets.get(world.db, "lab").limit == 0


def test_what_ends_nothing_is_not_to_be_confirmed(world, clock):
    clock(NOON)
    launch(world, world.ada)
    make(world, "exact", FIRST)
    make(world, "others", 0, "user", "bo")
    make(world, "soft", 0, hard=False)
    make(world, "next-year", 10**6, "user", "bo", period="grant", starts=date(2027, 1, 1), ends=date(2027, 12, 31))
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=FIRST))


def test_a_cluster_that_may_not_go_on_is_told_works_on_what_is_paid_for_and_is_stopped_before_that_ends(world):
    made = world.cluster(n_workers=1)
    for machine in made.machines:
        joined(world, machine)
    started = min([aged(world, machine, 30) for machine in made.machines])
    make(world, "ada", 0, "user", "ada", confirmed=True)
    until = [beat(world, machine, now()).lease_until for machine in made.machines]
    assert max(until) < started + timedelta(seconds=61)
    seen = clusters.get(world.db, "lab", made.id)
    assert [notice for notice in seen.notices if "'ada'" in notice and f"{seen.ends_at:%H:%M:%S}" in notice]
    assert len(seen.notices) == 1
    assert started + timedelta(seconds=45) < seen.ends_at < started + timedelta(seconds=60)
    clusters.follow(world.db, world.settings, made.id)
    assert clusters.get(world.db, "lab", made.id).target.value == "running"
    with world.db.write() as tx:
        clusters.rows.update(tx, made.id, ends_at=now())
    clusters.follow(world.db, world.settings, made.id)
    assert clusters.get(world.db, "lab", made.id).reason == "the budget 'ada' did not let it go on"
    for machine, end in zip(made.machines, until, strict=True):
        machines.gone(world.db, machine, Found(machine_id=machine.id, alive=False, stopped_at=end))
    clusters.follow(world.db, world.settings, made.id)
    clusters.follow(world.db, world.settings, made.id)
    assert clusters.get(world.db, "lab", made.id).status is ClusterStatus.stopped
    assert got(world) == (2 * FIRST, 0)


def test_a_budget_that_is_raised_in_time_lets_the_cluster_go_on(world):
    machine = world.cluster(n_workers=0).machines[0]
    joined(world, machine)
    aged(world, machine, 20)
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=0, confirmed=True))
    before = beat(world, machine, now()).lease_until
    assert clusters.get(world.db, "lab", machine.cluster_id).ends_at is not None
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=10**6))
    assert clusters.get(world.db, "lab", machine.cluster_id).ends_at is None
    assert beat(world, machine, now()).lease_until > before


def test_many_leases_are_renewed_at_once_or_none_of_them(world):
    made = world.cluster(n_workers=3)
    for machine in made.machines:
        joined(world, machine)
    with world.db.write() as tx:
        held = [rows.locked(tx, machine.id) for machine in made.machines]
        at = [(machine, account, machine.started_at + timedelta(seconds=9)) for machine, account in held]
        renewed = leases.renew_all(tx, "lab", at, 60)
        for (machine, _), (until, account) in zip(held, renewed, strict=True):
            rows.update(tx, machine.id, lease_until=until, **account.model_dump())
    assert got(world) == (4 * cost(PRICE, 9000), 4 * (cost(PRICE, 69_000) - cost(PRICE, 9000)))
    spent, reserved = got(world)
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=spent + reserved + 1))
    with world.db.write() as tx:
        held = [rows.locked(tx, machine.id) for machine in made.machines]
        at = [(machine, account, machine.started_at + timedelta(seconds=20)) for machine, account in held]
        assert leases.renew_all(tx, "lab", at, 60) is None
    assert got(world) == (spent, reserved)


def test_what_machines_hold_is_what_budgets_have_reserved(world, clock):
    clock(NOON)
    make(world, "day", 10**6, period="day")
    made = [world.cluster(n_workers=1) for _ in range(3)]
    with world.db.read() as tx:
        held = budget_rows.held(tx, [machine.id for one in made for machine in one.machines])
    sums = {}
    for one in held.values():
        for (budget, _), amount in one.items():
            sums[budget] = sums.get(budget, 0) + amount
    assert sorted(sums.values()) == sorted(one.reserved for one in budgets.find(world.db, "lab")) == [6 * FIRST] * 2


def test_launches_at_once_never_pass_any_budget_together(world):
    make(world, "ada", 7 * FIRST, "user", "ada")
    make(world, "tag", 3 * FIRST, "tag", "project=x")

    def one(number):
        who, tags = (world.ada, world.bo)[number % 2], {"project": "x"} if number % 3 else {}
        try:
            launch(world, who, tags=tags)
        except errors.BudgetExceeded:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        done = sum(pool.map(one, range(40)))
    assert got(world) == (0, done * FIRST)
    assert got(world, "tag") == (0, 3 * FIRST)
    assert got(world, "ada")[1] <= 7 * FIRST


def test_slips_of_the_pen_are_refused_and_leave_nothing(world):
    make(world, "one", 1)
    with pytest.raises(errors.Conflict, match="budget set AMOUNT --name one"):
        make(world, "one", 2)
    with pytest.raises(errors.NotFound, match="'eve' is no member"):
        make(world, "two", 1, "user", "eve")
    with pytest.raises(errors.NotFound, match="no location 'moon'"):
        make(world, "two", 1, "location", "moon")
    with pytest.raises(errors.Conflict, match="own budget cannot be deleted"):
        budgets.delete(world.db, world.ada, "lab", "workspace")
    with pytest.raises(errors.NotFound, match="budget list"):
        budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=1), "none")
    assert [one.name for one in budgets.find(world.db, "lab")] == ["workspace", "one"]
    budgets.delete(world.db, world.ada, "lab", "one")
    assert [one.name for one in budgets.find(world.db, "lab")] == ["workspace"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"scope": {"kind": "planet", "name": "x"}}, "one of workspace, user, group, tag, location"),
        ({"scope": {"kind": "user"}}, "says which"),
        ({"scope": {"kind": "tag", "name": "project"}}, "key=value"),
        ({"period": "grant"}, "first day"),
        ({"period": "day", "starts": "2026-01-01"}, "only a grant"),
        ({"limit": -1}, "greater than or equal to 0"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(fields, text):
    with pytest.raises(ValueError, match=text):
        NewBudget.model_validate({"name": "x", "limit": 1, **fields})


def told(world, who):
    return [(one.budget, one.percent) for one in reversed(alerts.find(world.db, who, "lab"))]


def test_the_owner_and_the_spender_are_told_once_at_each_mark_and_nobody_else(world):
    make(world, "bo", 10 * FIRST, "user", "bo")
    make(world, "tag", 10**6, "tag", "project=x")
    for _ in range(10):
        launch(world, world.bo, tags={"project": "x"})
    assert told(world, world.bo) == [("bo", 50), ("bo", 80), ("bo", 95)]
    assert told(world, world.ada) == told(world, world.bo)
    assert alerts.find(world.db, world.bo, "lab")[-1].text == (
        "50 % of the budget 'bo' (user bo, 0.0075 EUR in all) are spent or promised to what runs: "
        "0.0037 EUR; 0.0037 EUR are left."
    )
    assert alerts.find(world.db, world.eve, "lab") == []
    for cluster in clusters.find(world.db, "lab", live=True)[:5]:
        machines.gone(world.db, cluster.machines[0], Found(machine_id=cluster.machines[0].id, alive=False))
    for _ in range(5):
        launch(world, world.bo)
    assert len(told(world, world.bo)) == 3


def test_a_raised_limit_is_told_of_again_and_a_jump_over_two_marks_once(world):
    make(world, "bo", 10 * FIRST, "user", "bo")
    for _ in range(9):
        launch(world, world.bo)
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=20 * FIRST), "bo")
    for _ in range(7):
        launch(world, world.bo)
    assert told(world, world.bo) == [("bo", 50), ("bo", 80)] * 2
    make(world, "small", FIRST, "location", "local", hard=False)
    launch(world, world.bo)
    assert ("small", 95) not in told(world, world.bo), "it was over all marks when it was made"


def test_a_terminal_shows_each_alert_once(world):
    make(world, "bo", 2 * FIRST, "user", "bo")
    launch(world, world.bo)
    assert [one.percent for one in alerts.take(world.db, world.bo)] == [50]
    assert alerts.take(world.db, world.bo) == []
    assert [one.percent for one in alerts.take(world.db, world.ada)] == [50]


def test_who_may_not_go_on_is_told_once_for_all_machines(world):
    made = world.cluster(n_workers=2)
    for machine in made.machines:
        joined(world, machine)
        aged(world, machine, 20)
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=0, confirmed=True))
    for machine in made.machines * 2:
        beat(world, machine, now())
    assert told(world, world.ada) == [("workspace", 100)]
    assert len(clusters.get(world.db, "lab", made.id).notices) == 1


@pytest.fixture
def phds(world):
    """A group that bo is in."""
    groups.create(world.db, world.ada, "lab", GroupRequest(name="phds"))
    groups.add(world.db, world.ada, "lab", "phds", "bo")


def test_a_groups_budget_counts_its_members_and_nobody_else(world, phds):
    make(world, "phds", FIRST, kind="group", of="phds")
    launch(world, world.ada)
    assert got(world, "phds") == (0, 0)
    launch(world, world.bo)
    assert got(world, "phds") == (0, FIRST)
    with pytest.raises(errors.BudgetExceeded, match="'phds'"):
        launch(world, world.bo)


def test_who_leaves_a_group_goes_on_counting_with_what_runs(world, phds):
    make(world, "phds", 10 * FIRST, kind="group", of="phds")
    machine = launch(world, world.bo).machines[0]
    groups.remove(world.db, world.ada, "lab", "phds", "bo")
    start = joined(world, machine).machine.started_at
    found = Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(seconds=20))
    machines.gone(world.db, machines.alive(world.db)[0], found)
    spent = cost(PRICE, 20_000)
    assert got(world, "phds") == (spent, 0)
    assert [(line.key, line.amount) for line in bill_by_group(world)] == [("phds", spent)]
    launch(world, world.bo)
    assert got(world, "phds") == (spent, 0)


def test_who_joins_a_group_is_settled_to_the_end_though_nothing_was_held_there(world):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="phds"))
    make(world, "phds", 10 * FIRST, kind="group", of="phds")
    machine = launch(world, world.bo).machines[0]
    groups.add(world.db, world.ada, "lab", "phds", "bo")
    start = joined(world, machine).machine.started_at
    found = Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(seconds=20))
    machines.gone(world.db, machines.alive(world.db)[0], found)
    assert (got(world), got(world, "phds")) == ((cost(PRICE, 20_000), 0), (0, 0))


def test_a_budget_of_a_group_made_later_counts_what_its_members_spent_and_run(world, phds):
    machine = launch(world, world.bo).machines[0]
    start = joined(world, machine).machine.started_at
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=start - timedelta(seconds=50), lease_until=start + timedelta(seconds=10))
    beat(world, machine, now())
    make(world, "phds", 10 * FIRST, kind="group", of="phds")
    assert got(world, "phds") == got(world)
    assert min(got(world)) > 0


def test_a_group_that_is_not_there_has_no_budget(world):
    with pytest.raises(errors.NotFound, match="no group 'nobody'"):
        make(world, "phds", FIRST, kind="group", of="nobody")


def bill_by_group(world):
    return costs.find(world.db, world.ada, Role.owner, "lab", Cut.group).items
