"""The clients of Compute Engine, and what Google's errors mean for a machine."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import google.auth
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError, ServerError
from google.api_core.retry import Retry, if_exception_type
from google.auth import exceptions
from google.cloud import compute_v1
from google.oauth2 import service_account

from amasia import errors
from amasia.models.locations import Place
from amasia.providers.clouds import Outcome, Problem
from amasia.providers.ways import check_endpoint

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKENS = "https://oauth2.googleapis.com/token"
SECONDS = 20.0
"""For an answer; Google's own clients would wait for ten minutes."""
RETRY = Retry(predicate=if_exception_type(ServerError), initial=0.2, maximum=2.0, timeout=5.0)
"""For what only looks. Where Google asks for fewer calls, whoever called comes again later."""
ROOM = ("ZONE_RESOURCE_POOL_EXHAUSTED", "STOCKOUT", "RESOURCE_POOL_EXHAUSTED", "resourcePoolExhausted")
QUOTA = ("QUOTA_EXCEEDED", "quotaExceeded", "LIMIT_EXCEEDED", "limitExceeded")
THROTTLED = ("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "dailyLimitExceeded")
ROLE = "Compare its role with: amasia location policy gcp"


class Failed(Exception):
    """An operation that Google accepted and that ended badly."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


WRONG = (GoogleAPICallError, exceptions.GoogleAuthError, requests.RequestException, Failed)
"""What a call may raise."""


class Calls:
    """Clients for one place, by its key or the control plane's own identity."""

    def __init__(self, place: Place, project: str, endpoint: str) -> None:
        self.place, self.endpoint, self._project = place, endpoint, project

    @cached_property
    def identity(self) -> tuple[Any, str]:
        """Credentials and the project that they belong to.

        Raises
        ------
        InvalidRequest
        """
        key = self.place.secrets.get("key", "")
        if key:
            info = self._key(key)
            credentials = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
            return credentials, self._project or str(info.get("project_id", ""))
        try:
            credentials, project = google.auth.default(scopes=[SCOPE])
        except exceptions.DefaultCredentialsError as error:
            raise translate(error, "anything") from error
        return credentials, self._project or project or ""

    @property
    def project(self) -> str:
        return self.identity[1]

    @cached_property
    def instances(self) -> compute_v1.InstancesClient:
        return self._client(compute_v1.InstancesClient)

    @cached_property
    def operations(self) -> compute_v1.ZoneOperationsClient:
        return self._client(compute_v1.ZoneOperationsClient)

    @cached_property
    def types(self) -> compute_v1.MachineTypesClient:
        return self._client(compute_v1.MachineTypesClient)

    @cached_property
    def regions(self) -> compute_v1.RegionsClient:
        return self._client(compute_v1.RegionsClient)

    @cached_property
    def images(self) -> compute_v1.ImagesClient:
        return self._client(compute_v1.ImagesClient)

    def _client[C](self, kind: type[C]) -> C:
        check_endpoint(self.place, self.endpoint)
        options = ClientOptions(api_endpoint=self.endpoint or None)
        return kind(credentials=self.identity[0], transport="rest", client_options=options)  # type: ignore[call-arg]

    def _key(self, text: str) -> dict[str, Any]:
        """Other kinds of credentials name files to read and addresses to send them to: those are not for users."""
        try:
            info = json.loads(text)
            kind, service = info.get("type"), str(info.get("token_uri", TOKENS))
        except (ValueError, AttributeError):
            raise self._no_key("it is no JSON object") from None
        if kind != "service_account":
            raise self._no_key(f"its type is {kind!r}")
        if service != TOKENS and not (self.endpoint and service.startswith(f"{self.endpoint.rstrip('/')}/")):
            raise self._no_key(f"its token_uri is {service!r}")
        try:
            service_account.Credentials.from_service_account_info(info)
        except ValueError:
            raise self._no_key("it is not complete") from None
        return dict(info)

    def _no_key(self, why: str) -> errors.InvalidRequest:
        return errors.InvalidRequest(
            f"The key of location {self.place.name!r} is no service account's key of Google's: {why}.",
            cure='Make one (IAM, service accounts, keys, JSON) and give its file: key = "@key.json" under [secrets].',
        )


@contextmanager
def told(action: str) -> Iterator[None]:
    """Errors of Google as ours."""
    try:
        yield
    except WRONG as error:
        raise translate(error, action) from error


def problem(error: Exception, action: str) -> Problem:
    """What is known of a machine whose start ended with this."""
    told = translate(error, action)
    found, status = code(error), getattr(error, "code", 0)
    if found.startswith(ROOM) or found in QUOTA:
        return Problem(Outcome.room, told)
    if isinstance(error, Failed) or found in THROTTLED or isinstance(error, exceptions.GoogleAuthError):
        return Problem(Outcome.refused, told)
    if isinstance(error, GoogleAPICallError) and status and 400 <= int(status) < 500 and int(status) != 408:
        return Problem(Outcome.refused, told)
    return Problem(Outcome.lost, told)


def code(error: Exception) -> str:
    """Google's word for it."""
    if isinstance(error, Failed):
        return error.code
    if isinstance(error, GoogleAPICallError) and error.errors:
        first = error.errors[0]
        return str(first.get("reason", "")) if isinstance(first, dict) else ""
    return ""


def translate(error: Exception, action: str) -> errors.AmasiaError:
    """One clear error with its cure."""
    found, said = code(error), _said(error)
    status = int(error.code or 0) if isinstance(error, GoogleAPICallError) else 0
    if found.startswith(ROOM):
        return errors.NoCapacity(
            f"Google has no room: {said}", cure="It is tried again; more zones or machine types find room sooner."
        )
    if found in QUOTA:
        return errors.Unavailable(
            f"A quota of the project is reached: {said}",
            cure="Stop something, or ask Google for more: console, IAM and admin, Quotas.",
        )
    if found in THROTTLED or status == 429:
        return errors.Unavailable("Google asks for fewer calls.", cure="It is tried again, later each time.")
    if status == 401 or (isinstance(error, exceptions.GoogleAuthError) and not _down(error)):
        return errors.InvalidRequest(
            f"Google refuses the key of this location: {said}",
            cure="Make a new key, and register the location again with it under [secrets].",
        )
    if status == 403:
        return errors.InvalidRequest(f"The key of this location may not {action}: {said}", cure=ROLE)
    if isinstance(error, Failed) or 400 <= status < 500:
        return errors.InvalidRequest(f"Google refuses {action}: {said}", cure="See amasia location check.")
    return errors.Unavailable(f"Google did not answer {action}: {said}", cure="It is tried again.")


def _down(error: Exception) -> bool:
    return isinstance(error, exceptions.TransportError) or bool(getattr(error, "retryable", False))


def _said(error: Exception) -> str:
    """Google's own sentence, without the request that it answers."""
    text = error.said if isinstance(error, Failed) else getattr(error, "message", "") or str(error)
    return f"{re.sub(r'^[A-Z]+ https?://[^ ]+: ', '', str(text))[:300].rstrip('.')}."
