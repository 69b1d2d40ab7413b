"""Machines on Google Compute Engine: one named instance for each, in the zones of a region.

Its own auto-terminate is armed on each: after its longest life Google deletes it, whatever happened to us. A guest that
shuts itself down stays as TERMINATED and its disk costs: what is seen so is deleted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import compute_v1
from pydantic import Field

from amasia import errors
from amasia.models.base import now
from amasia.models.locations import Finding, Offer, Place
from amasia.models.machines import Machine
from amasia.providers import clouds, gcp_checks, options
from amasia.providers.clouds import MACHINE, PLACE, Choice, Cloud, CloudOptions, End, Outcome, Problem, Seen
from amasia.providers.gcp_calls import RETRY, SCOPE, SECONDS, WRONG, Calls, Failed, code, problem, told, translate
from amasia.providers.gcp_offers import TYPES, mark, offer_of, seed_price
from amasia.providers.markets import Seed

OVER = ("TERMINATED", "STOPPED", "SUSPENDED")
DONE = compute_v1.Operation.Status.DONE
IMAGES = {
    "x86_64": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64",
    "aarch64": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-arm64",
}
REASONS = {
    "compute.instances.preempted": "Google took it back (spot)",
    "compute.instances.hostError": "its host failed",
    "compute.instances.guestTerminate": "it shut itself down",
    "delete": "somebody deleted it, or its longest life was over",
    "stop": "somebody stopped it",
}
"""By the type of the operation that ended it."""


NOTICE = """\
curl -fsS -m 2 -H 'Metadata-Flavor: Google' http://169.254.169.254/computeMetadata/v1/instance/preempted |
grep -q TRUE && date -u -d '+30 seconds' +%Y-%m-%dT%H:%M:%SZ"""
"""Google gives thirty seconds."""


class GcpOptions(CloudOptions):
    """The keys of its file, without `[secrets]`."""

    project: str = Field(default="", pattern=r"^[a-z0-9.:-]*$")
    """Empty for the key's own."""
    network: str = "global/networks/default"
    subnetwork: str = ""
    """Such as ``projects/science/regions/europe-west4/subnetworks/machines``."""
    network_tags: list[str] = []
    service_account: str = ""
    """E-mail of the account whose rights the machines, and all who run on them, have; empty for none."""
    disk_type: str = ""
    """Empty for what the machine type takes."""
    kms_key: str = ""
    """That encrypts the disks; empty for Google's own."""
    longest_hours: int = Field(default=168, ge=1, le=2880)
    """After which Google itself deletes a machine."""
    labels: dict[str, str] = {}
    """More labels, for the bill."""


