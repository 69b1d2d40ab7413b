"""The EC2 provider keeps the contract, against an API that loses, repeats, refuses and forgets as the real one may."""

import gzip
import json
import os
import time
from datetime import timedelta

import pytest

from amasia import errors
from amasia.models.base import now
from amasia.models.locations import Place
from amasia.models.machines import MachineStatus
from amasia.providers.aws import AwsProvider
from amasia.providers.registry import open_place
from amasia.testing.providers import ProviderTests, make_boot, make_machine

TYPE, LARGER = "m7i.large", "m7i.xlarge"


@pytest.fixture
def place(ec2, tmp_path):
    return Place(
        workspace="demo",
        name="cloud",
        region="us-east-1",
        plane="0a1b2c3d4e5f",
        options={"subnets": list(ec2.subnets.values()), "price_list": False, "types": [TYPE, LARGER, "m7g.large"]},
        secrets={"access_key": "key", "secret_key": "secret"},
        home=tmp_path / "cloud",
    )


@pytest.fixture
def provider(place):
    return AwsProvider(place)


def with_options(place, **options):
    return place.model_copy(update={"options": place.options | options})


def machine(**changes):
    return make_machine(machine_type=TYPE, price=100_800, **changes)


def start(provider, wish):
    return provider.start(wish, make_boot(wish))


class TestAwsProvider(ProviderTests):
    precision = 2.0  # EC2 tells ends in whole seconds

    @pytest.fixture
    def provider(self, provider, ec2):
        self.ec2 = ec2
        return provider

    def machine(self, **changes):
        return machine(**changes)

    def count(self, provider, machine_id):
        return len(self.ec2.running(machine_id))

    def cut_power(self, provider, machine_id):
        self.ec2.end(self.ec2.running(machine_id)[0], "Client.InstanceInitiatedShutdown")


def test_everything_is_said_in_the_one_request(provider, ec2):
    wish = machine()
    start(provider, wish)
    made = ec2.running(wish.id)[0]
    tags = {tag["key"]: tag["value"] for tag in made.get_tags()}
    assert tags["amasia:machine"] == wish.id
    assert tags["amasia:place"] == provider.place.tag
    assert made.instance_initiated_shutdown_behavior == "terminate"
    assert made.metadata_options.http_tokens == "required"
    assert made.public_ip is None
    volume = next(iter(ec2.backend.volumes.values()))
    assert volume.encrypted
    assert {tag["key"] for tag in volume.get_tags()} >= {"amasia:machine", "amasia:place"}
    assert "CreateTags" not in ec2.calls
    text = gzip.decompress(ec2.user_data(made)).decode()
    assert wish.id in text
    assert text.startswith("#!/bin/sh")
    assert len(ec2.user_data(made)) < 16 * 1024


def test_no_room_in_a_zone_goes_on_to_the_next_and_then_to_the_next_type(provider, ec2):
    other = next(offer for offer in provider.offers() if offer.type == LARGER)
    wish = machine(alternatives=(other.model_copy(update={"price": 100_000}),))
    ec2.faults.no_room |= {(TYPE, "us-east-1a", False), (TYPE, "us-east-1b", False)}
    assert start(provider, wish)["zone"] == "us-east-1c"
    ec2.faults.no_room |= {(TYPE, "us-east-1c", False)}
    second = wish.model_copy(update={"id": "ma-2"})
    made = start(provider, second)
    assert (made["machine_type"], made["zone"]) == (LARGER, "us-east-1a")
    assert len(ec2.running()) == 2


def test_no_room_anywhere_is_unavailable_and_the_next_try_may_find_some(provider, ec2):
    wish = machine()
    ec2.faults.no_room |= {("*", zone, False) for zone in ec2.subnets}
    with pytest.raises(errors.Unavailable, match="no room"):
        start(provider, wish)
    assert ec2.calls["RunInstances"] == 3  # each zone once, and none again and again
    assert provider.find([wish]) == {}
    ec2.faults.no_room.clear()
    start(provider, wish)
    assert len(ec2.running(wish.id)) == 1


