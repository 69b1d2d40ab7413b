"""Whether the control plane may go where a location says that its hosts, or its cloud, are."""

import socket
from ipaddress import ip_address
from typing import Any

from amasia.errors import Unavailable
from amasia.models.endpoints import check_address, host_of
from amasia.models.locations import Place


def check_endpoint(place: Place, url: str) -> None:
    """Look up the name of an endpoint, and refuse it if any of its addresses is not allowed.

    Asked when a client is made. That the name means another address later leads nowhere: endpoints are spoken to by
    TLS, and whoever is there has no certificate for the name.

    Raises
    ------
    InvalidRequest
        An address is not public, and no operator registered the location.
    Unavailable
        The name has no address.
    """
    if not url:
        return
    try:
        found = socket.getaddrinfo(host_of(url), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"The endpoint {url} of location {place.name!r} has no address ({error}).",
            cure="Is its name right, and can the control plane look up names?",
        ) from error
    checked(f"endpoint {url}", found, private=place.private_endpoints)


def checked(what: str, found: list[Any], *, private: bool) -> list[str]:
    """The addresses that `getaddrinfo` found, when all of them are allowed.

    Raises
    ------
    InvalidRequest
    """
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        check_address(what, ip_address(address.partition("%")[0]), private=private)
    return addresses
