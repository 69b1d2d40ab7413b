"""Azure's machine types, and what they cost by a dated list of our own. Names are in lower case, as ours all are."""

import re
from typing import Any

from amasia.models.locations import Arch, Offer
from amasia.models.sizes import GIB
from amasia.providers.markets import SYSTEM, Seed

TYPES = tuple(
    name
    for size in (2, 4, 8, 16, 32)
    for name in (
        f"standard_d{size}s_v5",
        f"standard_e{size}s_v5",
        f"standard_d{size}as_v5",
        f"standard_e{size}as_v5",
        f"standard_d{size}ps_v5",
    )
)
"""Offered where the options say nothing: general and big-memory machines, x86 and ARM."""
SEED_DATE = "2025-01"
SEED_REGIONS = ("eastus",)
"""Where Azure's list had the prices below; elsewhere a price is unknown until the administrator tells it."""
SEED_PER_CPU = {"ds_v5": 48_000, "es_v5": 63_000, "das_v5": 43_000, "eas_v5": 56_500, "dps_v5": 38_500}
"""Micro-dollars per vCPU and hour of families whose sizes cost in proportion."""


def is_machine(sku: Any, region: str) -> bool:
    """Whether it is a machine type that this subscription may have in this region."""
    if sku["resourceType"] != "virtualMachines" or region not in [each.lower() for each in sku["locations"]]:
        return False
    return not any(one["type"] == "Location" for one in sku.get("restrictions") or ())


def offer_of(sku: Any, zones: list[str]) -> Offer | None:
    """A machine type as Azure lists it; None where no zone of those that are wanted has it."""
    here = zones_of(sku) & set(zones)
    if zones and not here:
        return None
    can = capabilities(sku)
    arch: Arch = "aarch64" if can.get("CpuArchitectureType") == "Arm64" else "x86_64"
    return Offer(
        type=sku["name"].lower(),
        cpus=float(can.get("vCPUsAvailable", can["vCPUs"])),
        memory=int(float(can["MemoryGB"]) * GIB) - SYSTEM,
        price=None,
        arch=arch,
        gpus=int(can.get("GPUs", 0)),
        gpu=_gpu(sku["name"]),
        zones=tuple(sorted(here)),
    )


def zones_of(sku: Any) -> set[str]:
    """That have it, and in which this subscription may use it."""
    have = {zone for one in sku.get("locationInfo") or () for zone in one.get("zones") or ()}
    refused = {
        zone
        for one in sku.get("restrictions") or ()
        for zone in (one.get("restrictionInfo") or {}).get("zones") or ()
        if one["type"] == "Zone"
    }
    return have - refused


def capabilities(sku: Any) -> dict[str, str]:
    return {one["name"]: one["value"] for one in sku.get("capabilities") or ()}


def seed_price(region: str, offer: Offer) -> Seed | None:
    """As it was at `SEED_DATE`."""
    found = re.fullmatch(r"standard_([a-z])(\d+)([a-z]*_v\d)", offer.type)
    rate = SEED_PER_CPU.get(found[1] + found[3]) if found else None
    if rate is None or region not in SEED_REGIONS:
        return None
    return Seed(round(offer.cpus * rate), None, SEED_DATE)


def _gpu(name: str) -> str:
    """Azure names the model in the type: ``Standard_NC4as_T4_v3``."""
    found = re.fullmatch(r"Standard_N\w*?_(\w+?)_v\d", name)
    return found[1].lower() if found else ""
