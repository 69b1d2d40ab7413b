"""What both clouds of named VMs promise beyond the contract, against APIs that lose, repeat, refuse and forget."""

import os
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from amasia import errors
from amasia.client.locations import read_config
from amasia.models.base import now
from amasia.providers import boots, clouds
from amasia.testing import vms
from amasia.testing.providers import ProviderTests, make_boot, make_machine

PRICE = 500_000
PAGES = Path(__file__).parents[2] / "docs" / "how-to"


class CloudTests(ProviderTests):
    """A subclass gives the fixtures ``cloud`` and ``place``, and what follows here."""

    kind = larger = right_to_end = taken = quiet = ""
    zones: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch, cloud):
        self.cloud = cloud
        monkeypatch.setattr(clouds, "PATIENCE", 0.6)

    @pytest.fixture
    def provider(self, place):
        return self.open(place)

    def machine(self, **changes):
        return make_machine(**{"machine_type": self.kind, "price": PRICE} | changes)

    def count(self, provider, machine_id):
        return len(self.cloud.running(machine_id))

    def cut_power(self, provider, machine_id):
        self.cloud.power_off(machine_id)

    def begin(self, provider, wish):
        return provider.start(wish, make_boot(wish))

    # --- room --------------------------------------------------------------------------------------------------------

    def test_no_room_in_a_zone_goes_on_to_the_next_and_then_to_the_next_type(self, provider):
        other = next(offer for offer in provider.offers() if offer.type == self.larger)
        wish = self.machine(alternatives=(other,))
        self.cloud.faults.no_room |= {(self.name_of(self.kind), self.zones[0], False)}
        assert self.begin(provider, wish)["zone"] == self.zones[1]
        self.cloud.faults.no_room |= {(self.name_of(self.kind), zone, False) for zone in self.zones}
        made = self.begin(provider, self.machine(alternatives=(other,)))
        assert (made["machine_type"], made["zone"]) == (self.larger, self.zones[0])
        assert len(self.cloud.running()) == 2

    def test_no_room_anywhere_is_said_and_no_zone_is_asked_twice(self, provider, monkeypatch):
        wish = self.machine()
        self.cloud.faults.no_room |= {("*", zone, False) for zone in self.zones}
        asked = self.asked()
        for _ in range(2):
            with pytest.raises(errors.NoCapacity):
                self.begin(provider, wish)
        assert self.asked() - asked == len(self.zones)
        assert provider.find([wish]) == {}
        self.cloud.faults.no_room.clear()
        provider._short.clear()  # as time does
        self.begin(provider, wish)
        assert len(self.cloud.running(wish.id)) == 1

    def test_no_room_that_is_said_late_is_an_end_with_its_reason_and_the_next_goes_elsewhere(self, provider):
        wish = self.machine()
        self.cloud.faults.no_room |= {("*", self.zones[0], False)}
        self.cloud.faults.late_room = 2.0
        wish = wish.model_copy(update={"handle": self.begin(provider, wish)})
        assert provider.find([wish])[wish.id].alive
        self.wait(lambda: not self.look(provider, wish).alive)
        assert "no room" in self.look(provider, wish).reason
        assert self.begin(provider, self.machine())["zone"] == self.zones[1]
        self.wait(lambda: len(self.cloud.vms) == 1)

    def test_spot_falls_back_where_that_costs_no_more(self, provider):
        self.cloud.faults.no_room |= {("*", zone, True) for zone in self.zones}
        with pytest.raises(errors.NoCapacity):
            self.begin(provider, self.machine(spot=True, price=1000))
        assert self.begin(provider, self.machine(spot=True))["spot"] is False
        self.cloud.faults.no_room.clear()
        provider._short.clear()
        assert self.begin(provider, self.machine(spot=True, price=1000))["spot"] is True

    def test_what_was_taken_back_is_said(self, provider):
        wish = self.machine(spot=True)
        wish = wish.model_copy(update={"handle": self.begin(provider, wish)})
        self.cloud.take_back(wish.id)
        found = provider.find([wish])[wish.id]
        assert not found.alive
        assert "took it back" in found.reason
        assert found.stopped_at is not None

    def test_a_machine_hears_that_it_will_be_taken_back(self, tmp_path):
        """By what its cloud's metadata answer."""
        curl = tmp_path / "curl"
        for answer, heard in ((self.quiet, False), (self.taken, True)):
            curl.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
            curl.chmod(0o755)
            path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
            done = subprocess.run(["sh", "-c", self.open.notice], env=path, capture_output=True, text=True)
            assert bool(done.stdout) is heard
        left = datetime.fromisoformat(done.stdout.strip()) - now()
        assert timedelta(seconds=20) < left <= timedelta(seconds=31)

    # --- answers -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("hidden", [0.0, 0.5])
    def test_an_answer_that_is_lost_makes_no_second_machine(self, provider, hidden):
        wish = self.machine()
        self.cloud.faults.lost, self.cloud.faults.hidden = 1, hidden
        with pytest.raises(errors.Unavailable, match="did not answer"):
            self.begin(provider, wish)
        assert provider.find([wish])[wish.id].alive
        later = self.open(provider.place)
        again = later.start(wish, make_boot(wish, lease_until=now() + timedelta(hours=1)))
        assert self.cloud.launched[wish.id] == 1
        assert [vm.name for vm in self.cloud.running(wish.id)] == [again["name"]]

    def test_a_zone_is_written_down_before_it_is_asked(self, provider):
        """So the answer of the second zone, when it is lost, is looked for in that zone."""
        wish = self.machine()
        self.cloud.faults.no_room |= {("*", self.zones[0], False)}
        provider._note_short({"machine_type": self.kind, "zone": self.zones[0], "spot": False})
        self.cloud.faults.lost = 1
        with pytest.raises(errors.Unavailable):
            self.begin(provider, wish)
        self.cloud.faults.no_room.clear()
        assert self.begin(self.open(provider.place), wish)["zone"] == self.zones[1]
        assert self.cloud.launched[wish.id] == 1

    def test_a_request_that_arrives_twice_makes_one_machine(self, provider):
        wish = self.machine()
        self.cloud.faults.doubled = 1
        self.begin(provider, wish)
        assert len(self.cloud.running(wish.id)) == 1

    def test_a_stop_after_a_lost_answer_ends_what_was_made(self, provider):
        wish = self.machine()
        self.cloud.faults.lost, self.cloud.faults.hidden = 1, 0.5
        with pytest.raises(errors.Unavailable):
            self.begin(provider, wish)
        provider.stop(wish.id)
        assert self.cloud.running() == []

    def test_without_its_notes_a_machine_is_found_by_its_mark(self, provider, tmp_path):
        wish = self.machine()
        made = self.begin(provider, wish)
        elsewhere = self.open(provider.place.model_copy(update={"home": tmp_path / "elsewhere"}))
        assert elsewhere.start(wish, make_boot(wish)) == made
        assert len(self.cloud.running(wish.id)) == 1
        elsewhere.stop(wish.id)
        assert self.cloud.running(wish.id) == []

    def test_a_second_vm_of_a_machine_is_deleted_when_it_is_seen(self, provider):
        wish = self.machine()
        made = self.begin(provider, wish)
        first = self.cloud.running(wish.id)[0]
        self.cloud.make(
            vms.Vm("by-hand", first.zone, first.kind, False, wish.id, "", first.body | {"name": "by-hand"}, 7)
        )
        assert len(self.cloud.running(wish.id)) == 2
        assert provider.find(None)[wish.id].alive
        assert [vm.name for vm in self.cloud.running(wish.id)] == [made["name"]]

    def test_others_machines_are_not_touched(self, provider, tmp_path):
        wish = self.machine()
        self.begin(provider, wish)
        other = self.open(provider.place.model_copy(update={"plane": "f" * 12, "home": tmp_path / "other"}))
        assert other.find(None) == {}
        other.stop(wish.id)
        assert len(self.cloud.running(wish.id)) == 1

    @pytest.mark.parametrize("line", range(6))
    def test_a_start_that_is_killed_at_any_line_leaves_no_second_machine_and_none_after_a_stop(self, provider, line):
        """Before and after each thing that is written down or asked."""
        begun, ended = self.machine(), self.machine()
        for wish in (begun, ended):
            with pytest.raises(KeyboardInterrupt):
                self.begin(self.dying(provider.place, line), wish)
        again = self.open(provider.place)
        made = self.begin(again, begun)
        again.stop(ended.id)
        assert [vm.name for vm in self.cloud.running()] == [made["name"]]
        assert self.cloud.launched[begun.id] == 1

    def dying(self, place, line):
        """A provider that is killed after so many lines of a start."""
        provider, passed = self.open(place), []

        def deadly(verb):
            def call(*arguments):
                for do in (lambda: None, lambda: verb(*arguments)):
                    result = do()
                    if len(passed) == line:
                        raise KeyboardInterrupt
                    passed.append(1)
                return result

            return call

        provider.send = deadly(provider.send)
        provider.launches.put = deadly(provider.launches.put)
        return provider

    # --- ends --------------------------------------------------------------------------------------------------------

    def test_what_shut_itself_down_is_deleted_when_it_is_seen(self, provider):
        wish = self.machine()
        self.begin(provider, wish)
        self.cloud.power_off(wish.id)
        assert provider.find(None)[wish.id].alive is False
        self.wait(lambda: self.cloud.running() == [] and not self._left())

    def test_a_machine_whose_lease_is_over_shuts_itself_down_and_is_deleted(self, provider, monkeypatch):
        """Its real script runs, with no control plane to ask."""
        if why := vms.missing():
            pytest.skip(why)
        monkeypatch.setattr(boots, "AFTER", 1)
        self.cloud.boots = True
        place = provider.place
        root = {"root": str(place.home / "disk"), "variables": {"PATH": os.environ["PATH"]}}
        provider = self.open(place.model_copy(update={"options": place.options | root}))
        wish = self.machine()
        boot = make_boot(wish, lease_until=now() + timedelta(seconds=1))
        wish = wish.model_copy(update={"handle": provider.start(wish, boot)})
        log = place.home / "disk" / "machines" / wish.id / "log"
        self.wait(lambda: log.exists() and "boot: again" in log.read_text())
        self.wait(lambda: not self.look(provider, wish).alive)
        assert "its lease is over" in log.read_text()
        assert self.look(provider, wish).reason.startswith("it shut itself down")
        self.wait(lambda: not self._left())

    def test_a_machine_that_is_stopped_ends_all_that_runs_on_it(self, provider):
        if why := vms.missing():
            pytest.skip(why)
        self.cloud.boots = True
        machine = self.start(provider)
        process = self.cloud.running(machine.id)[0].process
        assert process.poll() is None
        self.stop(provider, machine)
        assert process.poll() is not None

    # --- errors ------------------------------------------------------------------------------------------------------

    def test_a_quota_is_told_with_its_cure_and_may_pass(self, provider):
        self.cloud.faults.quota = 0
        wish = self.machine()
        with pytest.raises(errors.Unavailable, match="quota") as refused:
            self.begin(provider, wish)
        assert not isinstance(refused.value, errors.NoCapacity)
        assert refused.value.cure
        self.cloud.faults.quota = None
        self.begin(provider, wish)
        assert self.cloud.launched[wish.id] == 1

    def test_throttling_is_unavailable_and_leaves_nothing(self, provider):
        wish = self.machine()
        provider.offers()
        self.cloud.faults.throttled = 10
        with pytest.raises(errors.Unavailable, match="fewer calls"):
            self.begin(provider, wish)
        self.cloud.faults.throttled = 0
        self.begin(provider, wish)
        assert len(self.cloud.running()) == 1

    def test_a_refused_key_is_said_with_its_cure_and_never_shown(self, provider):
        self.cloud.faults.refused = True
        with pytest.raises(errors.InvalidRequest, match="refuses the key") as refused:
            self.begin(provider, self.machine())
        assert "secrets" in refused.value.cure
        shown = repr(provider) + str(refused.value) + str(provider.check())
        assert not any(secret in shown for secret in provider.place.secrets.values() if len(secret) > 10)

    def test_a_type_that_the_region_lacks_is_refused_at_once(self, provider):
        with pytest.raises(errors.InvalidRequest, match="zz9"):
            self.begin(provider, self.machine(machine_type="zz9"))

    def test_a_type_with_gpus_needs_an_image(self, provider):
        gpu = next(offer for offer in provider.offers() if offer.gpus)
        assert gpu.gpu
        with pytest.raises(errors.InvalidRequest, match="image") as refused:
            self.begin(provider, self.machine(machine_type=gpu.type))
        assert "images.gpu" in refused.value.cure

    def test_a_missing_right_is_a_finding_that_names_it(self, provider):
        self.cloud.faults.denied = {self.right_to_end}
        wrong = [one for one in provider.check() if not one.ok]
        assert [one.subject for one in wrong] == [provider.place.name]
        assert self.right_to_end in wrong[0].what
        assert f"location policy {provider.name}" in wrong[0].cure

    def test_check_finds_nothing_wrong_and_makes_nothing(self, provider):
        found = provider.check()
        assert all(one.ok for one in found), found
        assert any("vCPUs" in one.what for one in found)
        assert self.cloud.vms == {}

    def test_a_type_of_the_options_that_is_not_there_is_a_finding(self, place):
        options = place.options | {"types": [self.kind, "zz9-*"]}
        found = self.open(place.model_copy(update={"options": options})).check()
        assert [one.what for one in found if not one.ok] == ["there is no machine type 'zz9-*'"]

    # --- notes -------------------------------------------------------------------------------------------------------

    def test_requests_are_kept_by_their_owner_alone_and_forgotten_with_their_answer(self, provider):
        wish = self.machine()
        self.cloud.faults.lost = 1
        with pytest.raises(errors.Unavailable):
            self.begin(provider, wish)
        kept = provider.place.home / "launches" / f"{wish.id}.json"
        assert '"zone"' in kept.read_text()
        assert kept.stat().st_mode & 0o077 == 0
        self.begin(provider, wish)
        assert len(kept.read_text()) < 1000

    def test_old_notes_are_removed_by_the_sweep(self, provider):
        over, alive = self.machine(), self.machine()
        for wish in (over, alive):
            self.begin(provider, wish)
        self.stop(provider, over)
        for path in (provider.place.home / "launches").iterdir():
            os.utime(path, (0, 0))
        self.wait(lambda: not self._left(over.id))
        provider.find(None)
        assert {path.stem for path in (provider.place.home / "launches").iterdir()} == {alive.id}

    def test_the_console_is_read(self, provider, tmp_path):
        wish = self.machine()
        assert provider.console(wish) == ""
        wish = wish.model_copy(update={"handle": self.begin(provider, wish)})
        console = self.cloud.running(wish.id)[0].console = tmp_path / "console"
        console.write_text("boot: again in 4 s: install\n")
        assert provider.console(wish) == "boot: again in 4 s: install\n"

    def test_prices_are_the_options_then_the_seed_and_never_guessed(self, place):
        found = {offer.type: offer for offer in self.open(place).offers()}
        assert (found[self.kind].price, found[self.kind].price_source) == (PRICE, "the location's options")
        assert found[self.larger].price is None
        assert "unknown" in found[self.larger].price_source

    @pytest.mark.parametrize("changes", [{"options": {"types": 1}}, {"options": {"zone": "a"}}, {"region": "here"},
                                         {"options": {"prices": {"x": "cheap"}}}, {"secrets": {"hello": "k"}},
                                         {"options": {"endpoint": "http://169.254.169.254"}}])  # fmt: skip
    def test_wrong_options_and_secrets_are_named(self, place, changes):
        changed = changes | ({"options": place.options | changes["options"]} if "options" in changes else {})
        with pytest.raises(errors.InvalidRequest) as refused:
            self.open(place.model_copy(update=changed))
        word = next(iter(changes.get("options", changes.get("secrets", {"region": ""}))))
        assert word in refused.value.message
        assert refused.value.cure

    def test_a_private_endpoint_is_for_who_may_and_is_not_asked(self, place):
        provider = self.open(place.model_copy(update={"private_endpoints": False}))
        with pytest.raises(errors.InvalidRequest, match=r"127\.0\.0\.1, which is not public"):
            self.begin(provider, self.machine())
        assert sum(self.cloud.calls.values()) == 0

    def test_the_page_says_what_works(self, place, tmp_path):
        """Its file is read word for word, its table has every key, and its role every right that is called."""
        page = (PAGES / f"connect-{self.open.name}.md").read_text()
        config = tmp_path / "config.toml"
        config.write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
        for key, value in place.secrets.items():
            (tmp_path / f"{key.replace('_', '-')}.{'json' if key == 'key' else 'txt'}").write_text(value + "\n")
        said, secrets = read_config(config)
        said |= {key: place.options[key] for key in ("endpoint", "authority") if key in place.options}
        provider = self.open(place.model_copy(update={"options": said, "secrets": secrets}))
        assert all(one.ok for one in provider.check())
        assert [offer.price is not None for offer in provider.offers()] == [True, True]
        machine = self.start(provider, machine_type=provider.offers()[0].type)
        provider.console(machine)
        self.stop(provider, machine)
        assert set(self.cloud.calls) <= set(self.rights)
        assert {right for right in self.rights if f"`{right}`" not in page} == set()
        assert {key for key in type(provider.options).model_fields if f"`{key}`" not in page} == set()

    def asked(self):
        return sum(count for right, count in self.cloud.calls.items() if right.endswith(("create", "/write")))

    def name_of(self, kind):
        """As the cloud writes it."""
        return kind

    def _left(self, machine_id=None):
        self.cloud.settle()
        return [vm for vm in self.cloud.vms.values() if machine_id in (None, vm.machine_id)]
