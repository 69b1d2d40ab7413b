"""Those that we are measured beside."""

import icechunk

from amasia.client.arrays import LeaseSource, Repository


def plain(repo: Repository) -> icechunk.Repository:
    """Icechunk by hand on the same prefix, with one lease of an hour."""
    record = repo.record
    lease = LeaseSource(record.workspace, record.name, record.id, "write")()
    storage = icechunk.s3_storage(
        bucket=lease.bucket,
        prefix=lease.prefix,
        region=lease.region,
        endpoint_url=lease.endpoint,
        allow_http=True,
        force_path_style=True,
        access_key_id=lease.access_key,
        secret_access_key=lease.secret_key,
        session_token=lease.session_token,
    )
    return icechunk.Repository.open(storage)
