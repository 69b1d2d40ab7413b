"""The placement table: a dataset in one location, machines offered in five, and the right choice in each case."""
# ruff: noqa: E501  # a table is read by its rows

import pytest

from amasia import errors
from amasia.models.locations import Finding, Location, LocationStatus, Offer
from amasia.models.placements import Data, Wants
from amasia.services.placements import Asked, choose, place

GIB = 1 << 30
CENT = 10_000


def offer(type_, cpus, gib, price, **more):
    """Prices in cents per hour."""
    spot = more.pop("spot", None)
    return Offer(
        type=type_, cpus=cpus, memory=gib * GIB, price=None if price is None else price * CENT,
        spot_price=None if spot is None else spot * CENT, price_source="test", **more,
    )  # fmt: skip


def location(name, region, *offers, **more):
    return Location(workspace="lab", name=name, provider="test", region=region, offers=offers, **more)


FIVE = [
    location("local", "here", offer("c2-m8", 2, 8, 5), max_machines=4),
    location("campus", "campus", offer("node", 8, 64, 8), offer("fat", 16, 512, 40), max_machines=10),
    location(
        "frankfurt", "eu-central-1",
        offer("m-small", 2, 8, 10, spot=4), offer("m-large", 8, 32, 38, spot=15), offer("arm", 4, 16, 12, arch="aarch64"),
        offer("g-one", 8, 32, 60, spot=25, gpus=1, gpu="t4"), max_machines=1000,
    ),
    location(
        "virginia", "us-east-1",
        offer("m-small", 2, 8, 9, spot=3), offer("m-large", 8, 32, 34, spot=12), offer("g-one", 8, 32, 53, gpus=1, gpu="t4"),
        offer("g-four", 32, 128, 200, gpus=4, gpu="a10g"), offer("strange", 64, 256, None), max_machines=1000,
    ),
    location("tokyo", "asia-northeast1", offer("n-small", 2, 8, 11, spot=2), offer("n-fat", 32, 1024, 300)),
]  # fmt: skip
"""Machines in five locations."""

SMALL = Wants(cpus=1, memory=4 * GIB)


def data(region="eu-central-1", gib=100, price=9):
    return Data(name="lab/era5", region=region, nbytes=gib * GIB, egress_price=None if price is None else price * CENT)


def wants(cpus=1.0, gib=4, **more):
    return Wants(cpus=cpus, memory=gib * GIB, **more)


