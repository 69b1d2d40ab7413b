"""The ssh provider keeps the contract on computers with a network, disk and sshd each; and what only it promises."""

import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncssh
import pytest

from amasia.errors import InvalidRequest, TooLarge, Unavailable
from amasia.models.base import now
from amasia.models.locations import Place
from amasia.models.machines import MachineStatus
from amasia.providers import shells
from amasia.providers.ssh import SshProvider
from amasia.testing.providers import ProviderTests, make_boot, make_machine
from amasia.testing.waiting import wait
from show import hosts as computers

LACKING = computers.missing()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)
ROOTS = itertools.count()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with computers.hosts(tmp_path_factory.mktemp("hosts"), 2, disk=640 << 20) as fleet:
        yield fleet


@pytest.fixture
def make(fleet, tmp_path):
    """Opens a provider of the fleet; each test's own directory is on the hosts."""
    root = f"/var/lib/amasia-{next(ROOTS)}"

    def make(home="place", secrets=None, **options):
        return SshProvider(
            Place(workspace="demo", name="lab", region="here", plane="p1", home=tmp_path / home,
                  private_endpoints=True, options=fleet.options(root=root) | options,
                  secrets=secrets or {"key": fleet.key})
        )  # fmt: skip

    yield make
    for name in fleet.names:
        fleet.run(name, "kill -KILL $(grep -lzsa OWNED_BY_AMASIA= /proc/[0-9]*/environ | cut -d/ -f3) 2>/dev/null; "
                        f"rm -rf {root}")  # fmt: skip


@pytest.fixture
def provider(make):
    return make(slots=4, cpus=2, memory="2 GiB")


def small(**changes):
    return make_machine(**({"machine_type": "c1-m1", "status": MachineStatus.requested} | changes))


def start(provider, **changes):
    machine = small(**changes)
    handle = provider.start(machine, make_boot(machine))
    return machine.model_copy(update={"handle": handle})


class TestSshProvider(ProviderTests):
    seconds = 30.0
    precision = 4.0

    @pytest.fixture
    def provider(self, provider, fleet):
        self.fleet = fleet
        return provider

    def machine(self, **changes):
        return make_machine(**({"machine_type": "c0.5-m0.5"} | changes | {"cpus": 0.5}))

    def count(self, provider, machine_id):
        return sum(len(self.scripts(name, machine_id)) for name in self.fleet.names)

    def scripts(self, name, machine_id):
        """Boot scripts of a machine, asked of the host's kernel: each begins a session."""
        sessions = "for p in {}; do [ $(ps -o sid= -p $p) = $p ] && echo $p; done"
        pids = " ".join(self.fleet.pids(name, machine_id))
        return self.fleet.run(name, sessions.format(pids)).split() if pids else []

    def cut_power(self, provider, machine_id):
        for name in self.fleet.names:
            self.fleet.run(name, f"kill -KILL {' '.join(self.fleet.pids(name, machine_id))}")


# --- inventories ----------------------------------------------------------------------------------------------------


def place(tmp_path, **options):
    return Place(workspace="demo", name="lab", region="here", plane="p1", home=tmp_path / "place", options=options)


HOST = {"address": "10.0.0.1", "cpus": 4, "memory": "8 GiB"}


def test_one_machine_type_for_each_size_of_slot(tmp_path):
    big = {"address": "10.0.0.3", "cpus": 32, "memory": "128 GiB", "gpus": 4, "gpu": "a100", "slots": 2, "price": 8}
    shared = {"slots": 4, "price": "0.40"}
    provider = SshProvider(place(tmp_path, hosts=[HOST | shared, HOST | shared | {"address": "10.0.0.2"}, big]))
    small, large = provider.offers()
    assert (small.type, small.cpus, small.memory, small.price) == ("c1-m2", 1, 2 << 30, 100_000)
    assert (large.type, large.gpus, large.gpu, large.price) == ("c16-m64-a100x2", 2, "a100", 4_000_000)


def test_a_host_of_many_tebibytes_has_a_machine_type_too(tmp_path):
    (offer,) = SshProvider(place(tmp_path, hosts=[HOST | {"memory": "16 TiB"}])).offers()
    assert offer.type == "c4-m16384"


