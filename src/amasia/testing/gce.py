"""Google Compute Engine on this computer: what Amasia asks of it, by tokens that the key of its account signed."""

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from amasia.models.base import now
from amasia.testing.vms import Answer, Vm, VmCloud

PROJECT, REGION = "science", "europe-west4"
ZONES = tuple(f"{REGION}-{letter}" for letter in "abc")
TYPES = {
    "e2-standard-2": (2, 8192, "X86_64", None),
    "e2-standard-4": (4, 16384, "X86_64", None),
    "n2-standard-2": (2, 8192, "X86_64", None),
    "c4a-standard-2": (2, 8192, "ARM64", None),
    "g2-standard-4": (4, 16384, "X86_64", "nvidia-l4"),
}
"""vCPUs, MiB, architecture, accelerator."""
PLACE = re.compile(r"/compute/v1/projects/(?P<project>[^/]+)/(?P<rest>.+)")


@dataclass
class Operation:
    name: str
    kind: str
    target: int
    zone: str
    begun: datetime
    done: float
    """When it is over."""
    error: tuple[str, str] | None = None

    def wire(self) -> dict[str, Any]:
        over = time.monotonic() >= self.done
        wire: dict[str, Any] = {
            "name": self.name,
            "zone": self.zone,
            "operationType": self.kind,
            "targetId": str(self.target),
            "status": "DONE" if over else "RUNNING",
            "insertTime": self.begun.isoformat(),
        }
        if over:
            wire["endTime"] = self.begun.isoformat()
        if over and self.error:
            code, message = self.error
            wire |= {"error": {"errors": [{"code": code, "message": message}]}, "httpErrorStatusCode": 503}
        return wire