class GcpProvider(Cloud):
    """Compute Engine in one region, as one place sees it."""

    name = "gcp"
    types = TYPES
    notice = NOTICE

    def __init__(self, place: Place) -> None:
        self.options = options.read(GcpOptions, place, self.name)
        options.check_secrets(place, together=("key",))
        super().__init__(place, self.options)
        self.calls = Calls(place, self.options.project, self.options.endpoint)
        if place.secrets and not self.calls.project:
            raise errors.InvalidRequest("The project is not known.", cure="Give `project` in the options.")
        self.mark = mark(place.tag)
        self._zones = tuple(self.options.zones)

    def zones(self) -> Sequence[str]:
        if not self._zones:
            with told("compute.regions.get"):
                region = self.calls.regions.get(
                    project=self.calls.project, region=self.place.region, retry=RETRY, timeout=SECONDS
                )
            self._zones = tuple(sorted(_last(url) for url in region.zones))
        return self._zones

    def types_here(self) -> Iterable[Offer]:
        zones: dict[str, list[str]] = {}
        found: dict[str, Any] = {}
        for zone in self.zones():
            request = {"project": self.calls.project, "zone": zone, "max_results": 500}
            with told("compute.machineTypes.list"):
                for one in self.calls.types.list(request=request, retry=RETRY, timeout=SECONDS):
                    if self.market.wants(one.name):
                        found.setdefault(one.name, one)
                        zones.setdefault(one.name, []).append(zone)
        return [offer_of(one, tuple(zones[name])) for name, one in found.items()]

    def seed(self, offer: Offer) -> Seed | None:
        return seed_price(self.place.region, offer)

    def request(self, machine: Machine, choice: Choice, name: str, script: str) -> dict[str, Any]:
        """A request id of its own for each try: Google makes nothing twice for the same one."""
        return {
            "name": name,
            "zone": choice.zone,
            "machine_type": choice.offer.type,
            "spot": choice.spot,
            "request_id": str(uuid4()),
            "instance": self._instance(machine.id, choice, name, script),
        }

    def send(self, request: dict[str, Any]) -> Seen:
        asked = {
            "project": self.calls.project,
            "zone": request["zone"],
            "request_id": request["request_id"],
            "instance_resource": request["instance"],
        }
        try:
            begun = self._done(self.calls.instances.insert_unary(request=asked, timeout=SECONDS), request["zone"])
        except Conflict as error:
            there = self.look(request)
            if there is None:
                raise Problem(Outcome.lost, translate(error, "compute.instances.insert")) from error
            return there
        except WRONG as error:
            raise problem(error, "compute.instances.insert") from error
        return Seen(
            machine_id=request["instance"]["labels"][MACHINE],
            name=request["name"],
            zone=request["zone"],
            machine_type=request["machine_type"],
            spot=request["spot"],
            alive=True,
            instance=str(begun.target_id),
        )

    def listed(self, machine_id: str | None) -> Iterator[Seen]:
        wanted = f"labels.{PLACE}={self.mark}" + (f" AND labels.{MACHINE}={machine_id}" if machine_id else "")
        request = {"project": self.calls.project, "filter": wanted, "max_results": 500}
        with told("compute.instances.list"):
            for _, some in self.calls.instances.aggregated_list(request=request, retry=RETRY, timeout=SECONDS):
                yield from (_seen(one) for one in some.instances if MACHINE in one.labels)

    def look(self, known: dict[str, Any]) -> Seen | None:
        request = {"project": self.calls.project, "zone": known["zone"], "instance": known["name"]}
        try:
            return _seen(self.calls.instances.get(request=request, retry=RETRY, timeout=SECONDS))
        except NotFound:
            return None
        except WRONG as error:
            raise translate(error, "compute.instances.get") from error

    def ended(self, known: dict[str, Any]) -> End | None:
        """Google remembers for two weeks what was done to an instance, by its number."""
        request = {
            "project": self.calls.project,
            "zone": known["zone"],
            "filter": f"targetId={known['instance']}",
        }
        with told("compute.zoneOperations.list"):
            done = list(self.calls.operations.list(request=request, retry=RETRY, timeout=SECONDS))
        for one in done:
            if one.operation_type == "insert" and one.status != DONE:
                return None
            if one.operation_type == "insert" and (failure := _failure(one)):
                error = problem(failure, "compute.instances.insert")
                room = isinstance(error.error, errors.NoCapacity)
                return End(_time(one.end_time) or now(), error.error.message, no_room=room)
        ends = sorted((one for one in done if one.operation_type != "insert"), key=lambda one: one.insert_time)
        if not ends:
            return End(now(), "it is gone, and Google does not say why")
        # What was done first is why: a machine that was taken back is deleted after that.
        last, why = ends[-1], next((one for one in ends if one.operation_type in REASONS), ends[-1])
        reason = REASONS.get(why.operation_type, f"Google says: {why.operation_type}")
        return End(_time(last.end_time or last.insert_time) or now(), reason)

    def delete(self, name: str, zone: str) -> None:
        request = {"project": self.calls.project, "zone": zone, "instance": name}
        try:
            self.calls.instances.delete_unary(request=request, timeout=SECONDS)
        except NotFound:
            return
        except (BadRequest, Conflict) as error:
            if code(error) not in ("resourceNotReady", "resourceInUseByAnotherResource"):  # then it is tried again
                raise translate(error, "compute.instances.delete") from error
        except WRONG as error:
            raise translate(error, "compute.instances.delete") from error

    def check(self) -> list[Finding]:
        images = IMAGES | self.options.images
        return gcp_checks.check(self.place.name, self.calls, self.market, self.place.region, self.zones, images)

    def console(self, machine: Machine) -> str:
        known = machine.handle or self.launches.get(machine.id).handle
        if not known:
            return ""
        request = {"project": self.calls.project, "zone": known["zone"], "instance": known["name"]}
        try:
            answer = self.calls.instances.get_serial_port_output(request=request, retry=RETRY, timeout=SECONDS)
        except NotFound:
            return ""
        except WRONG as error:
            raise translate(error, "compute.instances.getSerialPortOutput") from error
        return str(answer.contents)

    # --- one request -------------------------------------------------------------------------------------------------

    def _instance(self, machine_id: str, choice: Choice, name: str, script: str) -> dict[str, Any]:
        """Everything at once, so that no machine is ever there without its marks."""
        said, labels = self.options, self.options.labels | {MACHINE: machine_id, PLACE: self.mark}
        kinds = f"zones/{choice.zone}"
        disk = {
            "boot": True,
            "auto_delete": True,
            "initialize_params": {
                "source_image": self._image(choice.offer),
                "disk_size_gb": said.disk_gib,
                "disk_type": f"{kinds}/diskTypes/{said.disk_type or _disk_type(choice.offer.type)}",
                "labels": labels,
            },
        } | ({"disk_encryption_key": {"kms_key_name": said.kms_key}} if said.kms_key else {})
        card = {"subnetwork": said.subnetwork} if said.subnetwork else {"network": said.network}
        accounts = [{"email": said.service_account, "scopes": [SCOPE]}] if said.service_account else []
        metadata = {"startup-script": script, "block-project-ssh-keys": "true", "serial-port-logging-enable": "false"}
        # What ARM machines can of this differs from family to family: there it is left to Google's defaults.
        shield = {
            "enable_secure_boot": not choice.offer.gpus,  # drivers of GPUs are not signed
            "enable_vtpm": True,
            "enable_integrity_monitoring": True,
        }
        return {
            "name": name,
            "description": self.place.tag,
            "machine_type": f"{kinds}/machineTypes/{choice.offer.type}",
            "labels": labels,
            "disks": [disk],
            "network_interfaces": [card | ({"access_configs": [{"name": "external"}]} if said.public_ip else {})],
            "tags": {"items": list(said.network_tags)},
            "metadata": {"items": [{"key": key, "value": value} for key, value in metadata.items()]},
            "service_accounts": accounts,
            "shielded_instance_config": shield if choice.offer.arch == "x86_64" else {},
            "scheduling": {
                "provisioning_model": "SPOT" if choice.spot else "STANDARD",
                "automatic_restart": False,
                "on_host_maintenance": "TERMINATE" if choice.spot or choice.offer.gpus else "MIGRATE",
                "max_run_duration": {"seconds": said.longest_hours * 3600},
                "instance_termination_action": "DELETE",
            },
        }

    def _image(self, offer: Offer) -> str:
        kind = "gpu" if offer.gpus else offer.arch
        image = self.options.images.get(kind) or IMAGES.get(kind)
        if not image:
            raise errors.InvalidRequest(
                f"No image is known for {offer.type!r}, which has GPUs.",
                cure="Give one that has the driver: images.gpu in the options.",
            )
        return image

    def _done(self, operation: Any, zone: str) -> Any:
        """The operation once it is over, or as it is after some patience: what fails later is found later.

        Raises
        ------
        Failed
        """
        end = monotonic() + clouds.PATIENCE
        while operation.status != DONE and monotonic() < end:
            sleep(0.3)
            request = {"project": self.calls.project, "zone": zone, "operation": operation.name}
            operation = self.calls.operations.get(request=request, retry=RETRY, timeout=SECONDS)
        if failure := _failure(operation):
            raise failure
        return operation


def _failure(operation: Any) -> Failed | None:
    wrong = list(operation.error.errors) if operation.status == DONE else []
    return Failed(wrong[0].code, wrong[0].message) if wrong else None


def _seen(one: Any) -> Seen:
    alive = one.status not in OVER
    return Seen(
        machine_id=one.labels.get(MACHINE, ""),
        name=one.name,
        zone=_last(one.zone),
        machine_type=_last(one.machine_type),
        spot=one.scheduling.provisioning_model == "SPOT",
        alive=alive,
        leaving=one.status == "STOPPING",
        instance=str(one.id),
        started_at=_time(one.creation_timestamp),
        stopped_at=None if alive else _time(one.last_stop_timestamp),
        reason="" if alive else "it shut itself down, or was stopped",
    )


def _disk_type(kind: str) -> str:
    """Machines of the fourth generation (c4, n4, …) take Hyperdisks only."""
    return "hyperdisk-balanced" if re.match(r"[a-z]+[4-9]", kind) else "pd-balanced"


def _last(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
