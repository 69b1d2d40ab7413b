"""Azure's Compute on this computer: what Amasia asks of it, with the token service of Entra beside it."""

import base64
import re
import secrets
import time
from typing import Any

from amasia.models.base import now
from amasia.testing.vms import Answer, Vm, VmCloud

SUBSCRIPTION, GROUP, REGION = "00000000-0000-0000-0000-000000000001", "machines", "westeurope"
SUBNET = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/machines"
)
TENANT = "00000000-0000-0000-0000-00000000000a"
TYPES = {
    "Standard_D2s_v5": {"vCPUs": "2", "MemoryGB": "8", "CpuArchitectureType": "x64"},
    "Standard_D4s_v5": {"vCPUs": "4", "MemoryGB": "16", "CpuArchitectureType": "x64"},
    "Standard_D2ps_v5": {"vCPUs": "2", "MemoryGB": "8", "CpuArchitectureType": "Arm64"},
    "Standard_NC4as_T4_v3": {"vCPUs": "4", "MemoryGB": "28", "CpuArchitectureType": "x64", "GPUs": "1"},
}
ROOT = f"/subscriptions/{SUBSCRIPTION}"
MACHINES = f"{ROOT}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines"


class Arm(VmCloud):
    """A subscription with one resource group."""

    def secrets(self) -> dict[str, str]:
        return {"tenant_id": TENANT, "client_id": "amasia", "client_secret": "open sesame"}

    def open(self, method: str, path: str, form: dict[str, str]) -> Answer | None:
        if path.startswith("/console/"):
            return Answer(200, self._console(path.removeprefix("/console/")))
        if path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return Answer(
                200,
                {
                    "issuer": f"{self.url}/{TENANT}/v2.0",
                    "authorization_endpoint": f"{self.url}/{TENANT}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{self.url}/{TENANT}/oauth2/v2.0/token",
                },
            )
        if path != f"/{TENANT}/oauth2/v2.0/token":
            return None
        if self.faults.refused or form.get("client_secret") != "open sesame":
            return Answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"})
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def right(self, method: str, path: str) -> str:
        if "/virtualMachines" not in path:
            return (
                "Microsoft.Compute/skus/read" if path.endswith("/skus") else "Microsoft.Compute/locations/usages/read"
            )
        verb = {"PUT": "write", "DELETE": "delete", "GET": "read", "POST": "retrieveBootDiagnosticsData/action"}[method]
        return f"Microsoft.Compute/virtualMachines/{verb}"

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(
            status, {"error": {"code": code, "message": message}}, {"Retry-After": "0"} if status == 429 else {}
        )

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        if path == f"{ROOT}/providers/Microsoft.Compute/skus":
            return Answer(200, {"value": [_sku(name, can) for name, can in TYPES.items()]})
        if path.startswith(f"{ROOT}/providers/Microsoft.Compute/locations/"):
            cores = {"name": {"value": "cores"}, "unit": "Count", "currentValue": 2, "limit": 64}
            return Answer(200, {"value": [cores]})
        if path.rstrip("/") == MACHINES:
            return Answer(200, {"value": [_wire(vm, False) for vm in self.vms.values() if not self.hides(vm)]})
        found = re.fullmatch(f"{MACHINES}/([^/]+)(/retrieveBootDiagnosticsData)?", path)
        if not found:
            return self.error(404, "ResourceGroupNotFound", f"Resource group of {path!r} could not be found.")
        return self._machine(method, found[1], body, bool(found[2]))

    def _machine(self, method: str, name: str, body: dict[str, Any], console: bool) -> Answer:
        vm = self.vms.get(("", name))
        if method == "PUT":
            return self._put(name, body, vm)
        if vm is None:
            return Answer(204) if method == "DELETE" else self.error(404, "ResourceNotFound", f"{name} was not found.")
        if console:
            return Answer(200, {"serialConsoleLogBlobUri": f"{self.url}/console/{name}"})
        if method == "GET":
            return Answer(200, _wire(vm, True))
        vm.deleting = vm.deleting or time.monotonic() + self.closing
        vm.stopped = vm.stopped or now()
        return Answer(202, None, {"Location": f"{self.url}/later"})

    def _put(self, name: str, body: dict[str, Any], vm: Vm | None) -> Answer:
        if vm is not None:
            return self.error(412, "PreconditionFailed", "The resource exists already.")
        if not body.get("location"):
            return self.error(400, "LocationRequired", "The location property is required for this definition.")
        said = body["properties"]
        kind, spot = said["hardwareProfile"]["vmSize"], said.get("priority") == "Spot"
        if kind not in TYPES:
            return self.error(400, "InvalidParameter", f"The value {kind} provided for the VM size is not valid.")
        if self.faults.quota is not None and len(self.running()) >= self.faults.quota:
            return self.error(409, "OperationNotAllowed", "Operation could not be completed as it results in exceeding "
                              "approved Total Regional Cores quota.")  # fmt: skip
        zone = next(iter(body.get("zones", ())), "")
        failure, fails = "", 0.0
        if not self.has_room(kind, zone, spot):
            if not self.faults.late_room:
                return self.error(409, "SkuNotAvailable", f"The requested VM size {kind} is not available in {REGION}.")
            failure, fails = "AllocationFailed", time.monotonic() + self.faults.late_room
        script = base64.b64decode(said["osProfile"]["customData"]).decode()
        machine_id = body.get("tags", {}).get("amasia-machine", "")
        made = Vm(name, "", kind, spot, machine_id, script, body, self.next_number(), failure=failure, fails=fails)
        made.fails = fails or time.monotonic() + self.faults.slow
        self.make(made)
        return Answer(201, _wire(made, True), {"Azure-AsyncOperation": f"{self.url}/later"})

    def _console(self, name: str) -> str:
        vm = self.vms.get(("", name))
        return vm.console.read_text(errors="replace") if vm and vm.console else ""


def _wire(vm: Vm, whole: bool) -> dict[str, Any]:
    early = time.monotonic() < vm.fails
    state = "Deleting" if vm.deleting else "Creating" if early else "Failed" if vm.failure else "Succeeded"
    said = {key: value for key, value in vm.body["properties"].items() if key != "osProfile"}
    said |= {"provisioningState": state, "vmId": f"vm-{vm.number}", "timeCreated": vm.created.isoformat()}
    if whole:
        statuses = [{"code": f"ProvisioningState/{state.lower()}", "level": "Info"}]
        if state == "Failed":
            statuses = [
                {"code": f"ProvisioningState/failed/{vm.failure}", "level": "Error", "message": "Allocation failed."}
            ]
        elif state == "Succeeded":
            statuses.append({"code": "PowerState/stopped" if vm.stopped else "PowerState/running", "level": "Info"})
        said["instanceView"] = {"statuses": statuses}
    wire = {"id": f"{MACHINES}/{vm.name}", "name": vm.name, "location": REGION, "properties": said}
    return wire | {key: vm.body[key] for key in ("tags", "zones", "identity") if key in vm.body}


def _sku(name: str, can: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "locations": [REGION],
        "locationInfo": [{"location": REGION, "zones": ["1", "2"] if "ps" in name else ["1", "2", "3"]}],
        "capabilities": [{"name": key, "value": value} for key, value in can.items()],
        "restrictions": [],
    }
