"""Whether a location on EC2 can be used: its key, network, image, rights and quotas, looked at before any start."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors
from amasia.models.locations import Finding, Place
from amasia.providers.aws_calls import DENIED, POLICY, Calls, code, told, translate
from amasia.providers.aws_offers import Market
from amasia.providers.aws_options import AwsOptions
from amasia.providers.checks import look

NOBODY = "i-00000000000000000"
"""An instance that is not there: whether it may be ended is said all the same."""
ALLOWED = ("DryRunOperation", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
QUOTAS = {"L-1216C47A": "on demand", "L-34B43A08": "as spot"}
"""vCPUs of standard machines that may run at once."""


def check(
    place: Place,
    options: AwsOptions,
    calls: Calls,
    market: Market,
    image: Callable[[str], tuple[str, str]],
    trial: Callable[[], dict[str, Any]],
) -> list[Finding]:
    """Everything that was looked at. Only what no machine can do without carries the location's own name."""
    who = look(place.name, partial(_identity, calls))
    if not who.ok:
        return [who]
    found = [who, *_network(place.name, options, calls), *_images(image), *_types(market)]
    if all(one.ok for one in found):
        found += _rights(place.name, calls, trial)
    return [*found, *_quotas(calls)]


def _identity(calls: Calls) -> str:
    with told("sts:GetCallerIdentity"):
        return f"it works in {calls.region} as {calls.client('sts').get_caller_identity()['Arn']}"


def _network(name: str, options: AwsOptions, calls: Calls) -> Iterator[Finding]:
    def subnets() -> str:
        found = list(calls.pages("describe_subnets", "Subnets", SubnetIds=options.subnets))
        free = sum(one["AvailableIpAddressCount"] for one in found)
        zones = sorted({one["AvailabilityZone"] for one in found})
        if len({one["VpcId"] for one in found}) > 1:
            raise errors.InvalidRequest("Its subnets are not all in one VPC.", cure="Machines of a cluster must reach "
                                        "each other: give subnets of one VPC.")  # fmt: skip
        return f"{len(found)} subnets in {', '.join(zones)} with {free} free addresses"

    def groups() -> str:
        list(calls.pages("describe_security_groups", "SecurityGroups", GroupIds=options.security_groups))
        return f"{len(options.security_groups)} security groups are there"

    yield look(name, subnets)
    if options.security_groups:
        yield look(name, groups)
    if options.instance_profile:
        yield _profile(name, options, calls)


def _profile(name: str, options: AwsOptions, calls: Calls) -> Finding:
    profile = options.instance_profile
    try:
        calls.client("iam").get_instance_profile(InstanceProfileName=profile)
    except (ClientError, BotoCoreError) as error:
        if code(error) != "NoSuchEntity":
            return Finding(subject="instance profile", what=f"whether {profile!r} is there cannot be seen", ok=True)
        cure = "Make it, with the rights that machines are to have, or give another."
        return Finding(subject=name, what=f"there is no instance profile {profile!r}", ok=False, cure=cure)
    return Finding(subject="instance profile", what=f"machines have the rights of {profile}", ok=True)


def _images(image: Callable[[str], tuple[str, str]]) -> Iterator[Finding]:
    def found(kind: str) -> str:
        return f"machines boot from {image(kind)[0]}"

    for kind in ("x86_64", "aarch64"):
        yield look(f"image for {kind}", partial(found, kind))


def _types(market: Market) -> Iterator[Finding]:
    try:
        missing = market.missing()
    except errors.AmasiaError as error:
        yield Finding(subject="machine types", what=error.message.rstrip("."), ok=False, cure=error.cure)
        return
    for wish in missing:
        what = f"{market.calls.region} has no machine type {wish!r}"
        yield Finding(subject="machine types", what=what, ok=False, cure="Correct `types` in the options.")


def _rights(name: str, calls: Calls, trial: Callable[[], dict[str, Any]]) -> Iterator[Finding]:
    """Each right by a call that would have had it, and does nothing."""
    try:
        request = trial()
    except errors.AmasiaError as error:
        yield Finding(subject=name, what=error.message.rstrip("."), ok=False, cure=error.cure)
        return
    ec2 = calls.ec2
    tried: list[tuple[str, Callable[[], Any]]] = [
        ("ec2:RunInstances", partial(calls.once.run_instances, DryRun=True, **request)),
        ("ec2:TerminateInstances", partial(ec2.terminate_instances, InstanceIds=[NOBODY], DryRun=True)),
        ("ec2:GetConsoleOutput", partial(ec2.get_console_output, InstanceId=NOBODY, DryRun=True)),
        ("ec2:DescribeInstances", partial(ec2.describe_instances, DryRun=True)),
    ]
    for action, call in tried:
        try:
            call()
        except (ClientError, BotoCoreError) as error:
            if code(error) in ALLOWED:
                continue
            problem = translate(error, action)
            cure = POLICY if code(error) in DENIED else problem.cure
            yield Finding(subject=name, what=problem.message.rstrip("."), ok=False, cure=cure)
    yield Finding(
        subject="rights", what="starting, ending, looking and reading consoles were tried without doing", ok=True
    )


def _quotas(calls: Calls) -> Iterator[Finding]:
    client = calls.client("service-quotas")
    for quota, kind in QUOTAS.items():
        try:
            value = client.get_service_quota(ServiceCode="ec2", QuotaCode=quota)["Quota"]["Value"]
        except (ClientError, BotoCoreError):
            yield Finding(subject="quota", what=f"how many vCPUs may run {kind} cannot be seen", ok=True)
            continue
        cure = "" if value else "Ask AWS for more: console, Service Quotas, Amazon EC2."
        yield Finding(subject="quota", what=f"{value:g} vCPUs may run at once {kind}", ok=bool(value), cure=cure)
