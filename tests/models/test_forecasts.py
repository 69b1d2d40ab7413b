"""What is to come: exact where days are alike, and honest about how much it may miss."""

from datetime import date, timedelta

import pytest

from amasia.models.forecasts import Outlook, runs_out

TODAY = date(2026, 11, 25)  # a Wednesday


def before(days, amount):
    return {TODAY - timedelta(days=number): amount(TODAY - timedelta(days=number)) for number in range(1, days + 1)}


def test_days_that_are_alike_go_on_alike_and_without_doubt():
    outlook = Outlook(before(10, lambda _: 100), TODAY, 30)
    assert [one.amount for one in outlook.ahead(TODAY + timedelta(days=2))] == [70, 100, 100]
    assert outlook.spread(3) == 0


def test_weekends_that_are_quiet_stay_quiet():
    outlook = Outlook(before(28, lambda day: 0 if day.weekday() >= 5 else 100), TODAY, 0)
    ahead = {one.day.weekday(): one.amount for one in outlook.ahead(TODAY + timedelta(days=6))}
    assert ahead == {0: 100, 1: 100, 2: 100, 3: 100, 4: 100, 5: 0, 6: 0}
    assert outlook.spread(7) == 0
    assert "same weekdays" in outlook.method


def test_what_today_has_cost_already_does_not_come_again():
    assert Outlook(before(10, lambda _: 100), TODAY, 250).ahead(TODAY)[0].amount == 0


def test_the_less_is_known_and_the_farther_it_is_the_wider():
    noisy = Outlook(before(10, lambda day: 100 + 50 * (day.day % 2)), TODAY, 0)
    assert 0 < noisy.spread(1) < noisy.spread(20)
    assert Outlook(before(2, lambda _: 100), TODAY, 0).spread(5) is None


def test_days_without_charges_count_as_nothing():
    outlook = Outlook({TODAY - timedelta(days=10): 100}, TODAY, 0)
    assert outlook.mean == pytest.approx(10)


def test_nothing_before_today_is_said():
    outlook = Outlook({}, TODAY, 5)
    assert [one.amount for one in outlook.ahead(TODAY + timedelta(days=1))] == [0, 0]
    assert "nothing is known" in outlook.method


def test_a_budget_runs_out_on_the_day_that_uses_its_last():
    ahead = Outlook(before(10, lambda _: 100), TODAY, 100).ahead(TODAY + timedelta(days=9))
    assert runs_out(250, ahead) == TODAY + timedelta(days=3)
    assert runs_out(0, ahead) == TODAY
    assert runs_out(10_000, ahead) is None


def test_four_times_in_five_the_interval_holds():
    """Of series of independent days: within what chance allows."""
    import random

    dice, held, tries = random.Random(7), 0, 400
    for _ in range(tries):
        outlook = Outlook(before(28, lambda _: round(dice.gauss(1000, 200))), TODAY, 0)
        ahead = outlook.ahead(TODAY + timedelta(days=9))
        truth = sum(round(dice.gauss(1000, 200)) for _ in ahead)
        held += abs(truth - sum(one.amount for one in ahead)) <= outlook.spread(len(ahead))
    assert 0.74 <= held / tries <= 0.88
