"""Where a lease's store is: for Icechunk, and for people."""

from amasia.models.repositories import BucketKind, Lease

OTHER_CLOUDS = (BucketKind.gcs, BucketKind.azure)
"""Those that speak no S3."""
_NAMES = {BucketKind.gcs: "Google Cloud", BucketKind.azure: "Azure"}


def settings(lease: Lease) -> dict[str, str]:
    """What Icechunk has to be told of a store of Google's or Azure's that is not where those always are."""
    if not lease.endpoint:
        return {}
    name = "google_base_url" if lease.kind is BucketKind.gcs else "azure_storage_endpoint"
    return {name: lease.endpoint, "allow_http": str(lease.endpoint.startswith("http://")).lower()}


def where(lease: Lease) -> str:
    """Its address, or whose it is."""
    return lease.endpoint or _NAMES.get(lease.kind, "AWS")