def test_spot_has_a_price_cap_and_falls_back_where_that_costs_no_more(provider, ec2):
    ec2.faults.no_room |= {("*", zone, True) for zone in ec2.subnets}
    dear = machine(spot=True, fallback=True).model_copy(update={"price": 40_000})
    with pytest.raises(errors.Unavailable):
        start(provider, dear)
    for fallback in (True, False):
        assert start(provider, machine(spot=True, fallback=fallback))["spot"] is False
    ec2.faults.no_room.clear()
    cheap = machine(spot=True).model_copy(update={"price": 40_000})
    assert start(provider, cheap)["spot"] is True
    assert "spot/instance-action" in gzip.decompress(ec2.user_data(ec2.running(cheap.id)[0])).decode()


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_an_answer_that_is_lost_after_the_start_makes_no_second_machine(provider, ec2, late):
    wish = machine()
    ec2.faults.lost, ec2.faults.late = 1, late
    with pytest.raises(errors.Unavailable, match="did not answer"):
        start(provider, wish)
    assert provider.find([wish])[wish.id].alive  # it may be there, listed or not
    later = AwsProvider(provider.place)
    again = later.start(wish, make_boot(wish, lease_until=now() + timedelta(hours=1)))
    assert ec2.launched[wish.id] == 1
    assert again["instance"]
    time.sleep(late + 0.2)
    assert [one.id for one in ec2.running(wish.id)] == [again["instance"]]


def test_a_request_that_arrives_twice_makes_one_machine(provider, ec2):
    wish = machine()
    ec2.faults.doubled = 1
    start(provider, wish)
    assert len(ec2.running(wish.id)) == 1


def test_a_stop_after_a_lost_answer_ends_what_is_listed_later(provider, ec2):
    wish = machine()
    ec2.faults.lost, ec2.faults.late = 1, 0.5
    with pytest.raises(errors.Unavailable):
        start(provider, wish)
    provider.stop(wish.id)
    assert provider.find([wish])[wish.id].alive  # so that nobody believes it gone
    time.sleep(0.8)
    provider.stop(wish.id)
    assert not provider.find([wish])[wish.id].alive
    assert ec2.running() == []


def test_without_its_notes_a_machine_is_found_by_its_tag(provider, ec2, tmp_path):
    wish = machine()
    made = start(provider, wish)
    elsewhere = AwsProvider(provider.place.model_copy(update={"home": tmp_path / "elsewhere"}))
    assert elsewhere.start(wish, make_boot(wish)) == made
    assert len(ec2.running(wish.id)) == 1


def test_a_second_instance_of_a_machine_is_ended_when_it_is_seen(provider, ec2, tmp_path):
    wish = machine()
    made = start(provider, wish)
    tags = [{"Key": "amasia:machine", "Value": wish.id}, {"Key": "amasia:place", "Value": provider.place.tag}]
    ec2.client("ec2").run_instances(
        ImageId=ec2.images["x86_64"], InstanceType=TYPE, MinCount=1, MaxCount=1, ClientToken="by hand",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}], SubnetId=ec2.subnets["us-east-1a"],
    )  # fmt: skip
    assert len(ec2.running(wish.id)) == 2
    assert provider.find(None)[wish.id].alive
    assert [one.id for one in ec2.running(wish.id)] == [made["instance"]]


def test_an_untagged_machine_is_a_finding_and_no_machine_of_ours(provider, ec2):
    wish = machine()
    ec2.faults.untagged = 1
    made = start(provider, wish)
    assert provider.find(None) == {}
    stray = provider.strays()[0]
    assert stray.subject == made["instance"]
    assert not stray.ok
    assert made["instance"] in stray.cure
    assert stray in provider.check()
    provider.stop(wish.id)  # its handle still names it
    assert ec2.running() == []
    assert provider.strays() == []