class Gce(VmCloud):
    """A project in one region."""

    def reset(self) -> None:
        super().reset()
        self.operations: dict[str, Operation] = {}
        self.requests: dict[str, Operation] = {}
        self.limit = 64

    def key(self) -> str:
        """Of a service account, as the console gives it."""
        private = rsa.generate_private_key(65537, 2048)
        public = private.public_key()
        self.public = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": f"amasia@{PROJECT}.iam.gserviceaccount.com",
                "token_uri": "https://oauth2.googleapis.com/token",
            }
        )

    def knows(self, token: str) -> bool:
        """Google's clients sign a token themselves, and ask nobody for one."""
        if token not in self.tokens:
            try:
                jwt.decode(token, certs=self.public)
            except (ValueError, GoogleAuthError):
                return False
            self.tokens.add(token)
        return True

    def right(self, method: str, path: str) -> str:
        if path.endswith("/serialPort"):
            return "compute.instances.getSerialPortOutput"
        one = re.search(r"/instances/[^/]+$", path)
        if "/instances" in path:
            verb = {"POST": "create", "DELETE": "delete", "GET": "get" if one else "list"}[method]
            return f"compute.instances.{verb}"
        kind = next(each for each in ("operations", "machineTypes", "regions", "images") if f"/{each}" in path)
        return (
            f"compute.{'zoneOperations' if kind == 'operations' else kind}.{'list' if path.endswith(kind) else 'get'}"
        )

    def error(self, status: int, code: str, message: str) -> Answer:
        reason = {"AuthorizationFailed": "forbidden", "TooManyRequests": "rateLimitExceeded"}.get(code, code)
        wrong = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
        return Answer(status, {"error": wrong})

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        found = PLACE.fullmatch(path)
        rest = found["rest"].split("/") if found else [""]
        match method, rest:
            case "GET", ["regions", region]:
                return self._region(region)
            case "GET", ["aggregated", "instances"]:
                return self._aggregated(query.get("filter", ""))
            case "GET", ["global", "images", *names]:
                return Answer(200, {"name": f"{names[-1]}-v20260101"})
            case "GET", ["zones", zone, "machineTypes"]:
                return Answer(
                    200, {"items": [_type(name) for name in TYPES if (name, zone) != ("n2-standard-2", ZONES[0])]}
                )
            case "GET", ["zones", _, "operations"]:
                target = query.get("filter", "").removeprefix("targetId=")
                return Answer(
                    200, {"items": [one.wire() for one in self.operations.values() if str(one.target) == target]}
                )
            case "GET", ["zones", _, "operations", name]:
                return Answer(200, self.operations[name].wire())
            case "POST", ["zones", zone, "instances"]:
                return self._insert(zone, body, query.get("requestId", ""))
            case _, ["zones", zone, "instances", name, *what]:
                return self._instance(method, zone, name, what)
        return self.error(404, "notFound", f"{path} was not found")

    def take_back(self, machine_id: str) -> None:
        with self.lock:
            for vm in self.running(machine_id):
                self._operation("compute.instances.preempted", vm.number, vm.zone)
                self.remove(vm)

    def _region(self, region: str) -> Answer:
        if region != REGION:
            return self.error(404, "notFound", f"The resource 'regions/{region}' was not found")
        quotas = [{"metric": "CPUS", "limit": self.limit, "usage": 2 * len(self.running())}]
        return Answer(200, {"name": region, "zones": [f"https://x/zones/{zone}" for zone in ZONES], "quotas": quotas})

    def _aggregated(self, text: str) -> Answer:
        wanted = dict(one.removeprefix("labels.").split("=", 1) for one in text.split(" AND "))
        items: dict[str, Any] = {f"zones/{zone}": {"instances": []} for zone in ZONES}
        for vm in self.vms.values():
            if wanted.items() <= vm.body.get("labels", {}).items() and not self.hides(vm):
                items[f"zones/{vm.zone}"]["instances"].append(_wire(vm))
        return Answer(200, {"items": items})

    def _insert(self, zone: str, body: dict[str, Any], request_id: str) -> Answer:
        if not body.get("name") or not body.get("disks"):
            return self.error(400, "required", "Required field 'resource' not specified")
        if request_id in self.requests:
            return Answer(200, self.requests[request_id].wire())
        if (zone, body["name"]) in self.vms:
            return self.error(409, "alreadyExists", f"The resource 'instances/{body['name']}' already exists")
        kind, spot = body["machineType"].rsplit("/", 1)[-1], body["scheduling"]["provisioningModel"] == "SPOT"
        if kind not in TYPES:
            return self.error(400, "invalid", f"Invalid value for field 'machineType': {kind!r}")
        if self.faults.quota is not None and len(self.running()) >= self.faults.quota:
            return self.error(403, "quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 8.0 in region europe-west4.")
        number = self.next_number()
        operation = self.requests[request_id] = self._operation("insert", number, zone, self.faults.slow)
        if not self.has_room(kind, zone, spot):
            operation.error = ("ZONE_RESOURCE_POOL_EXHAUSTED", f"The zone '{zone}' does not have enough resources.")
            operation.done = time.monotonic() + self.faults.late_room
            return Answer(200, operation.wire())
        script = next((one["value"] for one in body["metadata"]["items"] if one["key"] == "startup-script"), "")
        self.make(Vm(body["name"], zone, kind, spot, body["labels"].get("amasia-machine", ""), script, body, number))
        return Answer(200, operation.wire())

    def _instance(self, method: str, zone: str, name: str, what: list[str]) -> Answer:
        vm = self.vms.get((zone, name))
        if vm is None:
            return self.error(404, "notFound", f"The resource 'instances/{name}' was not found")
        if what == ["serialPort"]:
            return Answer(200, {"contents": vm.console.read_text(errors="replace") if vm.console else ""})
        if method == "GET":
            return Answer(200, _wire(vm))
        if not vm.deleting:
            vm.deleting = time.monotonic() + self.closing
            vm.stopped = vm.stopped or now()
        return Answer(200, self._operation("delete", vm.number, zone, self.closing).wire())

    def _operation(self, kind: str, target: int, zone: str, seconds: float = 0.0) -> Operation:
        name = f"operation-{len(self.operations)}"
        made = Operation(name, kind, target, zone, now(), time.monotonic() + seconds)
        self.operations[name] = made
        return made


def _wire(vm: Vm) -> dict[str, Any]:
    status = "STOPPING" if vm.deleting else "TERMINATED" if vm.stopped else "RUNNING"
    body = {key: value for key, value in vm.body.items() if key not in ("metadata", "disks")}
    wire = body | {
        "id": str(vm.number),
        "status": status,
        "zone": f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{vm.zone}",
        "machineType": f"https://www.googleapis.com/compute/v1/{vm.body['machineType']}",
        "creationTimestamp": vm.created.isoformat(),
    }
    return wire | ({"lastStopTimestamp": vm.stopped.isoformat()} if vm.stopped else {})


def _type(name: str) -> dict[str, Any]:
    cpus, mib, arch, accelerator = TYPES[name]
    wire: dict[str, Any] = {"name": name, "guestCpus": cpus, "memoryMb": mib, "architecture": arch}
    if accelerator:
        wire["accelerators"] = [{"guestAcceleratorCount": 1, "guestAcceleratorType": accelerator}]
    return wire
