"""The provider in memory keeps the same contract as the real ones, so tests that stand on it stand on something."""

import pytest

from amasia.errors import Unavailable
from amasia.testing.fakes import AppearsLate, ControlPlaneKilled, KilledAfterStart, LosesAnswerOfStart, MemoryProvider
from amasia.testing.providers import ProviderTests, make_boot, make_machine


class TestMemoryProvider(ProviderTests):
    @pytest.fixture
    def provider(self):
        return MemoryProvider()

    def cut_power(self, provider, machine_id):
        provider.cut_power(machine_id)


def test_a_lost_answer_leaves_a_machine_that_the_next_try_finds():
    provider, machine = LosesAnswerOfStart(), make_machine()
    with pytest.raises(Unavailable):
        provider.start(machine, make_boot(machine))
    assert provider.alive() == {machine.id}
    provider.start(machine, make_boot(machine))
    assert provider.alive() == {machine.id}


def test_a_kill_after_the_start_leaves_a_machine_that_nobody_wrote_down():
    provider, machine = KilledAfterStart(), make_machine()
    with pytest.raises(ControlPlaneKilled):
        provider.start(machine, make_boot(machine))
    assert provider.alive() == {machine.id}


def test_a_late_machine_is_there_though_it_is_not_found_yet():
    provider, machine = AppearsLate(times=2), make_machine()
    provider.start(machine, make_boot(machine))
    assert [len(provider.find(None)) for _ in range(3)] == [0, 0, 1]
    assert provider.alive() == {machine.id}
