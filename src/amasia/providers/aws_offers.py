"""EC2's machine types and what they cost: by the administrator's word, AWS's price list, or a dated list of our own."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from amasia import errors
from amasia.models import homes
from amasia.models.base import Model, Time, now
from amasia.models.locations import Arch, Offer
from amasia.providers.aws_calls import Calls, told

SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge")
TYPES = (
    *(f"{family}.{size}" for family in ("c7i", "m7i", "r7i", "c7g", "m7g", "r7g") for size in SIZES),
    *("g5.xlarge", "g5.2xlarge", "g6.xlarge", "g6.2xlarge"),
)
"""Offered where the options say nothing: general, computing and big-memory machines, x86 and ARM; and GPUs."""
SYSTEM = 512 << 20
"""Bytes that the system and the agent keep for themselves."""
SEED_DATE = "2025-01"
SEED_REGIONS = ("us-east-1", "us-west-2")
"""Where AWS's list had the prices below; elsewhere a price is unknown until AWS or the administrator tells it."""
SEED_PER_CPU = {"c7i": 44_625, "m7i": 50_400, "r7i": 66_150, "c7g": 36_250, "m7g": 40_800, "r7g": 53_550}
"""Micro-dollars per vCPU and hour of families whose sizes cost in proportion."""
SEED = {"g5.xlarge": 1_006_000, "g5.2xlarge": 1_212_000, "g6.xlarge": 804_800, "g6.2xlarge": 977_600}
PRICE_LIST_REGIONS = {"us": "us-east-1", "eu": "eu-central-1", "ap": "ap-south-1"}
"""AWS's price list is served in three regions."""
FRESH = timedelta(hours=24)


class PriceList(Model):
    """What AWS's price list said last; kept on disk."""

    at: Time
    prices: dict[str, int]


