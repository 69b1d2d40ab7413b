"""Whether the control plane may go where a bucket says that its store is: asked before each use."""

import socket
from ipaddress import ip_address

from amasia import errors
from amasia.models.endpoints import check_address, host_of
from amasia.models.repositories import Bucket, BucketKind


def check(bucket: Bucket) -> None:
    """Look up the name of a bucket's endpoint, and refuse it if any of its addresses is not allowed.

    Raises
    ------
    InvalidRequest
        An address is not public, and no operator registered the bucket.
    StoreDown
        The name has no address.
    """
    if not bucket.endpoint or bucket.kind is BucketKind.embedded:
        return
    host = host_of(bucket.endpoint)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise errors.StoreDown(
            f"The store of bucket {bucket.name!r} at {bucket.endpoint} has no address ({error}).",
            cure="Is its name right, and can the control plane look up names?",
        ) from error
    for *_, address in found:
        found_at = ip_address(str(address[0]).partition("%")[0])
        check_address(f"endpoint {bucket.endpoint}", found_at, private=bucket.private_endpoint)
