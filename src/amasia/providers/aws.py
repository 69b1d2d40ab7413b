"""Machines on EC2: one `RunInstances` for each, marked and encrypted from its first moment, over all zones and types.

`RunInstances` and not `CreateFleet`: see docs/decisions/0022-one-run-instances-per-machine.md.
"""

import gzip
import re
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import batched
from threading import Lock
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors
from amasia.models.base import NAME, now
from amasia.models.locations import Finding, Offer, Place
from amasia.models.machines import Boot, Found, Machine
from amasia.models.money import parse
from amasia.providers import aws_checks, boots, options
from amasia.providers.aws_calls import Calls, Outcome, code, outcome, told, translate
from amasia.providers.aws_offers import Market
from amasia.providers.aws_options import AwsOptions
from amasia.providers.launches import Launch, Launches
from amasia.providers.markets import in_order

MACHINE, PLACE = "amasia:machine", "amasia:place"
"""Tags of everything that is made."""
DOUBT = 20.0
"""Seconds for which a machine that was asked for may be missing from AWS's lists, and may come to be."""
USER_DATA = 16 << 10
"""Bytes that EC2 takes."""
ALIVE = ("pending", "running")
HALTED = ("stopping", "stopped")
"""Somebody stopped it by hand: it is over, and what is left of it is ended."""
FAMILY = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"
IMAGES = {
    "x86_64": FAMILY.format("amd64"),
    "aarch64": FAMILY.format("arm64"),
    "gpu": "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
}
"""Parameters that name the newest image: Ubuntu 24.04, and with NVIDIA's driver for types with a GPU."""
REASONS = {
    "Server.SpotInstanceTermination": "AWS took it back (spot)",
    "Server.SpotInstanceShutdown": "AWS took it back (spot)",
    "Server.InsufficientInstanceCapacity": "AWS had no room for it after all",
    "Server.InternalError": "AWS failed to start it",
    "Client.InternalError": "its disk could not be used; where it is encrypted by a key of yours, may its role use it?",
    "Client.VolumeLimitExceeded": "the account's quota of disks is reached",
    "Client.InstanceInitiatedShutdown": "it shut itself down",
    "Client.UserInitiatedShutdown": "it was stopped",
}
NOTICE = """\
token=$(curl -fsS -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token) &&
curl -fsS -m 2 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/spot/instance-action |
sed -n 's/.*"time" *: *"\\([^"]*\\)".*/\\1/p'"""
"""Prints when AWS takes the machine back, once it has said so; two minutes before, as a rule."""


class Choice(NamedTuple):
    """One way to have a machine."""

    offer: Offer
    subnet: str
    zone: str
    spot: bool


