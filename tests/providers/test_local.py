"""The local provider keeps the contract, with real agents; and what only it promises."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from amasia.errors import TooLarge, Unavailable
from amasia.models import homes
from amasia.models.base import now
from amasia.models.homes import Exit, Identity
from amasia.providers.local import LocalProvider, host_size
from amasia.testing.providers import ProviderTests, make_boot, make_machine
from amasia.testing.waiting import wait

GIB = 1 << 30
START = """
import sys
from pathlib import Path
from amasia.models.machines import Boot, Machine
from amasia.providers.local import LocalProvider
home, machine, boot = sys.argv[1:]
LocalProvider(Path(home), 40_000, 5_000).start(Machine.model_validate_json(machine), Boot.model_validate_json(boot))
"""


@pytest.fixture
def provider(tmp_path):
    provider = LocalProvider(tmp_path, 40_000, 5_000)
    yield provider
    for machine_id in provider.find(None):
        provider.stop(machine_id)
        end(provider, machine_id)
    provider.find(None)  # which buries them


def end(provider, machine_id):
    for process in agents(provider, machine_id):
        process.kill()


def agents(provider, machine_id):
    """Agents of a machine that really run, asked of the kernel."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = str(provider.machines / machine_id) in process.cmdline()
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def identity(provider, machine_id):
    return homes.read(provider.machines / machine_id / homes.IDENTITY, Identity)


class TestLocalProvider(ProviderTests):
    @pytest.fixture
    def provider(self, provider):
        return provider

    def count(self, provider, machine_id):
        time.sleep(0.5)  # a second agent of the same machine needs this long to notice that it is one too many
        return len(agents(provider, machine_id))

    def cut_power(self, provider, machine_id):
        time.sleep(0.6)
        os.kill(identity(provider, machine_id).pid, signal.SIGKILL)


def test_starts_of_several_processes_make_one_machine(provider, tmp_path):
    machine = make_machine()
    arguments = [sys.executable, "-c", START, str(tmp_path), machine.model_dump_json()]
    arguments.append(make_boot(machine).model_dump_json())
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda _: subprocess.run(arguments, check=False).returncode, range(3)))
    time.sleep(0.5)
    assert codes == [0, 0, 0]
    assert len(agents(provider, machine.id)) == 1


def test_a_second_agent_ends_at_once(provider):
    machine = make_machine()
    home = Path(provider.start(machine, make_boot(machine))["directory"])
    wait((home / homes.ALIVE).exists)
    second = [sys.executable, "-m", "amasia.agent", str(home), "--cache", str(provider.cache)]
    assert subprocess.run(second, timeout=10, check=False).returncode == 0
    assert provider.find([machine])[machine.id].alive


def test_a_new_provider_finds_the_machines_of_the_one_before(provider, tmp_path):
    machine = make_machine()
    provider.start(machine, make_boot(machine))
    wait((provider.machines / machine.id / homes.ALIVE).exists)  # the agent says for itself when it was born
    later = LocalProvider(tmp_path, 40_000, 5_000)
    assert later.find(None)[machine.id].alive
    assert later.start(machine, make_boot(machine)) == {"directory": str(provider.machines / machine.id)}
    theirs, ours = later.find([machine])[machine.id], provider.find([machine])[machine.id]
    assert theirs.alive == ours.alive
    assert abs(theirs.started_at - ours.started_at) < timedelta(milliseconds=10)  # each look reads the clock anew


def test_a_lease_that_is_not_renewed_ends_the_machine_before_it_is_over(provider):
    machine = make_machine()
    boot = make_boot(machine, lease_until=now() + timedelta(seconds=6))
    provider.start(machine, boot)
    wait(lambda: not provider.find([machine])[machine.id].alive)
    found = provider.find([machine])[machine.id]
    assert found.stopped_at < boot.lease_until
    assert now() < boot.lease_until
    assert "lease ended" in found.reason


def test_an_agent_that_cannot_answer_is_killed_after_the_grace(provider, monkeypatch):
    monkeypatch.setattr("amasia.providers.local.GRACE", 0.3)
    machine = make_machine()
    provider.start(machine, make_boot(machine))
    wait((provider.machines / machine.id / homes.ALIVE).exists)
    os.kill(identity(provider, machine.id).pid, signal.SIGSTOP)
    asked = now()
    provider.stop(machine.id)
    wait(lambda: not provider.find([machine])[machine.id].alive, 5)
    ended = now()
    assert agents(provider, machine.id) == []
    second = timedelta(seconds=1)
    assert asked - second < provider.find([machine])[machine.id].stopped_at < ended + second


def test_a_reused_process_number_is_not_taken_for_the_machine(provider):
    machine = make_machine()
    provider.start(machine, make_boot(machine))
    home = provider.machines / machine.id
    wait((home / homes.ALIVE).exists)
    os.kill(identity(provider, machine.id).pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as stranger:
        older = Identity(pid=stranger.pid, created=psutil.Process(stranger.pid).create_time() - 60)
        homes.write(home / homes.IDENTITY, older)
        assert not provider.find([machine])[machine.id].alive
        provider.stop(machine.id)
        assert stranger.poll() is None
        stranger.kill()


def test_more_than_this_computer_has_is_refused_and_names_what_there_is(provider):
    machine = make_machine(memory=host_size()[1] * 2)
    with pytest.raises(TooLarge, match="this computer has"):
        provider.start(machine, make_boot(machine))
    assert provider.find(None) == {}


def test_memory_is_never_promised_twice(provider):
    half = host_size()[1] // 2
    one, two = make_machine(memory=half), make_machine(memory=half + GIB)
    provider.start(one, make_boot(one))
    with pytest.raises(Unavailable, match="running machines hold"):
        provider.start(two, make_boot(two))
    provider.stop(one.id)
    wait(lambda: not provider.find([one])[one.id].alive)
    provider.start(two, make_boot(two))
    assert provider.find([two])[two.id].alive


def test_offers_go_up_to_the_whole_computer(provider):
    cpus, memory = host_size()
    offers = provider.offers()
    assert max(offer.cpus for offer in offers) == cpus
    assert max(offer.memory for offer in offers) == memory
    (small,) = [offer for offer in offers if (offer.cpus, offer.memory) == (1, GIB)]
    assert small.price == 45_000


def test_secrets_are_for_the_owner_only(provider):
    machine = make_machine()
    home = Path(provider.start(machine, make_boot(machine))["directory"])
    assert (home / homes.BOOT).stat().st_mode & 0o777 == 0o600
    wait(lambda: agents(provider, machine.id))
    assert "join" not in " ".join(agents(provider, machine.id)[0].cmdline())


def test_the_end_of_a_machine_is_known_within_a_second_when_nobody_watched(provider):
    machine = make_machine()
    home = Path(provider.start(machine, make_boot(machine))["directory"])
    wait((home / homes.ALIVE).exists)
    time.sleep(1)
    wait(lambda: time.time() - (home / homes.ALIVE).stat().st_mtime < 0.3)  # however slow this computer is
    killed = now()
    os.kill(identity(provider, machine.id).pid, signal.SIGKILL)
    time.sleep(2)
    found = provider.find([machine])[machine.id]
    assert abs((found.stopped_at - killed).total_seconds()) < 1
    assert "died without a word" in found.reason
    assert homes.read(home / homes.EXIT, Exit).by == "provider"