def test_what_is_said_at_the_head_counts_for_each_host(tmp_path):
    provider = SshProvider(
        place(tmp_path, user="ops", port=2222, cpus=2, memory="4 GiB", hosts=[{"address": "A.lan"}, HOST])
    )
    one, two = provider.inventory.hosts
    assert (one.name, one.user, one.port, one.cpus) == ("a.lan", "ops", 2222, 2)
    assert (two.user, two.cpus) == ("ops", 4)
    assert provider.inventory.root_of(one) == "~/.amasia"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["no hosts", "[[hosts]]"]),
        ({"hosts": []}, ["hosts"]),
        ({"hosts": [{"address": "10.0.0.1", "cpus": 4}]}, ["10.0.0.1", "`memory`"]),
        ({"hosts": [HOST | {"memory": "lots"}]}, ["10.0.0.1", "`memory`"]),
        ({"hosts": [HOST | {"cpus": -1}]}, ["`cpus`"]),
        ({"hosts": [HOST | {"price": "cheap"}]}, ["`price`", "12.50"]),
        ({"hosts": [HOST | {"price": "9" * 30}]}, ["`price`", "per hour"]),
        ({"hosts": [HOST | {"memory": "9999999 TiB"}]}, ["`memory`"]),
        ({"hosts": [HOST | {"cpus": 1e-9}]}, ["`cpus`"]),
        ({"hosts": [HOST | {"adress": "x"}]}, ["`adress`"]),
        ({"hosts": [HOST | {"address": "-oProxyCommand=x"}]}, ["`address`"]),
        ({"hosts": [HOST], "colour": "red"}, ["`colour`"]),
        ({"hosts": [HOST], "variables": {"A": "one\ntwo"}}, ["variables.A"]),
        ({"hosts": [HOST | {"name": "a"}, HOST | {"name": "a", "address": "10.0.0.2"}]}, ["named 'a'"]),
        ({"hosts": [HOST | {"name": "a"}, HOST | {"name": "b"}]}, ["'a' and 'b' are the same"]),
        ({"hosts": [HOST | {"price": 1}, HOST | {"price": 2, "address": "10.0.0.2"}]}, ["differ", "`type`"]),
        ({"hosts": [HOST | {"gpus": 3, "slots": 2}]}, ["3 GPUs", "slots"]),
        ({"hosts": [HOST | {"host_key": "ssh-ed25519 nonsense"}]}, ["`host_key`", "10.0.0.1"]),
    ],
)
def test_a_wrong_inventory_is_refused_by_the_name_of_host_and_key(tmp_path, options, words):
    with pytest.raises(InvalidRequest) as refused:
        SshProvider(place(tmp_path, **options))
    assert refused.value.cure
    for word in words:
        assert word in str(refused.value)


def test_a_private_key_that_is_none_is_refused_and_not_shown(tmp_path):
    secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n-----END OPENSSH PRIVATE KEY-----"
    with pytest.raises(InvalidRequest, match="private key") as refused:
        SshProvider(place(tmp_path, hosts=[HOST]).model_copy(update={"secrets": {"key": secret}}))
    assert "hush" not in str(refused.value)


# --- where a machine goes -------------------------------------------------------------------------------------------


def test_slots_are_never_overfilled_by_two_control_planes(make):
    """Each of two providers knows nothing of the other; together they ask for one more than there is room for."""
    planes = [make(home) for home in ("one", "two")]
    asked = [small() for _ in range(5)]

    def begin(item):
        number, machine = item
        try:
            return planes[number % 2].start(machine, make_boot(machine))["host"]
        except Unavailable as error:
            return error

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(begin, enumerate(asked)))
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(refused) == 1
    assert "slots" in str(refused[0])
    assert Counter(answer for answer in answers if isinstance(answer, str)) == {"h1": 2, "h2": 2}
    assert sum(found.alive for found in planes[0].find(None).values()) == 4


def test_a_slot_that_was_left_is_given_again(make):
    provider = make(slots=1, cpus=1, memory="1 GiB")
    one, _two = start(provider), start(provider)
    late = small()
    with pytest.raises(Unavailable):
        provider.start(late, make_boot(late))
    provider.stop(one.id)
    wait(lambda: not provider.find([one])[one.id].alive, 30)
    retried = late.model_copy(update={"status": MachineStatus.starting})
    assert provider.start(retried, make_boot(retried))["host"] == one.handle["host"]


def test_an_alternative_is_taken_where_the_own_type_has_no_room(make, fleet):
    hosts = [
        {"name": "h1", "address": fleet.address("h1"), "slots": 1, "type": "first", "cpus": 1, "memory": "1 GiB"},
        {"name": "h2", "address": fleet.address("h2"), "slots": 1, "type": "second", "cpus": 1, "memory": "1 GiB"},
    ]
    provider = make(hosts=hosts)
    start(provider, machine_type="first")
    second = next(offer for offer in provider.offers() if offer.type == "second")
    assert start(provider, machine_type="first", alternatives=(second,)).handle == {
        "host": "h2", "machine_type": "second"}  # fmt: skip


