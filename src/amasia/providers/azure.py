"""Machines on Azure: one named VM for each, whose disk and network interface are made with it and go with it.

Azure has no auto-terminate, and a guest that shuts itself down goes on costing until it is deleted. So what is seen
stopped is deleted at once.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import Field

from amasia import errors
from amasia.models.base import now
from amasia.models.locations import Finding, Offer, Place
from amasia.models.machines import Machine
from amasia.providers import azure_checks, clouds, options
from amasia.providers.azure_calls import ROOM, SECRETS, Calls, Failed, problem, told, translate
from amasia.providers.azure_offers import TYPES, capabilities, is_machine, offer_of, seed_price
from amasia.providers.clouds import MACHINE, PLACE, Choice, Cloud, CloudOptions, End, Outcome, Problem, Seen
from amasia.providers.markets import Seed

IMAGES = {
    "x86_64": "Canonical:ubuntu-24_04-lts:server:latest",
    "aarch64": "Canonical:ubuntu-24_04-lts:server-arm64:latest",
}
OVER = ("PowerState/stopped", "PowerState/deallocated", "PowerState/deallocating")
"""``stopped`` is what a guest leaves that shut itself down: not deallocated, and so not free."""
NOTICE = """\
curl -fsS -m 2 -H 'Metadata: true' 'http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01' |
grep -q '"EventType" *: *"Preempt"' && date -u -d '+30 seconds' +%Y-%m-%dT%H:%M:%SZ"""
"""Azure gives thirty seconds."""
CUSTOM_DATA = 65_535
"""Bytes that Azure takes."""


class AzureOptions(CloudOptions):
    """The keys of its file, without `[secrets]`."""

    subscription: str = Field(pattern=r"^[0-9A-Za-z-]+$")
    resource_group: str = Field(pattern=r"^[\w.()-]+$")
    """Of its own, best: the location's key then needs rights in no other."""
    subnet: str = Field(pattern=r"^/subscriptions/.+/subnets/[^/]+$")
    """Its resource id."""
    security_group: str = ""
    """Resource id; empty where the subnet has one."""
    identity: str = ""
    """Resource id of a user-assigned identity whose rights the machines, and all who run on them, have."""
    disk_type: str = "StandardSSD_LRS"
    authority: str = Field(default="", pattern=r"^(https://[A-Za-z0-9.:\[\]-]+)?$")
    """Where tokens come from, where it is not the public cloud."""
    tags: dict[str, str] = {}
    """More tags, for the bill."""


