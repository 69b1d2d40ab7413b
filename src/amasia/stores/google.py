"""Lending on Google Cloud Storage: an access token that is cut down to one repository by the token service itself.

Needs ``amasia[gcp]``. Only the server imports this.
"""

import json
from datetime import UTC, datetime
from typing import Any

import google.auth
import urllib3
from google.auth import exceptions
from google.auth.downscoped import AccessBoundaryRule as Rule
from google.auth.downscoped import AvailabilityCondition, CredentialAccessBoundary
from google.auth.transport.urllib3 import Request
from google.oauth2 import service_account, sts

from amasia import errors
from amasia.models.repositories import Bucket

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKENS = "https://oauth2.googleapis.com/token"
_EXCHANGE = "https://sts.googleapis.com/v1/token"
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS = "urn:ietf:params:oauth:token-type:access_token"

_READ = ("inRole:roles/storage.legacyObjectReader",)
_WRITE = (*_READ, "inRole:roles/storage.legacyBucketWriter")
"""To replace an object is to delete it, says Google: there is no right to write that leaves that out."""


def token(bucket: Bucket, key: str, name: str, prefix: str, *, writing: bool) -> tuple[str, datetime]:
    """(access token, end) that opens the objects below a prefix and nothing else. It ends within an hour.

    Parameters
    ----------
    key
        A service account's, as JSON; empty for the control plane's own identity.
    name, prefix
        Of the bucket as Google knows it, and of the repository in it.
    writing
        Whether the objects may be replaced, and their names be listed.

    Raises
    ------
    StoreDown, PermissionDenied
    InvalidRequest
        The key is no service account's, or sends us to somebody else's token service.
    """
    request = Request(urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=10), retries=False))
    try:
        whole = _identity(bucket, key)
        whole.refresh(request)
        answer = sts.Client(f"{bucket.endpoint.rstrip('/')}/v1/token" if bucket.endpoint else _EXCHANGE).exchange_token(
            request,
            grant_type=_GRANT,
            subject_token=whole.token,
            subject_token_type=_ACCESS,
            requested_token_type=_ACCESS,
            additional_options=_boundary(name, prefix, writing=writing).to_json(),
        )
    except exceptions.TransportError as error:
        raise errors.StoreDown(
            f"Google's token service did not answer for bucket {bucket.name!r} ({error}).",
            cure="Can the control plane reach it? Nothing was changed; try again then.",
        ) from error
    except exceptions.GoogleAuthError as error:
        raise _refused(bucket, error) from error
    # What was cut down ends with what it was cut from.
    return str(answer["access_token"]), whole.expiry.replace(tzinfo=UTC)


def _identity(bucket: Bucket, key: str) -> Any:
    if not key:
        return google.auth.default(scopes=[_SCOPE])[0]
    try:
        info = json.loads(key)
        kind, service = info.get("type"), info.get("token_uri", _TOKENS)
    except (ValueError, AttributeError) as error:
        raise _no_key(bucket, "it is no JSON object") from error
    # Other kinds of credentials name files to read and addresses to send them to: those are not for users to choose.
    if kind != "service_account":
        raise _no_key(bucket, f"its type is {kind!r}")
    if service != _TOKENS and not (bucket.endpoint and service.startswith(f"{bucket.endpoint.rstrip('/')}/")):
        raise _no_key(bucket, f"its token_uri is {service!r}")
    try:
        return service_account.Credentials.from_service_account_info(info, scopes=[_SCOPE])
    except ValueError as error:
        raise _no_key(bucket, "it is not complete") from error


def _boundary(name: str, prefix: str, *, writing: bool) -> CredentialAccessBoundary:
    # The slash at the end keeps `demo/re-1` from opening `demo/re-10`.
    where = f"resource.name.startsWith('projects/_/buckets/{name}/objects/{prefix}/')"
    if writing:
        where += f" || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('{prefix}/')"
    return CredentialAccessBoundary(
        [
            Rule(
                available_resource=f"//storage.googleapis.com/projects/_/buckets/{name}",
                available_permissions=list(_WRITE if writing else _READ),
                availability_condition=AvailabilityCondition(where),
            )
        ]
    )


def _no_key(bucket: Bucket, why: str) -> errors.AmasiaError:
    return errors.InvalidRequest(
        f"The key of bucket {bucket.name!r} is no service account's key of Google's: {why}.",
        cure="Make one in the console (IAM, service accounts, keys, JSON) and register the bucket with it.",
    )


def _refused(bucket: Bucket, error: Exception) -> errors.AmasiaError:
    return errors.PermissionDenied(
        f"Google lends no credentials for bucket {bucket.name!r} ({str(error)[:200]}).",
        cure="Is the key still valid, and may its account read, write, list and delete objects there? The bucket must "
        "have uniform bucket-level access.",
    )
