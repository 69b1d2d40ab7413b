"""The clients of EC2 and its neighbours, and what AWS's errors mean for a machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.loaders import create_loader

from amasia import errors
from amasia.models.locations import Place

ROOM = {
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacity",
    "UnfulfillableCapacity",
    "InsufficientFreeAddressesInSubnet",
    "SpotMaxPriceTooLow",
    "Unsupported",
    "UnsupportedOperation",
}
QUOTA = {
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "SpotInstanceCountLimitExceeded",
    "VolumeLimitExceeded",
    "AddressLimitExceeded",
}
KEY = {
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "OptInRequired",
    "Blocked",
    "PendingVerification",
}
DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestThrottled",
    "EC2ThrottledException",
    "SlowDown",
}
TYPE = {"InvalidInstanceType", "InvalidInstanceType.NotFound"}
TAKEN = {"IdempotentParameterMismatch"}
"""The token was used before with another request: by a try that nobody here wrote down."""
OVER = {"IdempotentInstanceTerminated"}
"""It was made, and has ended: no other try is to be made, and its tag tells the rest."""
POLICY = "Compare its rights with: amasia location policy aws"


class Outcome(Enum):
    """What an error of a start says about the machine."""

    room = "not here, perhaps elsewhere"
    lost = "it may have been made"
    taken = "the token was used before"
    refused = "it was not made"


class Calls:
    """Clients for one place, by its keys or the control plane's own identity, as a role where one is to be assumed."""

    def __init__(self, place: Place, role: str, external_id: str) -> None:
        self.region = place.region
        self.session = _session(place, role, external_id)

    @cached_property
    def once(self) -> Any:
        """EC2, each call sent once: no room is told as an error of the server, which would be tried again and again."""
        return self.client("ec2", {"total_max_attempts": 1})

    @cached_property
    def ec2(self) -> Any:
        return self.client("ec2")

    def client(self, name: str, retries: dict[str, Any] | None = None, region: str = "") -> Any:
        config = Config(
            connect_timeout=5, read_timeout=30, retries=retries or {"mode": "standard", "total_max_attempts": 3}
        )
        return self.session.client(name, region_name=region or self.region, config=config)

    def pages(self, verb: str, key: str, **request: Any) -> Iterator[Any]:
        """Every item of a list, in as many answers as it needs.

        Raises
        ------
        Unavailable
            There is no answer just now.
        InvalidRequest
            The answer is no.
        """
        with told(f"ec2:{_title(verb)}"):
            for page in self.ec2.get_paginator(verb).paginate(**request):
                yield from page[key]


@contextmanager
def told(action: str) -> Iterator[None]:
    """Errors of AWS as ours."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, action) from error


def code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def outcome(error: Exception) -> Outcome:
    """What is known of a machine whose start ended with this."""
    found = code(error)
    if found in ROOM | QUOTA:
        return Outcome.room
    if found in TAKEN:
        return Outcome.taken
    if found in OVER:
        return Outcome.lost
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return Outcome.lost if status >= 500 and found not in THROTTLED else Outcome.refused
    return Outcome.refused if isinstance(error, NoCredentialsError | ParamValidationError) else Outcome.lost


def translate(error: Exception, action: str) -> errors.AmasiaError:
    """One clear error with its cure."""
    found, said = code(error), _said(error)
    if found in ROOM:
        return errors.Unavailable(
            f"AWS has no room: {said}", cure="It is tried again; more subnets, zones or machine types find room sooner."
        )
    if found in QUOTA:
        return errors.Unavailable(
            f"A quota of the AWS account is reached: {said}",
            cure="Stop something, or ask AWS for more: console, Service Quotas, Amazon EC2.",
        )
    if found in KEY or isinstance(error, NoCredentialsError):
        return errors.InvalidRequest(
            f"AWS refuses the key of this location: {said}",
            cure="Make a new key, and register the location again with it under [secrets].",
        )
    if found in DENIED:
        return errors.InvalidRequest(f"The key of this location may not {action}: {said}", cure=POLICY)
    if found in THROTTLED:
        return errors.Unavailable(f"AWS asks for fewer calls ({found}).", cure="It is tried again, later each time.")
    if found in TYPE:
        return errors.InvalidRequest(f"This region has no such machine type: {said}", cure="See amasia location show.")
    if outcome(error) is Outcome.lost:
        return errors.Unavailable(f"AWS did not answer {action}: {said}", cure="It is tried again.")
    return errors.InvalidRequest(f"AWS refuses {action}: {said}", cure="See amasia location check.")


def _said(error: Exception) -> str:
    """AWS's own sentence, without what is only for its support."""
    if isinstance(error, ClientError):
        problem = error.response.get("Error", {})
        text = str(problem.get("Message", "")).split(" Encoded authorization failure message")[0]
        return f"{text.rstrip('.')} ({problem.get('Code', 'no code')})."
    return f"{error}".rstrip(".") + "."


def _title(verb: str) -> str:
    return "".join(word.title() for word in verb.split("_"))


LOADER = create_loader()
"""The descriptions of AWS's services are large: read once for all locations."""


def _session(place: Place, role: str, external_id: str) -> Any:
    secrets = place.secrets
    own = boto3.session.Session(
        botocore_session=_core(),
        aws_access_key_id=secrets.get("access_key"),
        aws_secret_access_key=secrets.get("secret_key"),
        aws_session_token=secrets.get("session_token"),
        region_name=place.region,
    )
    if not role:
        return own
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=_in_region(own, place.region),
        source_credentials=own.get_credentials(),
        role_arn=role,
        extra_args={"RoleSessionName": f"amasia-{place.plane}"} | ({"ExternalId": external_id} if external_id else {}),
    )
    assumed = _core()
    vars(assumed)["_credentials"] = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return boto3.session.Session(botocore_session=assumed, region_name=place.region)


def _core() -> Any:
    core = botocore.session.get_session()
    core.register_component("data_loader", LOADER)
    return core


def _in_region(session: Any, region: str) -> Callable[..., Any]:
    """STS of the place's own region: the global one is far, and off in some accounts."""

    def create(name: str, **arguments: Any) -> Any:
        return session._session.create_client(name, **({"region_name": region} | arguments))

    return create
