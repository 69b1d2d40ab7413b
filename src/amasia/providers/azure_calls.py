"""The client of Azure's Compute, and what Azure's errors mean for a machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import ClientSecretCredential, CredentialUnavailableError, DefaultAzureCredential
from azure.mgmt.compute import ComputeManagementClient

from amasia import errors
from amasia.models.locations import Place
from amasia.providers.clouds import Outcome, Problem
from amasia.providers.ways import check_endpoint

PUBLIC = "https://management.azure.com"
SECRETS = ("tenant_id", "client_id", "client_secret")
ROOM = {
    "SkuNotAvailable",
    "AllocationFailed",
    "ZonalAllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "AllocationTimeout",
    "SpotMaxPriceTooLow",
}
QUOTA = {"QuotaExceeded", "SpotQuotaExceeded"}
DENIED = {"AuthorizationFailed", "LinkedAuthorizationFailed", "LinkedAccessCheckFailed"}
ROLE = "Compare its role with: amasia location policy azure"


class Failed(Exception):
    """A machine that Azure accepted and then could not make."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


class Calls:
    """The client for one place, by its keys or the control plane's own identity."""

    def __init__(self, place: Place, subscription: str, endpoint: str, authority: str) -> None:
        self.place, self.subscription = place, subscription
        self.endpoint, self.authority = endpoint or PUBLIC, authority

    @cached_property
    def compute(self) -> ComputeManagementClient:
        for url in (self.endpoint, self.authority):
            check_endpoint(self.place, url)
        return ComputeManagementClient(
            self._credential(),
            self.subscription,
            base_url=self.endpoint,
            credential_scopes=[f"{self.endpoint}/.default"],
            connection_timeout=5,
            read_timeout=30,
            retry_total=2,
            retry_backoff_factor=0.2,
        )

    @property
    def machines(self) -> Any:
        return self.compute.virtual_machines

    def _credential(self) -> Any:
        own: dict[str, Any] = {"retry_total": 1}
        if self.authority:
            own |= {"authority": self.authority, "disable_instance_discovery": True}
        secrets = self.place.secrets
        if not secrets:
            return DefaultAzureCredential(exclude_interactive_browser_credential=True, **own)
        return ClientSecretCredential(*(secrets[key].strip() for key in SECRETS), **own)


@contextmanager
def told(action: str) -> Iterator[None]:
    """Errors of Azure as ours."""
    try:
        yield
    except AzureError as error:
        raise translate(error, action) from error


def problem(error: Exception, action: str) -> Problem:
    """What is known of a machine whose start ended with this."""
    told = translate(error, action)
    if code(error) in ROOM or is_quota(error):
        return Problem(Outcome.room, told)
    known = isinstance(error, Failed | ClientAuthenticationError | ServiceRequestError)
    if known or (isinstance(error, HttpResponseError) and 400 <= (error.status_code or 500) < 500):
        return Problem(Outcome.refused, told)
    return Problem(Outcome.lost, told)


def code(error: Exception) -> str:
    """Azure's word for it, the innermost one that we know."""
    if isinstance(error, Failed):
        return error.code
    if not isinstance(error, HttpResponseError) or error.error is None:
        return ""
    inner = [str(one.code) for one in error.error.details or ()]
    return next((one for one in inner if one in ROOM | QUOTA | DENIED), str(error.error.code or ""))


def is_quota(error: Exception) -> bool:
    """Azure says ``OperationNotAllowed`` for a quota of cores, and for much else."""
    return code(error) in QUOTA or (code(error) == "OperationNotAllowed" and "quota" in _said(error).lower())


def translate(error: Exception, action: str) -> errors.AmasiaError:
    """One clear error with its cure."""
    found, said = code(error), _said(error)
    status = error.status_code or 0 if isinstance(error, HttpResponseError) else 0
    if found in ROOM:
        return errors.NoCapacity(
            f"Azure has no room: {said}", cure="It is tried again; more zones or machine types find room sooner."
        )
    if is_quota(error):
        return errors.Unavailable(
            f"A quota of the subscription is reached: {said}",
            cure="Stop something, or ask Azure for more: portal, Subscriptions, Usage + quotas.",
        )
    if status == 429:
        return errors.Unavailable("Azure asks for fewer calls.", cure="It is tried again, later each time.")
    if found in DENIED or status == 403:
        return errors.InvalidRequest(f"The key of this location may not {action}: {said}", cure=ROLE)
    if isinstance(error, ClientAuthenticationError | CredentialUnavailableError) or status == 401:
        return errors.InvalidRequest(
            f"Azure refuses the key of this location: {said}",
            cure="Make a new secret, and register the location again with it under [secrets].",
        )
    if isinstance(error, Failed) or 400 <= status < 500:
        return errors.InvalidRequest(f"Azure refuses {action}: {said}", cure="See amasia location check.")
    return errors.Unavailable(f"Azure did not answer {action}: {said}", cure="It is tried again.")


def _said(error: Exception) -> str:
    """Azure's own sentence, without the answer that it came in."""
    if isinstance(error, Failed):
        return f"{error.said[:300].rstrip('.')} ({error.code})."
    problem = error.error if isinstance(error, HttpResponseError) else None
    text = problem.message if problem is not None else str(error).partition("\n")[0]
    return f"{str(text)[:300].rstrip('.')}" + (f" ({code(error)})." if code(error) else ".")
