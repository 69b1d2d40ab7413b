"""EC2 on this computer: moto's API, with what it lacks and what goes wrong with the real one.

moto keeps what was made and answers as AWS does. Here are added: client tokens that bind a request, no room in a zone,
quotas, throttling, refused keys, answers that are lost after the work was done, requests that arrive twice, instances
that are not listed at once, and AWS's lists of prices, quotas and images. Needs ``moto[server]``.
"""

import hashlib
import json
import os
import socket
import threading
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 1300 images, in 8 s
os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")

import boto3
from moto.backends import get_backend
from moto.ec2 import utils as moto_filters
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from amasia.models.base import now

ACCOUNT, REGION = "123456789012", "us-east-1"
moto_filters.filter_dict_attribute_mapping["client-token"] = "client_token"
_plain = moto_filters.instance_value_in_filter_values
"""AWS takes * in the value of any filter; moto in none of this one's."""
moto_filters.instance_value_in_filter_values = lambda instance_value, filter_values: (
    _plain(instance_value, filter_values) or any(fnmatchcase(str(instance_value), str(wish)) for wish in filter_values)
)

Start = Callable[..., Any]
Answer = Iterable[bytes]


@dataclass
class Faults:
    """What goes wrong next. Numbers count down."""

    no_room: set[tuple[str, str, bool]] = field(default_factory=set)
    """(type, zone, spot); ``*`` for any type."""
    quota: int | None = None
    """Instances that may run at once."""
    throttled: int = 0
    lost: int = 0
    """Starts and ends that are done, and whose answer never arrives."""
    doubled: int = 0
    """Starts that arrive twice, as from a network that repeats what it delivered."""
    late: float = 0.0
    """Seconds for which new instances are in no list."""
    untagged: int = 0
    """Starts whose tags are lost."""
    refused_keys: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    """Actions that no key may do."""


