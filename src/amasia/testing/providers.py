"""The contract of a provider as tests: subclass, give a provider, and what it promises is checked."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from amasia.models.base import new_id, now
from amasia.models.machines import Boot, Found, Machine, MachineRole, MachineStatus, MachineTarget, Stages
from amasia.models.sizes import MIB
from amasia.providers.base import Provider
from amasia.testing.waiting import wait


def make_machine(**changes: Any) -> Machine:
    """A small worker that was just asked for."""
    values: dict[str, Any] = {
        "id": new_id("ma"),
        "workspace": "demo",
        "location": "here",
        "cluster_id": "cl-1",
        "cluster": "tiny",
        "owner": "ada",
        "role": MachineRole.worker,
        "index": 0,
        "status": MachineStatus.starting,
        "target": MachineTarget.running,
        "machine_type": "small",
        "cpus": 1,
        "memory": 128 * MIB,
        "price": 1_000_000,
        "stages": Stages(requested=now()),
    }
    return Machine(**(values | changes))


def make_boot(machine: Machine, **changes: Any) -> Boot:
    """For a machine whose control plane never answers, so that it only waits for the end of its lease."""
    values: dict[str, Any] = {
        "machine_id": machine.id,
        "control_plane": "http://127.0.0.1:9",
        "join_token": "join",
        "lease_until": now() + timedelta(minutes=5),
        "cpus": machine.cpus,
        "memory": machine.memory,
    }
    return Boot(**(values | changes))


class ProviderTests:
    """Subclass it in a test module, with a fixture ``provider``; override what differs."""

    seconds = 15.0
    """Within which a machine appears, or is gone."""
    precision = 1.0
    """Seconds by which the provider's times may be off."""

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        """A provider with no machines; it ends those that the test made."""
        raise NotImplementedError("give a fixture `provider`")

    def machine(self, **changes: Any) -> Machine:
        """A machine that this provider can start."""
        return make_machine(**changes)

    def boot(self, machine: Machine, **changes: Any) -> Boot:
        return make_boot(machine, **changes)

    def count(self, provider: Provider, machine_id: str) -> int:
        """How many machines really exist for an id, asked past the provider where that can be."""
        found = provider.find(None).get(machine_id)
        return int(found is not None and found.alive)

    def cut_power(self, provider: Provider, machine_id: str) -> None:
        """End a machine without asking the provider."""
        pytest.skip("this provider gives no way to end a machine from outside")

    def start(self, provider: Provider, **changes: Any) -> Machine:
        """A machine that is alive."""
        machine = self.machine(**changes)
        handle = provider.start(machine, self.boot(machine))
        machine = machine.model_copy(update={"handle": handle})
        self.wait(lambda: self.begun(provider, machine))
        return machine

    def begun(self, provider: Provider, machine: Machine) -> bool:
        found = self.look(provider, machine)
        return found.alive and not found.waiting

    def look(self, provider: Provider, machine: Machine) -> Found:
        return provider.find([machine]).get(machine.id, Found(machine_id=machine.id, alive=False))

    def stop(self, provider: Provider, machine: Machine) -> None:
        """Stop as reconcilers do: again and again until it is gone."""

        def gone() -> bool:
            provider.stop(machine.id)
            return not self.look(provider, machine).alive

        self.wait(gone)

    def wait(self, condition: Callable[[], bool]) -> None:
        wait(condition, self.seconds)

    def test_offers_have_type_cpus_memory_and_a_whole_price(self, provider: Provider) -> None:
        offers = provider.offers()
        assert offers
        assert len({offer.type for offer in offers}) == len(offers)
        for offer in offers:
            assert offer.cpus > 0
            assert offer.memory > 0
            assert offer.price is None or (isinstance(offer.price, int) and offer.price >= 0)
            assert offer.price_source

    def test_start_returns_fast_and_the_machine_is_found(self, provider: Provider) -> None:
        before = time.monotonic()
        machine = self.start(provider)
        assert time.monotonic() - before < self.seconds
        found = self.look(provider, machine)
        assert found.machine_id == machine.id
        assert found.started_at is not None
        assert abs((now() - found.started_at).total_seconds()) < self.seconds
        assert found.stopped_at is None

    def test_start_is_repeatable_and_never_makes_a_second_machine(self, provider: Provider) -> None:
        machine = self.start(provider)
        first = self.look(provider, machine)
        again = provider.start(machine, self.boot(machine))
        assert again == machine.handle
        assert self.count(provider, machine.id) == 1
        second = self.look(provider, machine)
        assert first.started_at is not None
        assert second.started_at is not None
        assert abs(second.started_at - first.started_at) < timedelta(seconds=1)

    def test_starts_at_the_same_time_make_one_machine(self, provider: Provider) -> None:
        machine = self.machine()
        boot = self.boot(machine)
        together = threading.Barrier(4)
        handles: list[Any] = []

        def start() -> None:
            together.wait()
            handles.append(provider.start(machine, boot))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(handles) == 4
        assert all(handle == handles[0] for handle in handles)
        self.wait(lambda: self.look(provider, machine).alive)
        assert self.count(provider, machine.id) == 1

    def test_a_handle_is_plain_data(self, provider: Provider) -> None:
        machine = self.start(provider)
        assert Machine.model_validate_json(machine.model_dump_json()) == machine

    def test_find_answers_only_what_was_asked(self, provider: Provider) -> None:
        one, two = self.start(provider), self.start(provider)
        assert set(provider.find([one])) == {one.id}
        assert set(provider.find([])) == set()
        assert {one.id, two.id} <= set(provider.find(None))

    def test_a_machine_that_never_was_is_missing_from_the_answer(self, provider: Provider) -> None:
        assert provider.find([self.machine()]) == {}

    def test_stop_is_final_and_may_be_repeated(self, provider: Provider) -> None:
        machine = self.start(provider)
        self.stop(provider, machine)
        provider.stop(machine.id)
        provider.stop(machine.id)
        provider.start(machine, self.boot(machine))
        time.sleep(0.2)
        assert not self.look(provider, machine).alive
        assert self.count(provider, machine.id) == 0

    def test_stop_tells_when_it_ended(self, provider: Provider) -> None:
        machine = self.start(provider)
        before = now()
        self.stop(provider, machine)
        found = self.look(provider, machine)
        assert found.stopped_at is not None
        assert before - timedelta(seconds=self.precision) <= found.stopped_at <= now()

    def test_stop_of_an_unknown_machine_is_no_error(self, provider: Provider) -> None:
        provider.stop(new_id("ma"))

    def test_a_stop_that_comes_first_wins_over_its_start(self, provider: Provider) -> None:
        machine = self.machine()
        provider.stop(machine.id)
        provider.start(machine, self.boot(machine))
        time.sleep(0.2)
        assert not self.look(provider, machine).alive
        assert self.count(provider, machine.id) == 0

    def test_a_stop_that_races_its_start_wins(self, provider: Provider) -> None:
        for delay in (0.0, 0.005, 0.02, 0.1):
            machine = self.machine()
            starting = threading.Thread(target=provider.start, args=(machine, self.boot(machine)))
            starting.start()
            time.sleep(delay)
            provider.stop(machine.id)
            starting.join()
            self.wait(lambda machine=machine: not self.look(provider, machine).alive)  # type: ignore[misc]
            assert self.count(provider, machine.id) == 0

    def test_stop_ends_one_machine_only(self, provider: Provider) -> None:
        one, two = self.start(provider), self.start(provider)
        self.stop(provider, one)
        assert self.look(provider, two).alive

    def test_a_machine_that_ended_by_itself_is_reported_with_reason_and_time(self, provider: Provider) -> None:
        machine = self.start(provider)
        before = now()
        self.cut_power(provider, machine.id)
        self.wait(lambda: not self.look(provider, machine).alive)
        found = self.look(provider, machine)
        assert found.reason
        assert found.stopped_at is not None
        assert abs((found.stopped_at - before).total_seconds()) <= self.precision

    def test_a_machine_that_ended_by_itself_does_not_begin_again(self, provider: Provider) -> None:
        machine = self.start(provider)
        self.cut_power(provider, machine.id)
        self.wait(lambda: not self.look(provider, machine).alive)
        provider.start(machine, self.boot(machine))
        time.sleep(0.2)
        assert not self.look(provider, machine).alive
        assert self.count(provider, machine.id) == 0