class Market:
    """The offers of one region, in the zones that a location uses."""

    def __init__(
        self, calls: Calls, types: Sequence[str], prices: dict[str, int], home: Path, *, ask_prices: bool
    ) -> None:
        self.calls, self.types, self.prices = calls, types or TYPES, prices
        self.file, self.ask_prices = home / "prices.json", ask_prices
        self._known: dict[str, Offer] = {}

    def offers(self, zones: Iterable[str]) -> list[Offer]:
        """Every type with its prices as they are now."""
        here = set(zones)
        found = self._types()
        names = [one["InstanceType"] for one in found]
        where = self._zones(names)
        spot = self._spot(names, here)
        listed = self._listed(names)
        offers = [
            _offer(
                one, self._price(one["InstanceType"], listed), spot, tuple(sorted(where[one["InstanceType"]] & here))
            )
            for one in found
            if where.get(one["InstanceType"], set()) & here
        ]
        self._known |= {offer.type: offer for offer in offers}
        return sorted(
            offers, key=lambda offer: (offer.gpus, offer.price is None, offer.price, offer.memory, offer.type)
        )

    def get(self, name: str, zones: Iterable[str]) -> Offer:
        """One type.

        Raises
        ------
        InvalidRequest
            The region, or every zone that is used there, lacks it.
        """
        if name not in self._known:
            self.offers(zones)
        if name not in self._known:
            raise errors.InvalidRequest(
                f"The machine type {name!r} cannot be had in the zones of this location in {self.calls.region}.",
                cure="See what can be had: amasia location show.",
            )
        return self._known[name]

    def missing(self) -> list[str]:
        """Types of the options that this region does not have."""
        if self.types is TYPES:
            return []
        have = [one["InstanceType"] for one in self._types()]
        return [wish for wish in self.types if not any(fnmatchcase(name, wish) for name in have)]

    def _types(self) -> list[dict[str, Any]]:
        """Of the region; a filter, unlike a list of names, lets those pass that it does not have."""
        wanted = [{"Name": "instance-type", "Values": list(self.types)}]
        return list(self.calls.pages("describe_instance_types", "InstanceTypes", Filters=wanted))

    def _zones(self, names: list[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        wanted = [{"Name": "instance-type", "Values": names}]
        pages = self.calls.pages(
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=wanted,
        )
        for one in pages:
            found.setdefault(one["InstanceType"], set()).add(one["Location"])
        return found

    def _spot(self, names: list[str], zones: set[str]) -> dict[str, int]:
        """By type, in the dearest zone that is used: what is paid for in advance is to be enough in each."""
        found: dict[tuple[str, str], tuple[datetime, int]] = {}
        with contextlib.suppress(errors.AmasiaError):  # machines start without it; `check` tells why
            for one in self.calls.pages(
                "describe_spot_price_history",
                "SpotPriceHistory",
                InstanceTypes=names,
                ProductDescriptions=["Linux/UNIX"],
                StartTime=now(),
            ):
                key, price = (one["InstanceType"], one["AvailabilityZone"]), micros(one["SpotPrice"])
                if key[1] in zones:
                    found[key] = max(found.get(key, (one["Timestamp"], price)), (one["Timestamp"], price))
        dearest: dict[str, int] = {}
        for (name, _), (_, price) in found.items():
            dearest[name] = max(dearest.get(name, 0), price)
        return dearest

    def _listed(self, names: list[str]) -> PriceList | None:
        """AWS's price list, read anew once a day; the last one where it cannot be read."""
        kept = homes.read(self.file, PriceList)
        if not self.ask_prices or (kept and now() - kept.at < FRESH and set(names) <= set(kept.prices)):
            return kept
        try:
            read = PriceList(at=now(), prices=price_list(self.calls, names))
        except errors.AmasiaError:
            return kept
        self.file.parent.mkdir(parents=True, exist_ok=True)
        homes.write(self.file, read)
        return read

    def _price(self, name: str, listed: PriceList | None) -> tuple[int | None, str]:
        if name in self.prices:
            return self.prices[name], "the location's options"
        if listed and listed.prices.get(name):
            return listed.prices[name], f"AWS price list, read {listed.at:%Y-%m-%d}"
        seed = seed_price(self.calls.region, name)
        if seed is not None:
            return seed, f"seed list of {SEED_DATE}; compare with AWS"
        return None, "unknown: give it in the options, or allow pricing:GetProducts"


def seed_price(region: str, name: str) -> int | None:
    """Micro-dollars per hour on demand, as they were at `SEED_DATE`."""
    if region not in SEED_REGIONS:
        return None
    family, _, size = name.partition(".")
    cpus = {"large": 2, "xlarge": 4}.get(size) or 4 * int(size.removesuffix("xlarge") or 0 if size[:1].isdigit() else 0)
    return SEED.get(name) or (SEED_PER_CPU.get(family, 0) * cpus or None)


def price_list(calls: Calls, names: Iterable[str]) -> dict[str, int]:
    """What AWS's price list says of Linux machines on demand; 0 for a type that it does not have.

    Raises
    ------
    Unavailable, InvalidRequest
        It does not answer, or the key may not ask.
    """
    home = PRICE_LIST_REGIONS.get(calls.region.split("-")[0], "us-east-1")
    client = calls.client("pricing", region=home)
    prices = {}
    for name in names:
        wanted = {
            "regionCode": calls.region,
            "instanceType": name,
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
        }
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        with told("pricing:GetProducts"):
            answer = client.get_products(ServiceCode="AmazonEC2", Filters=filters)
        prices[name] = max((_listed_price(json.loads(text)) for text in answer["PriceList"]), default=0)
    return prices


def _listed_price(product: dict[str, Any]) -> int:
    terms = product.get("terms", {}).get("OnDemand", {}).values()
    hours = [part for term in terms for part in term["priceDimensions"].values() if part["unit"] == "Hrs"]
    return max((micros(part["pricePerUnit"]["USD"]) for part in hours if "USD" in part["pricePerUnit"]), default=0)


def micros(text: str) -> int:
    """AWS writes ten decimals; what is beyond a micro-dollar is rounded up."""
    return int((Decimal(text) * 1_000_000).to_integral_value(ROUND_UP))


def _offer(one: dict[str, Any], price: tuple[int | None, str], spot: dict[str, int], zones: tuple[str, ...]) -> Offer:
    arch: Arch = "aarch64" if "arm64" in one["ProcessorInfo"]["SupportedArchitectures"] else "x86_64"
    gpus = one.get("GpuInfo", {}).get("Gpus", [])
    can_be_spot = "spot" in one.get("SupportedUsageClasses", ["spot"])
    return Offer(
        type=one["InstanceType"],
        cpus=one["VCpuInfo"]["DefaultVCpus"],
        memory=(one["MemoryInfo"]["SizeInMiB"] << 20) - SYSTEM,
        price=price[0],
        price_source=price[1],
        arch=arch,
        gpus=sum(gpu["Count"] for gpu in gpus),
        gpu=gpus[0]["Name"].lower() if gpus else "",
        spot_price=spot.get(one["InstanceType"]) if can_be_spot else None,
        zones=zones,
    )