class Ec2:
    """A server of one account and region.

    Parameters
    ----------
    cidr
        Of the network that is made, with a subnet in each of three zones.
    """

    def __init__(self, cidr: str = "10.77.0.0/16") -> None:
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.prices: dict[str, str] = {}
        """What the price list says, per hour, by type."""
        self.consoles: Callable[[str], str] = lambda _: ""
        self.launched: Counter[str] = Counter()
        """Instances that were ever made, by the tag of their machine."""
        self._tokens: dict[str, tuple[str, str]] = {}
        self._made: dict[str, tuple[str, datetime, Any]] = {}
        self._ends: dict[str, datetime] = {}
        self._lock = threading.RLock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.reset(cidr)

    def reset(self, cidr: str = "10.77.0.0/16") -> None:
        """Empty it."""
        self.faults, self._tokens = Faults(), {}
        self._made.clear()
        self._ends.clear()
        self.calls.clear()
        self.launched.clear()
        self.prices.clear()
        for name in ("ec2", "iam"):
            get_backend(name).reset()
        client = self.client("ec2")
        vpc = client.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        base = cidr.split("/", maxsplit=1)[0].rsplit(".", 2)[0]
        self.subnets = {
            REGION + letter: client.create_subnet(
                VpcId=vpc, CidrBlock=f"{base}.{number * 16}.0/20", AvailabilityZone=REGION + letter
            )["Subnet"]["SubnetId"]
            for number, letter in enumerate("abc")
        }
        self.zones = {subnet: zone for zone, subnet in self.subnets.items()}
        self.images = {
            arch: client.register_image(Name=f"linux-{arch}", RootDeviceName="/dev/sda1", Architecture=arch)["ImageId"]
            for arch in ("x86_64", "arm64")
        }

    def client(self, name: str) -> Any:
        return boto3.client(
            name,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
        )

    @property
    def backend(self) -> Any:
        """What moto knows."""
        return get_backend("ec2")[ACCOUNT][REGION]

    def instances(self) -> list[Any]:
        """Everything that is or was there, asked past the API."""
        return [one for reservation in list(self.backend.reservations.values()) for one in reservation.instances]

    def running(self, machine_id: str | None = None) -> list[Any]:
        """What costs now, of one machine or of all."""
        return [
            one
            for one in self.instances()
            if one._state.name in ("pending", "running") and machine_id in (None, _tags(one).get("amasia:machine"))
        ]

    def lives(self) -> list[tuple[str, datetime, datetime | None]]:
        """Machine, beginning and end of everything that was ever made; None for what still runs."""
        return [
            (machine_id, began, None if one._state.name == "running" else self._ends[name])
            for name, (machine_id, began, one) in self._made.items()
        ]

    @staticmethod
    def user_data(instance: Any) -> bytes:
        """What it is to run at its start, as it was sent."""
        return b64decode(str(vars(instance.user_data)["_encoded_string"])) if instance.user_data else b""

    def end(self, instance: Any, code: str) -> None:
        """It ends by itself, or AWS ends it."""
        with self._lock:
            instance.terminate()
            self._ends[instance.id] = now()
            instance.state_reason.code = code
            instance.state_reason.message = code

    def forget(self, seconds: float) -> None:
        """What ended longer ago is in no list any more, as AWS does after an hour."""
        with self._lock:
            old = {name for name, at in self._ends.items() if (now() - at).total_seconds() > seconds}
            for key, reservation in list(self.backend.reservations.items()):
                gone = [one for one in reservation.instances if one.id in old]
                for one in gone:
                    reservation.instances.remove(one)
                    volumes = [disk.volume_id for disk in one.block_device_mapping.values()]
                    for name in (one.id, *volumes, *(card.id for card in one.nics.values())):
                        self.backend.tags.pop(name, None)
                if not reservation.instances:
                    del self.backend.reservations[key]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- the front ----------------------------------------------------------------------------------------------------

    def _answer(self, environ: dict[str, Any], start: Start) -> Answer:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        asked = dict(parse_qsl(body.decode(errors="replace")))
        action = asked.get("Action") or environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        self.calls[action] += 1
        if problem := self._refusal(action, environ.get("HTTP_AUTHORIZATION", "")):
            return _error(start, *problem)
        match action:
            case "RunInstances":
                return self._run(environ, start, body, asked)
            case "TerminateInstances" if "DryRun" not in asked:
                return self._lose(environ, self._end(environ, start, asked))
            case "GetConsoleOutput" if "DryRun" not in asked:
                text = b64encode(self.consoles(asked["InstanceId"]).encode()).decode()
                return _xml(start, f"<GetConsoleOutputResponse><output>{text}</output></GetConsoleOutputResponse>")
            case "GetParameters" | "GetProducts" | "GetServiceQuota":
                return _json(start, getattr(self, f"_{action}")(json.loads(body)))
        return self._locked(environ, start)

    def _refusal(self, action: str, authorization: str) -> tuple[str, str, str] | None:
        if any(f"Credential={key}/" in authorization for key in self.faults.refused_keys):
            return "AuthFailure", "AWS was not able to validate the provided access credentials", "401 Unauthorized"
        if action in self.faults.denied:
            return "UnauthorizedOperation", "You are not authorized to perform this operation.", "403 Forbidden"
        if action.startswith(("Run", "Describe", "Terminate")) and self._count("throttled"):
            return "RequestLimitExceeded", "Request limit exceeded.", "503 Service Unavailable"
        return None

    def _run(self, environ: dict[str, Any], start: Start, body: bytes, asked: dict[str, str]) -> Answer:
        if "DryRun" in asked:
            return self._locked(environ, start)
        with self._lock:
            if self._count("doubled"):
                list(self._run_once(environ | {"wsgi.input": BytesIO(body)}, lambda *_: None, body, asked))
            answer = self._run_once(environ, start, body, asked)
        return self._lose(environ, answer)

    def _run_once(self, environ: dict[str, Any], start: Start, body: bytes, asked: dict[str, str]) -> Answer:
        token, digest = asked["ClientToken"], hashlib.sha256(body).hexdigest()
        before, made = self._tokens.get(token, ("", ""))
        if before and before != digest:
            return _error(start, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent "
                          "with arguments used in previous request(s).")  # fmt: skip
        if made:
            return self._again(environ, start, made)
        self._tokens[token] = (digest, "")
        if problem := self._shortage(asked):
            return _error(start, *problem)
        known = {one.id for one in self.instances()}
        answer = list(self._moto(environ, start))
        new = [one for one in self.instances() if one.id not in known]
        for one in new:
            self._tokens[token] = (digest, one.id)
            self._made[one.id] = (_tags(one).get("amasia:machine", ""), now(), one)
            one.lifecycle = "spot" if asked.get("InstanceMarketOptions.MarketType") == "spot" else None
            self.launched[_tags(one).get("amasia:machine", "")] += 1
            if self._count("untagged"):
                self.backend.delete_tag_keys([one.id], list(_tags(one)))
            if self.faults.late:
                self._hide(one, self.faults.late)
        return answer

    def _end(self, environ: dict[str, Any], start: Start, asked: dict[str, str]) -> Answer:
        """As often as anybody likes: moto fails at the second time."""
        named = [one for one in self.instances() if one.id == asked["InstanceId.1"]]
        if named and named[0]._state.name == "terminated":
            return _xml(start, "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>")
        if named:
            self._ends[named[0].id] = now()
        return self._locked(environ, start)

    def _again(self, environ: dict[str, Any], start: Start, made: str) -> Answer:
        """The token's own instance, as it is."""
        one = self._made[made][2]
        if one._state.name != "running":
            return _error(start, "IdempotentInstanceTerminated", "The client token you have provided is associated "
                          "with a terminated instance.")  # fmt: skip
        inner = (
            f"<item><instanceId>{one.id}</instanceId><instanceType>{one.instance_type}</instanceType>"
            f"<placement><availabilityZone>{one.placement.zone}</availabilityZone></placement>"
            + (f"<instanceLifecycle>{one.lifecycle}</instanceLifecycle>" if one.lifecycle else "")
            + "</item>"
        )
        return _xml(start, f"<RunInstancesResponse><instancesSet>{inner}</instancesSet></RunInstancesResponse>")

    def _shortage(self, asked: dict[str, str]) -> tuple[str, str, str] | None:
        kind, zone = asked["InstanceType"], self.zones.get(asked.get("NetworkInterface.1.SubnetId", ""), "")
        spot = asked.get("InstanceMarketOptions.MarketType") == "spot"
        if self.faults.no_room & {(kind, zone, spot), ("*", zone, spot)}:
            return ("InsufficientInstanceCapacity", f"We currently do not have sufficient {kind} capacity in {zone}.",
                    "500 Internal Server Error")  # fmt: skip
        if self.faults.quota is not None and len(self.running()) >= self.faults.quota:
            return ("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows.",
                    "400 Bad Request")  # fmt: skip
        return None

    def _hide(self, instance: Any, seconds: float) -> None:
        reservations = self.backend.reservations
        key = next(key for key, each in reservations.items() if instance in each.instances)
        hidden = reservations.pop(key)
        threading.Timer(seconds, lambda: reservations.setdefault(key, hidden)).start()

    def _lose(self, environ: dict[str, Any], answer: Answer) -> Answer:
        if self._count("lost"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer

    def _locked(self, environ: dict[str, Any], start: Start) -> Answer:
        with self._lock:
            return list(self._moto(environ, start))

    def _count(self, fault: str) -> bool:
        with self._lock:
            left = getattr(self.faults, fault)
            setattr(self.faults, fault, max(0, left - 1))
            return bool(left > 0)

    # --- lists that moto does not have --------------------------------------------------------------------------------

    def _GetParameters(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 (AWS's name)
        """Images by the public parameters' names."""
        arch = {name: "arm64" if "arm64" in name else "x86_64" for name in asked["Names"]}
        return {"Parameters": [{"Name": name, "Value": self.images[arch[name]]} for name in arch]}

    def _GetProducts(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        kind = next(one["Value"] for one in asked["Filters"] if one["Field"] == "instanceType")
        if kind not in self.prices:
            return {"PriceList": []}
        hours = {"unit": "Hrs", "pricePerUnit": {"USD": self.prices[kind]}}
        return {"PriceList": [json.dumps({"terms": {"OnDemand": {"x": {"priceDimensions": {"y": hours}}}}})]}

    def _GetServiceQuota(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Quota": {"QuotaCode": asked["QuotaCode"], "Value": 64.0}}


def _tags(instance: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in instance.get_tags()}


def _error(start: Start, code: str, message: str, status: str = "400 Bad Request") -> Answer:
    inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
    return _xml(start, f"<Response>{inner}<RequestID>0</RequestID></Response>", status)


def _xml(start: Start, text: str, status: str = "200 OK") -> Answer:
    return _send(start, text, "text/xml", status)


def _json(start: Start, body: dict[str, Any]) -> Answer:
    return _send(start, json.dumps(body), "application/x-amz-json-1.1", "200 OK")


def _send(start: Start, text: str, kind: str, status: str) -> Answer:
    body = text.encode()
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