CASES = {
    # what: (workers, wants, what else is said, the location, the worker's type)
    "nothing said: the cheapest": (1, wants(), {}, "local", "c2-m8"),
    "more machines than the cheapest may have": (4, wants(), {}, "campus", "node"),
    "more machines than two may have": (20, wants(), {}, "virginia", "m-small"),
    "big memory: the cheapest that has it": (1, wants(gib=100), {}, "campus", "fat"),
    "memory that one location has": (1, wants(gib=600), {}, "tokyo", "n-fat"),
    "many cores, and no GPU is paid for that nobody asked for": (1, wants(cpus=32), {}, "tokyo", "n-fat"),
    "data in Frankfurt, few machines: beside the data": (2, wants(), {"data": data()}, "frankfurt", "m-small"),
    "little data: not worth the way": (2, wants(), {"data": data(gib=1, price=1)}, "local", "c2-m8"),
    "data in Virginia": (2, wants(), {"data": data("us-east-1")}, "virginia", "m-small"),
    "data in Tokyo: dear machines beat dear egress": (2, wants(), {"data": data("asia-northeast1")}, "tokyo", "n-small"),
    "data at home": (2, wants(), {"data": data("here")}, "local", "c2-m8"),
    "data at home, too many machines for it, egress free": (20, wants(), {"data": data("here", price=0)}, "virginia", "m-small"),
    "egress unknown: by machines, the data's place at the same price": (2, wants(), {"data": data(price=None)}, "local", "c2-m8"),
    "data in a region without machines": (2, wants(), {"data": data("mars")}, "local", "c2-m8"),
    "a big cluster: egress is less than the difference": (900, wants(), {"data": data(gib=50, price=9)}, "virginia", "m-small"),
    "a small cluster: egress is more than the difference": (40, wants(), {"data": data(gib=50, price=9)}, "frankfurt", "m-small"),
    "policy: Europe only": (1, wants(), {"regions": ["eu-central-1"]}, "frankfurt", "m-small"),
    "policy: campus or Tokyo": (1, wants(), {"regions": ["campus", "asia-northeast1"]}, "campus", "node"),
    "policy keeps data's place out": (1, wants(), {"data": data(), "regions": ["us-east-1"]}, "virginia", "m-small"),
    "a GPU: the cheapest with one": (1, wants(gpus=1), {}, "virginia", "g-one"),
    "a GPU beside the data": (1, wants(gpus=1), {"data": data()}, "frankfurt", "g-one"),
    "four GPUs": (1, wants(gpus=4), {}, "virginia", "g-four"),
    "ARM": (1, wants(arch="aarch64"), {}, "frankfurt", "arm"),
    "a type by name": (1, wants(machine_types=("m-large",)), {}, "virginia", "m-large"),
    "several types by name": (1, wants(machine_types=("n-fat", "fat")), {}, "campus", "fat"),
    "only spot: the scheduler, which never is, counts too": (1, wants(spot="yes"), {}, "virginia", "m-small"),
    "only spot, more workers: the lowest spot price": (3, wants(spot="yes"), {}, "tokyo", "n-small"),
    "spot with a GPU is had in one place": (1, wants(gpus=1, spot="yes"), {}, "frankfurt", "g-one"),
    "spot or else: reserved at the full price": (1, wants(spot="fallback"), {}, "local", "c2-m8"),
    "room was used up at home": (1, wants(), {"room": {"local": 1, "campus": 0}}, "virginia", "m-small"),
    "the budget holds no GPU beside the data": (1, wants(gpus=1), {"data": data(gib=1), "rate": 62 * CENT}, "virginia", "g-one"),
    "the cheapest is not ready": (1, wants(), {"failed": "local"}, "campus", "node"),
    "a type without a price is never taken": (1, wants(cpus=64), {}, errors.TooLarge, "strange"),
    "what nobody has": (1, wants(gib=5000), {}, errors.TooLarge, ""),
    "what policy forbids everywhere": (1, wants(), {"regions": ["mars"]}, errors.PermissionDenied, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_choice_is_right(case):
    count, worker, said, expected, type_ = CASES[case]
    said = dict(said)
    failed = said.pop("failed", "")
    five = [one.model_copy(update={"status": LocationStatus.failed}) if one.name == failed else one for one in FIVE]
    asked = [Asked("The scheduler", Wants(arch=worker.arch), 1), Asked("Each worker", worker, count)]
    if isinstance(expected, str):
        placement, (_, choice) = place(asked, five, **said)
        assert (placement.location, choice.offer.type) == (expected, type_)
        assert placement.location in placement.why
        return
    with pytest.raises(expected):
        place(asked, five, **said)


def test_it_says_what_egress_it_avoided_and_what_it_incurs():
    asked = [Asked("Each worker", SMALL, 2)]
    beside, _ = place(asked, FIVE, data=data(gib=100, price=9))
    assert beside.egress == 0
    assert beside.avoided == 900 * CENT
    assert "beside the 100.0 GiB of lab/era5" in beside.why
    away, _ = place(asked, FIVE, data=data(gib=100, price=9), regions=["us-east-1"])
    assert away.egress == 900 * CENT
    assert "9.00 EUR to read the 100.0 GiB of lab/era5 from eu-central-1 once" in away.why


def test_a_refusal_says_for_each_location_why():
    with pytest.raises(errors.TooLarge) as told:
        place([Asked("Each worker", wants(gib=5000), 1)], FIVE)
    for one in FIVE:
        assert one.name in str(told.value)
    assert told.value.cure


def test_a_location_that_is_not_ready_says_what_is_wrong_there():
    broken = FIVE[0].model_copy(
        update={
            "status": LocationStatus.failed,
            "findings": (Finding(subject="local", what="its key is refused", ok=False, cure="Send another."),),
        }
    )
    with pytest.raises(errors.Unavailable, match="its key is refused"):
        place([Asked("Each worker", SMALL, 1)], [broken])


def test_spot_with_a_fallback_reserves_the_full_price_and_plain_spot_its_own():
    frankfurt = FIVE[2]
    assert choose(frankfurt, wants(spot="yes"), "It").price == 4 * CENT
    both = choose(frankfurt, wants(spot="fallback"), "It")
    assert (both.price, both.spot) == (10 * CENT, "fallback")


def test_alternatives_never_cost_more_and_the_next_best_is_found_without_them():
    virginia = location("v", "v", offer("a", 2, 8, 9), offer("b", 4, 8, 9), offer("c", 8, 32, 34))
    first = choose(virginia, SMALL, "It")
    assert first.offer.type == "a"
    assert [one.type for one in first.alternatives] == ["b"]
    assert choose(virginia, SMALL, "It", without=("a", "b")).offer.type == "c"
    with pytest.raises(errors.TooLarge):
        choose(virginia, SMALL, "It", without=("a", "b", "c"))