def test_a_machine_that_somebody_halted_is_over_and_its_disk_too(provider, ec2):
    wish = machine()
    made = start(provider, wish)
    ec2.client("ec2").stop_instances(InstanceIds=[made["instance"]])
    assert provider.find([wish])[wish.id].alive is False
    assert ec2.instances()[0]._state.name == "terminated"


def test_what_aws_took_back_is_said(provider, ec2):
    wish = machine(spot=True)
    start(provider, wish)
    ec2.end(ec2.running()[0], "Server.SpotInstanceTermination")
    assert "took it back" in provider.find([wish])[wish.id].reason


def test_others_machines_are_not_touched(provider, ec2):
    start(provider, machine())
    other = AwsProvider(provider.place.model_copy(update={"plane": "f" * 12}))
    assert other.find(None) == {}
    assert other.strays() == []


def test_a_quota_is_told_with_its_cure_and_may_pass(provider, ec2):
    ec2.faults.quota = 0
    with pytest.raises(errors.Unavailable, match="quota") as refused:
        start(provider, machine())
    assert "Service Quotas" in refused.value.cure


def test_throttling_is_unavailable_and_leaves_nothing(provider, ec2):
    wish = machine()
    provider.zones(), provider.offers(), provider.image("x86_64")
    ec2.faults.throttled = 10
    with pytest.raises(errors.Unavailable, match="fewer calls"):
        start(provider, wish)
    ec2.faults.throttled = 0
    start(provider, wish)
    assert len(ec2.running()) == 1


def test_a_refused_key_is_said_with_its_cure_and_never_shown(provider, ec2):
    ec2.faults.refused_keys = {"key"}
    with pytest.raises(errors.InvalidRequest, match="refuses the key") as refused:
        start(provider, machine())
    assert "secrets" in refused.value.cure
    assert "secret" not in repr(provider) + repr(provider.place).replace("secrets", "")


def test_a_type_that_the_region_lacks_is_refused_at_once(provider):
    with pytest.raises(errors.InvalidRequest, match=r"zz9\.large"):
        start(provider, machine().model_copy(update={"machine_type": "zz9.large"}))


def test_a_missing_right_is_a_finding_that_names_it(provider, ec2):
    ec2.faults.denied = {"TerminateInstances"}
    wrong = [one for one in provider.check() if not one.ok]
    assert [one.subject for one in wrong] == ["cloud"]
    assert "ec2:TerminateInstances" in wrong[0].what
    assert "location policy aws" in wrong[0].cure


def test_check_says_what_is_there(provider):
    found = provider.check()
    assert all(one.ok for one in found), found
    said = " ".join(one.what for one in found)
    for word in ("us-east-1", "3 subnets", "ami-", "64 vCPUs"):
        assert word in said


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"subnets": ["subnet-0"]}, "subnet-0"),
        ({"security_groups": ["sg-0"]}, "sg-0"),
        ({"instance_profile": "nobody"}, "nobody"),
        ({"types": ["m7i.large", "zz9.large"]}, "zz9.large"),
        ({"images": {"x86_64": "ami-0"}}, "ami-0"),
    ],
)
def test_what_is_missing_is_found_by_the_check(place, options, word):
    wrong = [one for one in AwsProvider(with_options(place, **options)).check() if not one.ok]
    assert wrong
    assert word in " ".join(one.what for one in wrong)
    assert all(one.cure for one in wrong)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"options": {}}, "subnets"),
        ({"options": {"subnets": ["s"], "subnet": "s"}}, "subnet"),
        ({"options": {"subnets": ["s"], "prices": {"m7i.large": "cheap"}}}, "prices"),
        ({"region": "here"}, "region"),
        ({"secrets": {"access_key": "k"}}, "secret_key"),
        ({"secrets": {"hello": "k"}}, "hello"),
    ],
)
def test_wrong_options_and_secrets_are_named(place, changes, word):
    with pytest.raises(errors.InvalidRequest, match=word):
        open_place("aws", place.model_copy(update=changes))