def test_what_can_never_be_had_is_refused_for_good(make):
    provider = make()
    for wrong, words, kind in (
        ({"machine_type": "c99-m1"}, "no machine type 'c99-m1'", InvalidRequest),
        ({"cpus": 3}, "3 cpus", TooLarge),
    ):
        machine = small(**wrong)
        with pytest.raises(kind, match=words):
            provider.start(machine, make_boot(machine))


def test_another_control_plane_finds_what_the_first_one_began(make, fleet):
    machine = start(make("one"))
    later = make("two")
    again = machine.model_copy(update={"handle": {}, "status": MachineStatus.starting})
    assert later.start(again, make_boot(again)) == machine.handle
    assert later.find([again])[machine.id].alive
    later.stop(machine.id)
    wait(lambda: not later.find([again])[machine.id].alive, 30)


def test_machines_of_another_control_plane_or_location_are_not_ours(make, fleet, tmp_path):
    machine = start(make())
    other = make("other")
    other.place = other.place.model_copy(update={"plane": "p2"})
    assert machine.id not in other.find(None)


# --- who a machine is -----------------------------------------------------------------------------------------------


def test_machines_run_as_a_user_of_their_workspace_in_a_home_of_its_own(make, fleet):
    provider = make()
    machine = start(provider)
    host = machine.handle["host"]
    pids = wait(lambda: fleet.pids(host, machine.id), 30)
    assert fleet.run(host, f"ps -o user:30= -p {pids[0]}").strip() == "amasia-demo"
    home = f"{provider.inventory.root}/homes/amasia-demo"
    assert fleet.run(host, f"stat -c '%a %U' {home}").split() == ["700", "amasia-demo"]
    assert not fleet.run(host, f"setpriv --reuid nobody --clear-groups ls {home}")


def test_the_kernel_holds_a_machine_to_its_memory_and_a_stray_process_ends_with_it(make, fleet):
    provider = make()
    machine = start(provider)
    host = machine.handle["host"]
    wait(lambda: fleet.pids(host, machine.id), 30)
    group = f"/sys/fs/cgroup/memory/amasia/{machine.id}"
    if not fleet.run(host, f"cat {group}/cgroup.procs"):
        pytest.skip("this kernel has no version 1 memory groups to give to a host")
    assert int(fleet.run(host, f"cat {group}/memory.limit_in_bytes")) == machine.memory + (256 << 20)
    # It left its session and its environment; only the group still knows it.
    fleet.run(host, f"(echo 0 > {group}/cgroup.procs; exec setsid env -i sleep 1000) >/dev/null 2>&1 &")
    wait(lambda: "sleep 1000" in fleet.run(host, "ps -e -o args"), 30)
    provider.stop(machine.id)
    wait(lambda: not provider.find([machine])[machine.id].alive, 30)
    assert "sleep 1000" not in fleet.run(host, "ps -e -o args")
    assert fleet.run(host, f"ls -d {group}") == ""


def test_a_login_that_is_not_root_runs_machines_as_itself(make, fleet):
    keys = "install -d -m 700 -o ops /home/ops/.ssh && install -m 600 -o ops ~/.ssh/authorized_keys /home/ops/.ssh/"
    for name in fleet.names:
        fleet.run(name, f"useradd --create-home --password '*' --shell /bin/sh ops; {keys}")
    provider = make(user="ops", root="~/.amasia")
    machine = start(provider)
    host = machine.handle["host"]
    pids = wait(lambda: fleet.pids(host, machine.id), 30)
    assert fleet.run(host, f"ps -o user= -p {pids[0]}").strip() == "ops"
    assert any("machines run as ops" in finding.what for finding in provider.check())
    provider.stop(machine.id)
    wait(lambda: not provider.find([machine])[machine.id].alive, 30)


def test_whatever_a_machine_said_last_its_end_and_that_of_others_is_heard(make, fleet):
    provider = make()
    machine, other = start(provider), start(provider)
    host = machine.handle["host"]
    home = f"{provider.inventory.root}/homes/amasia-demo/machines/{machine.id}"
    wait(lambda: fleet.pids(host, machine.id), 30)
    fleet.run(host, f"kill -KILL {' '.join(fleet.pids(host, machine.id))}; "
                    f"printf '10 %%\\r100 %%\\f\\342\\202' >>{home}/log")  # fmt: skip
    fleet.run(host, f"printf '\\377\\r' >{home}/exit.json")
    wait(lambda: not provider.find([machine])[machine.id].alive, 30)
    found = provider.find([machine, other])
    assert "100 %" in found[machine.id].reason
    assert found[other.id].alive


