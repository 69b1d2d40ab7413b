"""Plain object storage behind a lease, by one library for all of it. Only the server imports this."""

from datetime import timedelta
from typing import Any

from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from amasia.models.repositories import BucketKind, Lease


def open(lease: Lease, *, tries: int = 3, seconds: int = 60) -> ObjectStore:
    """The bucket of a lease, with its rights and until its end.

    Parameters
    ----------
    tries, seconds
        Of one request.
    """
    common: dict[str, Any] = {
        "client_options": {
            "allow_http": lease.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=3),
            "timeout": timedelta(seconds=seconds),
        },
        "retry_config": {"max_retries": tries - 1},
    }
    if lease.kind is BucketKind.gcs:
        base: Any = {"base_url": lease.endpoint} if lease.endpoint else {}
        return GCSStore(lease.bucket, bearer_token=lease.session_token, **base, **common)
    where: Any = {"endpoint": lease.endpoint} if lease.endpoint else {}
    if lease.kind is BucketKind.azure:
        return AzureStore(lease.bucket, account_name=lease.account, sas_key=lease.session_token, **where, **common)
    return S3Store(
        lease.bucket, access_key_id=lease.access_key, secret_access_key=lease.secret_key,
        session_token=lease.session_token, region=lease.region, **where, **common,
    )  # fmt: skip