def test_a_role_is_assumed_with_its_external_id(place, ec2):
    provider = AwsProvider(with_options(place, role="arn:aws:iam::123456789012:role/amasia", external_id="x1"))
    start(provider, machine())
    assert ec2.calls["AssumeRole"] == 1
    assert "assumed-role/amasia" in provider.check()[0].what


def test_prices_are_the_options_then_the_list_then_the_seed_and_never_guessed(place, ec2):
    ec2.prices[LARGER] = "0.2200000001"
    asked = with_options(place, price_list=True, prices={TYPE: "0.5"}, types=[TYPE, LARGER, "m7g.large", "t3.nano"])
    found = {offer.type: offer for offer in AwsProvider(asked).offers()}
    assert (found[TYPE].price, found[TYPE].price_source) == (500_000, "the location's options")
    assert found[LARGER].price == 220_001
    assert "price list" in found[LARGER].price_source
    assert found["m7g.large"].price == 81_600
    assert "2025-01" in found["m7g.large"].price_source
    assert found["t3.nano"].price is None
    assert found["m7g.large"].arch == "aarch64"
    asked_before = ec2.calls["GetProducts"]
    AwsProvider(asked).offers()
    assert ec2.calls["GetProducts"] == asked_before  # once a day


def test_without_a_price_list_the_last_one_holds(place, ec2):
    asked = with_options(place, price_list=True)
    ec2.prices[TYPE] = "0.11"
    AwsProvider(asked).offers()
    ec2.faults.denied = {"GetProducts"}
    ec2.prices.clear()
    assert {offer.type: offer.price for offer in AwsProvider(asked).offers()}[TYPE] == 110_000


def test_gpus_are_offered_with_their_model(place):
    offers = AwsProvider(with_options(place, types=["g5.xlarge"])).offers()
    assert (offers[0].gpus, offers[0].gpu) == (1, "a10g")


def test_requests_are_kept_by_their_owner_alone_and_forgotten_with_their_answer(provider, ec2):
    wish = machine()
    ec2.faults.lost = 1
    with pytest.raises(errors.Unavailable):
        start(provider, wish)
    kept = provider.place.home / "launches" / f"{wish.id}.json"
    assert "UserData" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    start(provider, wish)
    assert "UserData" not in kept.read_text()


def test_old_notes_are_removed_by_the_sweep(provider, ec2):
    over, alive = machine(), machine()
    for wish in (over, alive):
        start(provider, wish)
    provider.stop(over.id)
    ec2.backend.reservations.popitem(last=False)  # as AWS forgets what ended an hour ago
    for path in (provider.place.home / "launches").iterdir():
        os.utime(path, (0, 0))
    provider.find(None)
    assert {path.stem for path in (provider.place.home / "launches").iterdir()} == {alive.id}


def test_the_console_is_read(provider, ec2):
    wish = machine()
    wish = wish.model_copy(update={"handle": start(provider, wish)})
    ec2.consoles = lambda _: "boot: again in 4 s: install\n"
    assert provider.console(wish) == "boot: again in 4 s: install\n"
    assert provider.console(machine(status=MachineStatus.requested)) == ""


def test_seed_prices_grow_with_their_size():
    from amasia.providers.aws_offers import TYPES, seed_price

    assert seed_price("us-east-1", "m7i.8xlarge") == 16 * seed_price("us-east-1", "m7i.large")
    assert all(seed_price("us-east-1", name) for name in TYPES)
    assert seed_price("eu-central-1", "m7i.large") is None
    assert seed_price("us-east-1", "x9.metal") is None


def test_the_policy_names_what_is_called(provider, ec2):
    from amasia.models.policies import aws as policy

    start(provider, machine())
    provider.check()
    granted = {action.split(":")[1] for each in policy()["Statement"] for action in each["Action"]}
    needless = {"CreateVpc", "CreateSubnet", "RegisterImage", "GetCallerIdentity"}  # the stage's own, and free for all
    assert set(ec2.calls) - needless <= granted
    assert json.dumps(policy("eu-central-1", "arn:aws:iam::1:role/r")).count("iam:PassRole") == 1