def test_the_log_of_a_machine_is_read_as_its_user(make, fleet):
    provider = make()
    machine = start(provider)
    wait(lambda: "again in" in provider.console(machine), 30)
    host = machine.handle["host"]
    log = f"{provider.inventory.root}/homes/amasia-demo/machines/{machine.id}/log"
    fleet.run(host, f"ln -sf /etc/shadow {log}")
    assert "root:" in fleet.run(host, f"cat {log}")
    assert "root:" not in provider.console(machine)


# --- what happens to hosts ------------------------------------------------------------------------------------------


@pytest.fixture
def whole(fleet, monkeypatch):
    """The hosts are mended after the test; and one that is silent is given up sooner, so that it is shorter."""
    monkeypatch.setattr(shells, "CONNECT", 2.0)
    monkeypatch.setattr(shells, "KEEPALIVE", 0.8)
    yield
    for name in fleet.names:
        fleet.restore(name)


def test_a_host_that_is_cut_off_delays_no_other_and_its_machine_is_kept_until_its_lease_is_over(make, fleet, whole):
    provider = make(slots=1, cpus=1, memory="1 GiB")
    machines = {machine.handle["host"]: machine for machine in (start(provider), start(provider))}
    until = now() + timedelta(seconds=60)
    cut, well = (machines[name].model_copy(update={"lease_until": until}) for name in ("h1", "h2"))
    provider.find([cut, well])
    fleet.cut("h1")

    begun = time.monotonic()
    found = provider.find([cut, well])
    assert time.monotonic() - begun < 8, "its link hangs, and the other host has answered"
    assert found[cut.id].alive, "nobody can know, so it is not declared dead"
    assert found[cut.id].started_at is None
    assert found[well.id].alive
    provider.stop(cut.id)  # no error: it is asked again when it answers
    wait(lambda: provider.find([cut]) and provider._shells._links["h1"].trouble, 30)
    begun = time.monotonic()
    provider.find([cut, well])
    assert well.id in provider.find(None)
    assert time.monotonic() - begun < 8, "it is left alone for a while"

    over = cut.model_copy(update={"lease_until": now() - timedelta(seconds=1)})
    found = provider.find([over])[over.id]
    assert not found.alive
    assert "h1" in found.reason
    assert "lease is over" in found.reason
    fleet.restore("h1")
    wait(lambda: provider.find([cut])[cut.id].started_at, 30)
    assert provider.find([cut])[cut.id].alive, "the stop did not arrive"


def test_a_start_goes_to_a_host_that_answers_and_stays_with_one_that_may_have_begun(make, fleet, whole):
    provider = make(slots=1, cpus=1, memory="1 GiB")
    fleet.cut("h1")
    machine = start(provider)
    assert machine.handle["host"] == "h2"
    late = small()
    with pytest.raises(Unavailable, match="h1"):
        provider.start(late, make_boot(late))
    fleet.restore("h1")
    retried = late.model_copy(update={"status": MachineStatus.starting})
    wait(lambda: provider._shells._links["h1"].not_before < time.monotonic(), 30)
    assert provider.start(retried, make_boot(retried))["host"] == "h1"

    fleet.cut("h1")
    provider.stop(machine.id)
    wait(lambda: not provider.find([machine])[machine.id].alive, 30)
    with pytest.raises(Unavailable):  # the other host is free now, and must not be taken
        provider.start(retried, make_boot(retried))
    assert fleet.pids("h2", retried.id) == []


def test_a_host_that_was_turned_off_and_on_reports_its_machine_dead_with_reason_and_time(make, fleet, whole):
    provider = make()
    machine = wait(lambda: (one := start(provider)).handle["host"] == "h2" and one, 30)
    time.sleep(2.5)  # its watchdog says every two seconds that it lives
    before = now()
    fleet.power_off("h2")
    assert provider.find([machine])[machine.id].alive, "off or only cut off: nobody can tell from here"
    fleet.boot("h2")
    found = wait(lambda: not (one := provider.find([machine])[machine.id]).alive and one, 30)
    assert "went down" in found.reason
    assert abs(found.stopped_at - before) < timedelta(seconds=4)
    provider.start(machine, make_boot(machine))
    assert not provider.find([machine])[machine.id].alive, "it does not begin again"


