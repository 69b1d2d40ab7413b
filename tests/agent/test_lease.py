"""A machine is over before its lease is."""

from datetime import timedelta

import pytest

from amasia.agent import lease as module
from amasia.agent.lease import Lease
from amasia.models.base import now


@pytest.mark.parametrize(("seconds", "margin"), [(120, 8), (32, 8), (8, 2), (0, 0), (-5, 0)])
def test_the_margin_is_8_seconds_or_a_quarter(seconds, margin):
    assert Lease(now() + timedelta(seconds=seconds)).margin == pytest.approx(margin, abs=0.1)


def test_a_lease_ends_a_margin_early_and_leaves_time_for_the_kill():
    lease = Lease(now() + timedelta(seconds=40))
    assert not lease.ends()
    lease.until = now() + timedelta(seconds=7.9)
    assert lease.ends()
    assert lease.seconds_to_kill() == pytest.approx(3.9, abs=0.1)


def test_a_lease_that_is_over_leaves_no_time():
    lease = Lease(now() - timedelta(seconds=1))
    assert lease.ends()
    assert lease.seconds_to_kill() == 0


def test_a_clock_that_is_set_back_gives_no_time(monkeypatch):
    lease = Lease(now() + timedelta(seconds=40))
    real, started = now, module.monotonic()
    monkeypatch.setattr(module, "now", lambda: real() - timedelta(hours=1))
    monkeypatch.setattr(module, "monotonic", lambda: started + 33)
    lease.renew(lease.until)  # what a control plane answers whose clock was set back too
    assert lease.ends()
    assert lease.seconds_to_kill() == pytest.approx(3, abs=0.1)


def test_a_clock_that_is_set_forward_ends_it():
    lease = Lease(now() + timedelta(seconds=40))
    lease.until = now() - timedelta(seconds=1)
    assert lease.ends()