class AzureProvider(Cloud):
    """Azure's virtual machines in one resource group and region, as one place sees it."""

    name = "azure"
    types = TYPES
    notice = NOTICE

    def __init__(self, place: Place) -> None:
        self.options = options.read(AzureOptions, place, self.name)
        options.check_secrets(place, together=SECRETS)
        super().__init__(place, self.options)
        said = self.options
        self.calls = Calls(place, said.subscription, said.endpoint, said.authority)
        self.group = said.resource_group
        self._skus: dict[str, Any] = {}

    def zones(self) -> Sequence[str]:
        return self.options.zones or ("",)

    def types_here(self) -> Iterable[Offer]:
        region = self.place.region.lower()
        with told("Microsoft.Compute/skus/read"):
            skus = list(self.calls.compute.resource_skus.list(filter=f"location eq '{region}'"))
        found = {sku["name"].lower(): sku for sku in skus if is_machine(sku, region)}
        self._skus = {name: sku for name, sku in found.items() if self.market.wants(name)}
        offers = (offer_of(sku, self.options.zones) for sku in self._skus.values())
        return [offer for offer in offers if offer is not None]

    def seed(self, offer: Offer) -> Seed | None:
        return seed_price(self.place.region.lower(), offer)

    def request(self, machine: Machine, choice: Choice, name: str, script: str) -> dict[str, Any]:
        return {
            "name": name,
            "zone": choice.zone,
            "machine_type": choice.offer.type,
            "spot": choice.spot,
            "vm": self._vm(machine, choice, name, script),
        }

    def send(self, request: dict[str, Any]) -> Seen:
        action, name = "Microsoft.Compute/virtualMachines/write", request["name"]
        try:
            self.calls.machines.begin_create_or_update(
                self.group,
                name,
                request["vm"],
                match_condition=MatchConditions.IfMissing,
                polling=False,
                retry_total=0,
            )
        except AzureError as error:
            if not isinstance(error, HttpResponseError) or error.status_code not in (409, 412):
                raise problem(error, action) from error
            if self.look(request) is None:
                raise problem(error, action) from error
        end = monotonic() + clouds.PATIENCE
        while (seen := self._patiently(request)) is None or not seen.made:
            if monotonic() > end:
                return seen or self._begun(request)
            sleep(0.5)
        if not seen.no_room:
            return seen
        self.delete(name, "")
        raise Problem(Outcome.room, errors.NoCapacity(seen.reason, cure="It is tried again."))

    def listed(self, machine_id: str | None) -> Iterable[Seen]:
        """Azure lists no power states: each one is asked for its own."""
        with told("Microsoft.Compute/virtualMachines/read"):
            ours = [
                vm
                for vm in self.calls.machines.list(self.group)
                if (vm.get("tags") or {}).get(PLACE) == self.place.tag
                and machine_id in (None, (vm.get("tags") or {}).get(MACHINE))
            ]
        if len(ours) < 2:
            looked = [self._get(vm["name"]) for vm in ours]
        else:
            with ThreadPoolExecutor(min(8, len(ours))) as pool:
                looked = list(pool.map(self._get, [vm["name"] for vm in ours]))
        return [_seen(vm) for vm in looked if vm is not None]

    def look(self, known: dict[str, Any]) -> Seen | None:
        vm = self._get(known["name"])
        return None if vm is None else _seen(vm)

    def ended(self, known: dict[str, Any]) -> End | None:
        """Azure forgets a VM with its deletion."""
        reason = "Azure took it back (spot), or somebody deleted it" if known["spot"] else "somebody deleted it"
        return End(now(), reason)

    def delete(self, name: str, zone: str) -> None:
        try:
            self.calls.machines.begin_delete(self.group, name, force_deletion=True, polling=False)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            if getattr(error, "status_code", 0) != 409:  # it is being made or deleted: then it is tried again
                raise translate(error, "Microsoft.Compute/virtualMachines/delete") from error

    def check(self) -> list[Finding]:
        return azure_checks.check(self.place.name, self.calls, self.market, self.group, self.place.region)

    def console(self, machine: Machine) -> str:
        known = machine.handle or self.launches.get(machine.id).handle
        if not known:
            return ""
        try:
            data = self.calls.machines.retrieve_boot_diagnostics_data(self.group, known["name"])
            uri = data["serialConsoleLogBlobUri"]
            with urlopen(uri, timeout=10) as answer:  # noqa: S310 (Azure's own word, signed)
                return str(answer.read(1 << 20).decode(errors="replace"))
        except (AzureError, OSError, KeyError):
            return ""

    # --- one request -------------------------------------------------------------------------------------------------

    def _name(self, machine_id: str, tries: int) -> str:
        """One for each try: a VM cannot move to another zone, and one that failed takes a while to go."""
        return f"{super()._name(machine_id, tries)}-{tries}"

    def _vm(self, machine: Machine, choice: Choice, name: str, script: str) -> dict[str, Any]:
        """Everything at once: VM, network interface and disk, with their marks."""
        said, offer = self.options, choice.offer
        can = capabilities(self._sku(offer))
        properties: dict[str, Any] = {
            "hardwareProfile": {"vmSize": self._sku(offer)["name"]},
            "storageProfile": {
                "imageReference": self._image(offer),
                "osDisk": {
                    "createOption": "FromImage",
                    "deleteOption": "Delete",
                    "diskSizeGB": said.disk_gib,
                    "managedDisk": {"storageAccountType": said.disk_type},
                },
            },
            "osProfile": {
                "computerName": name,
                "adminUsername": "amasia",
                "customData": _pack(script),
                "linuxConfiguration": {
                    "disablePasswordAuthentication": True,
                    "ssh": {"publicKeys": [{"path": "/home/amasia/.ssh/authorized_keys", "keyData": _key()}]},
                },
            },
            "networkProfile": {"networkApiVersion": "2022-11-01", "networkInterfaceConfigurations": [self._card()]},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        }
        if offer.arch == "x86_64" and can.get("TrustedLaunchDisabled") != "True" and not offer.gpus:
            uefi = {"secureBootEnabled": True, "vTpmEnabled": True}
            properties["securityProfile"] = {"securityType": "TrustedLaunch", "uefiSettings": uefi}
        if choice.spot:
            most = {"maxPrice": machine.price / 1_000_000}
            properties |= {"priority": "Spot", "evictionPolicy": "Delete", "billingProfile": most}
        vm: dict[str, Any] = {
            "location": self.place.region,
            "tags": said.tags | {MACHINE: machine.id, PLACE: self.place.tag},
            "properties": properties,
        }
        if choice.zone:
            vm["zones"] = [choice.zone]
        if said.identity:
            vm["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {said.identity: {}}}
        return vm

    def _card(self) -> dict[str, Any]:
        said = self.options
        address: dict[str, Any] = {"primary": True, "subnet": {"id": said.subnet}}
        if said.public_ip:
            outside = {"deleteOption": "Delete", "publicIPAllocationMethod": "Static"}
            address["publicIPAddressConfiguration"] = {
                "name": "outside",
                "properties": outside,
                "sku": {"name": "Standard"},
            }
        card: dict[str, Any] = {
            "primary": True,
            "deleteOption": "Delete",
            "ipConfigurations": [{"name": "inside", "properties": address}],
        }
        if said.security_group:
            card["networkSecurityGroup"] = {"id": said.security_group}
        return {"name": "card", "properties": card}

    def _sku(self, offer: Offer) -> Any:
        if offer.type not in self._skus:
            self.market.get(offer.type)
        return self._skus.get(offer.type) or {"name": offer.type}

    def _image(self, offer: Offer) -> dict[str, str]:
        kind = "gpu" if offer.gpus else offer.arch
        image = self.options.images.get(kind) or IMAGES.get(kind, "")
        if image.startswith("/subscriptions/"):
            return {"id": image}
        parts = image.split(":")
        if len(parts) != 4:
            raise errors.InvalidRequest(
                f"{image!r} names no image for {kind}."
                if image
                else f"No image is known for {offer.type!r} with GPUs.",
                cure=f"Write publisher:offer:sku:version, or a resource id, as images.{kind} in the options.",
            )
        return dict(zip(("publisher", "offer", "sku", "version"), parts, strict=True))

    # --- what Azure has ----------------------------------------------------------------------------------------------

    def _get(self, name: str) -> Any:
        try:
            return self.calls.machines.get(self.group, name, expand="instanceView")
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise translate(error, "Microsoft.Compute/virtualMachines/read") from error

    def _patiently(self, request: dict[str, Any]) -> Seen | None:
        try:
            return self.look(request)
        except errors.AmasiaError as error:
            raise Problem(Outcome.lost, error) from error

    @staticmethod
    def _begun(request: dict[str, Any]) -> Seen:
        return Seen(
            machine_id=request["vm"]["tags"][MACHINE],
            name=request["name"],
            zone=request["zone"],
            machine_type=request["machine_type"],
            spot=request["spot"],
            alive=True,
            made=False,
        )


def _seen(vm: Any) -> Seen:
    properties = vm["properties"]
    state = str(properties.get("provisioningState", ""))
    statuses = (properties.get("instanceView") or {}).get("statuses") or ()
    codes = [str(one["code"]) for one in statuses]
    failure = next((one for one in statuses if str(one["code"]).startswith("ProvisioningState/failed")), None)
    over = next((each for each in codes if each in OVER), "")
    tags = vm.get("tags") or {}
    failed = state == "Failed" and "PowerState/running" not in codes
    alive = state == "Deleting" or not (failed or over)
    return Seen(
        machine_id=tags.get(MACHINE, ""),
        name=vm["name"],
        zone=next(iter(vm.get("zones") or ()), ""),
        machine_type=properties["hardwareProfile"]["vmSize"].lower(),
        spot=properties.get("priority") == "Spot",
        alive=alive,
        made=state != "Creating",
        leaving=state == "Deleting",
        instance=str(properties.get("vmId", "")),
        started_at=_time(properties.get("timeCreated")),
        reason="" if alive else _reason(failure, over) if failed or over else "",
        no_room=failed and _failure(failure).code in ROOM,
    )


def _reason(failure: Any, over: str) -> str:
    if over:
        return "it shut itself down, or was stopped"
    return problem(_failure(failure), "Microsoft.Compute/virtualMachines/write").error.message


def _failure(status: Any) -> Failed:
    """What Azure says of a VM that it could not make: ``ProvisioningState/failed/AllocationFailed``."""
    if status is None:
        return Failed("Failed", "Azure could not make it")
    return Failed(str(status["code"]).rsplit("/", 1)[-1], str(status.get("message") or "Azure could not make it"))


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _pack(script: str) -> str:
    if len(script.encode()) > CUSTOM_DATA:
        raise errors.InvalidRequest(
            f"The boot script has {len(script.encode())} bytes, and Azure takes {CUSTOM_DATA}.",
            cure="Shorten `variables`.",
        )
    return b64encode(script.encode()).decode()


def _key() -> str:
    """Azure makes no Linux without a way to sign in: a key whose other half is thrown away here."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