def test_a_full_disk_sends_a_machine_elsewhere_and_says_so_where_there_is_no_elsewhere(make, fleet):
    provider = make()
    fill = "mkdir -p /fill && head -c 1G /dev/zero > /fill/it 2>/dev/null; df -Pk /"
    try:
        fleet.run("h1", fill)
        machine = start(provider)
        assert machine.handle["host"] == "h2"
        fleet.run("h2", fill)
        assert provider.find([machine])[machine.id].alive
        other = small()
        with pytest.raises(Unavailable, match="disk of 'h1' is full") as refused:
            provider.start(other, make_boot(other))
        assert "du -xsh" in refused.value.cure
        assert other.id not in provider.find(None)
        provider.stop(machine.id)  # a full disk is no reason to live on
        wait(lambda: not provider.find([machine])[machine.id].alive, 30)
    finally:
        for name in fleet.names:
            fleet.run(name, "rm -rf /fill")


def test_a_changed_host_key_is_refused_with_the_cure(make, fleet, whole):
    provider = make()
    provider.find(None)  # trusted on first use
    fleet.power_off("h2")
    fleet.change_key("h2")
    fleet.boot("h2")
    bad = next(one for one in make().check() if one.subject == "h2")
    assert not bad.ok
    assert "another key" in bad.what
    assert "host_key" in bad.cure
    assert "rm " in bad.cure
    hosts = [{"name": "h2", "address": fleet.address("h2"), "host_key": fleet.host_key("h2")}]
    assert next(iter(make(hosts=hosts).check())).ok, "the inventory's word counts"
    hosts[0]["host_key"] = fleet.host_key("h1")
    bad = next(iter(make("fresh", hosts=hosts).check()))
    assert not bad.ok
    assert "inventory" in bad.what


def test_a_key_that_is_refused_is_told_with_the_cure(make, tmp_path):
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    provider = make(secrets={"key": stranger})
    findings = provider.check()
    assert all("refused the key for root@" in one.what for one in findings if one.subject != "lab")
    assert any(one.subject == "lab" and not one.ok for one in findings)
    machine = small()
    with pytest.raises(InvalidRequest, match="refused the key") as refused:
        provider.start(machine, make_boot(machine))
    assert "authorized_keys" in refused.value.cure
    for path in (tmp_path / "place").rglob("*"):
        assert not path.is_file() or "PRIVATE" not in path.read_text()


# --- checks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def reachable(fleet):
    """A control plane's address that answers, as the hosts see it."""
    server = ThreadingHTTPServer((fleet.gateway, 0), _Well)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{fleet.gateway}:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Well(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def checked(provider, url):
    provider.place = provider.place.model_copy(update={"control_plane": url})
    return provider.check()


def test_a_check_of_hosts_that_are_well_finds_nothing_wrong(make, reachable):
    findings = checked(make(), reachable)
    wrong = [one.what for one in findings if not one.ok and one.subject != "lab"]
    assert all("disk" in what for what in wrong), wrong  # these hosts are small
    told = " ".join(one.what for one in findings)
    for word in ("Python 3.1", "reaches the control plane", "2 cpus", "answers root@"):
        assert word in told


def test_a_check_says_for_each_host_what_is_missing_and_how_to_mend_it(make, fleet, reachable, whole):
    fleet.cut("h1")
    options = {"variables": {"PATH": "/usr/bin:/bin"}, "cpus": 64}
    provider = make(**options)
    findings = checked(provider, reachable.rpartition(":")[0] + ":9")
    wrong = {(one.subject, word): one for one in findings if not one.ok
             for word in ("does not answer", "64 cpus", "no Python", "does not reach") if word in one.what}  # fmt: skip
    assert set(wrong) == {("h1", "does not answer"), ("h2", "64 cpus"), ("h2", "no Python"), ("h2", "does not reach")}
    assert all(one.cure for one in wrong.values())
    assert findings[-1].subject == "lab"
    assert not findings[-1].ok
    machine = small(machine_type="c32-m1")
    with pytest.raises(Unavailable, match="'h2' is not well"):
        provider.start(machine, make_boot(machine))


def test_a_host_that_left_the_inventory_keeps_its_machines_until_their_leases_are_over(make, fleet):
    machine = start(make()).model_copy(update={"lease_until": now() + timedelta(seconds=60)})
    other = next(name for name in fleet.names if name != machine.handle["host"])
    later = make(hosts=[{"name": other, "address": fleet.address(other)}])
    assert later.find([machine])[machine.id].alive
    over = machine.model_copy(update={"lease_until": now() - timedelta(seconds=1)})
    assert "left the inventory" in later.find([over])[machine.id].reason