class AwsProvider:
    """EC2 in one region, as one place sees it."""

    name = "aws"

    def __init__(self, place: Place) -> None:
        self.place = place
        self.options = options.read(AwsOptions, place, self.name)
        options.check_secrets(place, together=("access_key", "secret_key"), optional=("session_token",))
        if place.region == "here":
            raise errors.InvalidRequest(
                f"The location {place.name!r} has no region.", cure="Give one, such as --region eu-central-1."
            )
        self.calls = Calls(place, self.options.role, self.options.external_id)
        self.launches = Launches(place.home)
        prices = {name: int(parse(text)) for name, text in self.options.prices.items()}
        self.market = Market(self.calls, self.options.types, prices, place.home, ask_prices=self.options.price_list)
        self._images: dict[str, tuple[str, str]] = {}
        self._subnets: dict[str, str] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"AwsProvider({self.place.tag!r})"

    @property
    def prefix(self) -> str:
        """Of the client tokens of this control plane: what a machine has also when its tags were lost."""
        return f"amasia-{self.place.plane}-"

    def offers(self) -> list[Offer]:
        return self.market.offers(self.zones().values())

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        with self.launches.locked(machine.id):
            launch = self.launches.get(machine.id)
            if launch.handle or self.launches.is_stopped(machine.id):
                return launch.handle
            if seen := self._seen([machine.id]).get(machine.id):
                return self._made(machine.id, launch, seen)
            refusal = self._ask(machine.id, launch) if launch.request else None
            for choice in () if isinstance(refusal, dict) else self._choices(machine):
                if self.launches.is_stopped(machine.id):
                    return {}
                launch = self._write_down(machine, boot, choice)
                refusal = self._ask(machine.id, launch)
                if isinstance(refusal, dict):
                    break
            if isinstance(refusal, dict):
                return refusal
            raise refusal or errors.Unavailable(
                f"No zone of location {self.place.name!r} has {machine.machine_type!r}.",
                cure="Give subnets in more zones, or allow more machine types.",
            )

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        ids = None if machines is None else [machine.id for machine in machines]
        seen = self._seen(ids)
        found = {machine_id: _found(machine_id, instance) for machine_id, instance in seen.items()}
        if ids is None:
            self.launches.forget(found)
            return found
        for machine_id in ids:
            if machine_id not in found and self._in_doubt(machine_id):
                found[machine_id] = Found(machine_id=machine_id, alive=True)
        return found

    def stop(self, machine_id: str) -> None:
        if not NAME.fullmatch(machine_id):
            return
        self.launches.stop(machine_id)
        listed = {one["InstanceId"]: _state(one) for one in self._instances([machine_id])}
        made = self.launches.get(machine_id).handle.get("instance")
        if made:
            listed.setdefault(made, ALIVE[0])
        for instance, state in listed.items():
            if state in ALIVE + HALTED:
                self._terminate(instance)

    def check(self) -> list[Finding]:
        found = aws_checks.check(self.place, self.options, self.calls, self.market, self.image, self._trial)
        return [*found, *(self.strays() if all(one.ok for one in found) else [])]

    def strays(self) -> list[Finding]:
        """Machines that this control plane asked for and that carry no mark of it: nobody else would ever end them."""
        filters = [
            {"Name": "client-token", "Values": [f"{self.prefix}*"]},
            {"Name": "instance-state-name", "Values": [*ALIVE, *HALTED]},
        ]
        pages = self.calls.pages("describe_instances", "Reservations", Filters=filters)
        found = [one for reservation in pages for one in reservation["Instances"] if MACHINE not in _tags(one)]
        return [
            Finding(
                subject=one["InstanceId"],
                what=f"it was asked for here at {one['LaunchTime']:%Y-%m-%d %H:%M} UTC, and has lost its tags",
                ok=False,
                cure=f"If nobody needs it: aws ec2 terminate-instances --instance-ids {one['InstanceId']}",
            )
            for one in found
        ]

    def console(self, machine: Machine) -> str:
        instance = machine.handle.get("instance") or self.launches.get(machine.id).handle.get("instance")
        if not instance:
            return ""
        with told("ec2:GetConsoleOutput"):
            return str(self.calls.ec2.get_console_output(InstanceId=instance).get("Output", ""))

    def zones(self) -> dict[str, str]:
        """Zone of each subnet, in the order of the options."""
        with self._lock:
            if not self._subnets:
                found = self.calls.pages("describe_subnets", "Subnets", SubnetIds=self.options.subnets)
                zone = {one["SubnetId"]: one["AvailabilityZone"] for one in found}
                self._subnets = {subnet: zone[subnet] for subnet in self.options.subnets}
            return self._subnets

    def image(self, kind: str) -> tuple[str, str]:
        """Id and root device of the image for an architecture, or ``gpu``."""
        with self._lock:
            if kind not in self._images:
                self._images[kind] = self._find_image(kind)
            return self._images[kind]

    def request(self, choice: Choice, machine_id: str, token: str, script: str) -> dict[str, Any]:
        """Everything at once, so that no machine is ever there without its marks. Plain data: it is kept until
        answered."""
        image, device = self.image("gpu" if choice.offer.gpus and choice.offer.arch == "x86_64" else choice.offer.arch)
        tags = self.options.tags | {"Name": f"amasia {machine_id}", MACHINE: machine_id, PLACE: self.place.tag}
        disk = {
            "VolumeSize": self.options.disk_gib,
            "VolumeType": "gp3",
            "Encrypted": True,
            "DeleteOnTermination": True,
        }
        asked: dict[str, Any] = {
            "ImageId": image,
            "InstanceType": choice.offer.type,
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": token,
            "UserData": self._pack(script),
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [
                {
                    "DeviceName": device,
                    "Ebs": disk | ({"KmsKeyId": self.options.kms_key} if self.options.kms_key else {}),
                }
            ],
            "NetworkInterfaces": [
                {
                    "DeviceIndex": 0,
                    "SubnetId": choice.subnet,
                    "AssociatePublicIpAddress": self.options.public_ip,
                    "DeleteOnTermination": True,
                }
                | ({"Groups": self.options.security_groups} if self.options.security_groups else {})
            ],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                for kind in ("instance", "volume", "network-interface")
            ],
        }
        if self.options.instance_profile:
            asked["IamInstanceProfile"] = {"Name": self.options.instance_profile}
        return asked

    # --- one start --------------------------------------------------------------------------------------------------

    def _choices(self, machine: Machine) -> Iterator[Choice]:
        """Each type in every zone, as `markets.in_order` has them."""
        zones = self.zones()
        own = self.market.get(machine.machine_type, zones.values())
        for offer, spot in in_order(machine, own):
            for subnet, zone in zones.items():
                if zone in offer.zones or not offer.zones:
                    yield Choice(offer, subnet, zone, spot)

    def _write_down(self, machine: Machine, boot: Boot, choice: Choice) -> Launch:
        """A token of its own for each try: AWS takes one again only for the very same request."""
        tries = self.launches.get(machine.id).tries + 1
        variables = self.options.variables
        script = boots.script(boot, self.options.root, poweroff=True, variables=variables, notice=NOTICE)
        told = sha256(f"{self.place.tag} {machine.id}".encode()).hexdigest()[:32]
        request = self.request(choice, machine.id, f"{self.prefix}{told}-{tries}", script)
        if choice.spot:
            request["InstanceMarketOptions"] = {
                "MarketType": "spot",
                "SpotOptions": {"SpotInstanceType": "one-time", "MaxPrice": f"{machine.price / 1_000_000:.6f}"},
            }
        launch = Launch(tries=tries, asked_at=now(), request=request)
        self.launches.put(machine.id, launch)
        return launch

    def _ask(self, machine_id: str, launch: Launch) -> dict[str, Any] | errors.AmasiaError:
        """The handle of what was made, or why there is no room for it.

        Raises
        ------
        Unavailable
            Nobody knows whether it was made: the same request tells, when it is sent again.
        InvalidRequest
        """
        request = launch.request | {"UserData": b64decode(launch.request["UserData"])}
        try:
            made = self.calls.once.run_instances(**request)["Instances"][0]
        except (ClientError, BotoCoreError) as error:
            result = outcome(error)
            if result is not Outcome.lost:
                self.launches.put(machine_id, launch.model_copy(update={"request": {}}))
            if result is Outcome.room:
                return translate(error, "ec2:RunInstances")
            if result is Outcome.taken:
                raise errors.Unavailable(
                    f"Machine {machine_id} was asked for before, and AWS does not list it.", cure="It is tried again."
                ) from error
            raise translate(error, "ec2:RunInstances") from error
        return self._made(machine_id, launch, made)

    def _made(self, machine_id: str, launch: Launch, instance: dict[str, Any]) -> dict[str, Any]:
        handle = {
            "instance": instance["InstanceId"],
            "machine_type": instance["InstanceType"],
            "zone": instance["Placement"]["AvailabilityZone"],
            "spot": instance.get("InstanceLifecycle") == "spot",
        }
        self.launches.put(machine_id, launch.model_copy(update={"request": {}, "handle": handle}))
        if self.launches.is_stopped(machine_id):
            self._terminate(handle["instance"])
        return handle

    def _find_image(self, kind: str) -> tuple[str, str]:
        name = self.options.images.get(kind, "")  # type: ignore[call-overload]
        if not name:
            with told("ssm:GetParameters"):
                answer = self.calls.client("ssm").get_parameters(Names=[IMAGES[kind]])["Parameters"]
            if not answer:
                raise errors.InvalidRequest(
                    f"{self.place.region} names no image for {kind}.", cure=f"Give one: images.{kind} in the options."
                )
            name = answer[0]["Value"]
        found = list(self.calls.pages("describe_images", "Images", ImageIds=[name]))
        if not found:
            raise errors.InvalidRequest(
                f"There is no image {name!r} in {self.place.region}.", cure=f"Give another: images.{kind}."
            )
        return name, found[0].get("RootDeviceName", "/dev/sda1")

    def _trial(self) -> dict[str, Any]:
        """A request as a start would send it."""
        zones = self.zones()
        offer = self.offers()[0]
        subnet = next((subnet for subnet, zone in zones.items() if zone in offer.zones), self.options.subnets[0])
        return self.request(Choice(offer, subnet, zones[subnet], False), "trial", f"{self.prefix}trial", "#!/bin/sh")

    @staticmethod
    def _pack(script: str) -> str:
        """Small, and the same bytes each time."""
        packed = gzip.compress(script.encode(), mtime=0)
        if len(packed) > USER_DATA:
            raise errors.InvalidRequest(
                f"The boot script has {len(packed)} bytes, and EC2 takes {USER_DATA}.", cure="Shorten `variables`."
            )
        return b64encode(packed).decode()

    # --- what AWS has -----------------------------------------------------------------------------------------------

    def _instances(self, ids: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        ours = {"Name": f"tag:{PLACE}", "Values": [self.place.tag]}
        for some in [None] if ids is None else batched(ids, 100):
            filters = [ours] if some is None else [ours, {"Name": f"tag:{MACHINE}", "Values": list(some)}]
            for reservation in self.calls.pages("describe_instances", "Reservations", Filters=filters):
                yield from (one for one in reservation["Instances"] if MACHINE in _tags(one))

    def _seen(self, ids: Sequence[str] | None) -> dict[str, dict[str, Any]]:
        """The one instance of each machine. A second, which no start here makes, is ended; so is what was halted."""
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in self._instances(ids):
            groups[_tags(one)[MACHINE]].append(one)
        seen = {}
        for machine_id, group in groups.items():
            own = self.launches.get(machine_id).handle.get("instance") if len(group) > 1 else None
            group.sort(key=lambda one: (_state(one) not in ALIVE, one["InstanceId"] != own, one["LaunchTime"]))
            seen[machine_id] = group[0]
            for number, one in enumerate(group):
                if _state(one) in HALTED or (number and _state(one) in ALIVE):
                    self._terminate(one["InstanceId"])
        return seen

    def _in_doubt(self, machine_id: str) -> bool:
        """Whether it may be there although AWS does not list it."""
        launch = self.launches.get(machine_id)
        asked = bool(launch.request or launch.handle)
        return asked and launch.asked_at is not None and now() - launch.asked_at < timedelta(seconds=DOUBT)

    def _terminate(self, instance: str) -> None:
        try:
            self.calls.ec2.terminate_instances(InstanceIds=[instance])
        except (ClientError, BotoCoreError) as error:
            if code(error) != "InvalidInstanceID.NotFound":
                raise translate(error, "ec2:TerminateInstances") from error


def _found(machine_id: str, instance: dict[str, Any]) -> Found:
    started = instance["LaunchTime"].astimezone(UTC)
    if _state(instance) in ALIVE:
        return Found(machine_id=machine_id, alive=True, started_at=started)
    why = instance.get("StateReason", {})
    reason = REASONS.get(why.get("Code", ""), why.get("Message", "") or "it ended, and AWS does not say why")
    ended = _ended(instance.get("StateTransitionReason", ""))
    stopped = max(ended, started) if ended else None
    return Found(machine_id=machine_id, alive=False, started_at=started, stopped_at=stopped, reason=reason)


def _ended(reason: str) -> datetime | None:
    """EC2 tells the time of an end only in words: ``User initiated (2026-11-01 12:00:00 GMT)``."""
    found = re.search(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)", reason)
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None


def _state(instance: dict[str, Any]) -> str:
    return str(instance["State"]["Name"])


def _tags(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
