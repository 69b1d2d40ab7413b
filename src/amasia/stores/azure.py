"""Lending on Azure Blob Storage: shared access signatures (SAS) for a repository's own container or directory.

Needs ``amasia[azure]``. Only the server imports this.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from azure.core import exceptions
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.filedatalake import generate_directory_sas

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import Bucket, Lease, Mode

_SKEW = timedelta(minutes=5)
"""A key that is good from now on is not yet good where the clock is behind."""
_MODES = {Mode.read: "r", Mode.write: "rcwl"}
_ADMINISTER = "rcwdl"


def sign(bucket: Bucket, key: str, place: Lease, expires_at: datetime, *, own: bool, administer: bool) -> str:
    """A signature for one repository.

    Parameters
    ----------
    key
        The account's; empty for the control plane's own identity, with which Azure then signs (user delegation).
    place
        Which account, container and prefix, and to do what.
    own
        Whether the container is this repository's alone. Else the signature is for a directory, of which only accounts
        with a hierarchical namespace know.
    administer
        For the control plane: makes the container where it is missing, and may list and delete all that is in it.

    Raises
    ------
    StoreDown, PermissionDenied, InvalidRequest
    """
    with _told(bucket):
        base64.b64decode(key, validate=True)
        signer: Any = key or _service(bucket, key, place.account).get_user_delegation_key(now() - _SKEW, expires_at)
        if administer and own:
            _make(bucket, key, place)
        letters = _ADMINISTER if administer else _MODES[place.mode]
        # A stand-in without TLS is the only one that may be spoken to without.
        how = {"expiry": expires_at, "protocol": "https,http" if bucket.endpoint.startswith("http://") else "https"}
        if own or administer:
            permission = ContainerSasPermissions.from_string(letters)
            by = {"account_key": key} if key else {"user_delegation_key": signer}
            return str(generate_container_sas(place.account, place.bucket, permission=permission, **by, **how))
        return str(generate_directory_sas(place.account, place.bucket, place.prefix, signer, letters, **how))


def drop(bucket: Bucket, key: str, account: str, container: str) -> None:
    """Delete a repository's own container, if it is still there.

    Raises
    ------
    StoreDown, PermissionDenied, InvalidRequest
    """
    with _told(bucket):
        try:
            _service(bucket, key, account).delete_container(container)
        except exceptions.ResourceNotFoundError:
            return


def _make(bucket: Bucket, key: str, place: Lease) -> None:
    try:
        _service(bucket, key, place.account).create_container(place.bucket)
    except exceptions.ResourceExistsError:
        return


def _service(bucket: Bucket, key: str, account: str) -> BlobServiceClient:
    where = bucket.endpoint or f"https://{account}.blob.core.windows.net"
    credential: Any = {"account_name": account, "account_key": key} if key else DefaultAzureCredential()
    return BlobServiceClient(
        where, credential=credential, connection_timeout=3, read_timeout=10, retry_total=1, initial_backoff=1,
        increment_base=1,
    )  # fmt: skip


@contextmanager
def _told(bucket: Bucket) -> Iterator[None]:
    """Azure's errors in Amasia's words."""
    where = f"Azure's store of bucket {bucket.name!r}"
    try:
        yield
    except (exceptions.ServiceRequestError, exceptions.ServiceResponseError) as error:
        raise errors.StoreDown(
            f"{where} did not answer ({str(error)[:200]}).", cure="Nothing was changed; try again when it does."
        ) from error
    except ValueError as error:  # not base64
        raise errors.InvalidRequest(
            f"The key of bucket {bucket.name!r} is no account key of Azure's.",
            cure="It is on the account's page, under access keys.",
        ) from error
    except exceptions.HttpResponseError as error:
        said = getattr(error, "error_code", None) or error.reason or error.message[:200]
        if error.status_code and error.status_code >= 500:
            raise errors.StoreDown(f"{where} failed ({said}).", cure="Nothing was changed; try again.") from error
        raise errors.PermissionDenied(
            f"{where} lends no credentials ({said}).",
            cure="Is the account key right and allowed? The control plane's own identity needs the roles Storage Blob "
            "Data Contributor and Storage Blob Delegator.",
        ) from error
