"""Google's machine types, and what they cost by a dated list of our own."""

from hashlib import sha256
from typing import Any, NamedTuple

from amasia.models.locations import Arch, Offer
from amasia.models.sizes import GIB
from amasia.providers.markets import SYSTEM, Seed

TYPES = tuple(
    f"{family}-{size}"
    for family in ("e2-standard", "e2-highmem", "n2-standard", "n2-highmem", "n2-highcpu")
    for size in (2, 4, 8, 16, 32)
)
"""Offered where the options say nothing: general, big-memory and computing machines."""
SEED_DATE = "2025-01"
SEED_REGIONS = ("us-central1", "us-east1", "us-west1")
"""Where Google's list had the prices below; elsewhere a price is unknown until the administrator tells it."""
SPOT_PERCENT = 40
"""Of the price on demand: Google says that spot machines of these families cost at least 60 % less, and how much
less changes. So this is the most that they cost."""


class Rate(NamedTuple):
    """Nano-dollars per hour."""

    cpu: int
    gib: int


SEED = {
    "e2": Rate(21_811_590, 2_923_530),
    "n2": Rate(31_611_000, 4_237_000),
    "n2d": Rate(27_502_000, 3_686_000),
}


def mark(tag: str) -> str:
    """A place's tag as a label can hold it."""
    return sha256(tag.encode()).hexdigest()[:32]


def offer_of(one: Any, zones: tuple[str, ...]) -> Offer:
    """A machine type as Google lists it."""
    arch: Arch = "aarch64" if one.architecture == "ARM64" else "x86_64"
    gpus = list(one.accelerators)
    return Offer(
        type=one.name,
        cpus=one.guest_cpus,
        memory=(one.memory_mb << 20) - SYSTEM,
        price=None,
        arch=arch,
        gpus=sum(gpu.guest_accelerator_count for gpu in gpus),
        gpu=gpus[0].guest_accelerator_type.removeprefix("nvidia-") if gpus else "",
        zones=zones,
    )


def seed_price(region: str, offer: Offer) -> Seed | None:
    """As it was at `SEED_DATE`: so much for each vCPU and GiB of a family. Shared cores are counted in another way."""
    family, _, rest = offer.type.partition("-")
    rate = SEED.get(family)
    shared = not rest.startswith(("standard-", "highmem-", "highcpu-"))
    if rate is None or region not in SEED_REGIONS or shared or offer.gpus:
        return None
    gib = (offer.memory + SYSTEM) / GIB
    price = -(-round(offer.cpus * rate.cpu + gib * rate.gib) // 1000)
    return Seed(price, -(-price * SPOT_PERCENT // 100), SEED_DATE)
