"""Addresses that the control plane may be sent to by somebody who registers a bucket or a location."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from amasia.errors import InvalidRequest
from amasia.models.repositories import BucketKind

type Address = IPv4Address | IPv6Address

_NEVER = (ip_address("100.100.100.200"), ip_address("fd00:ec2::254"), ip_address("192.0.0.192"))
"""Where clouds tell machines their secrets, besides the link-local addresses."""
_NAT64 = ip_network("64:ff9b::/96")

_PREFIX = r"(?:/(?!.*\.\.)[\w.=/-]*)?"
_URIS = {
    BucketKind.gcs: (
        re.compile(rf"gs://[a-z0-9][a-z0-9._-]{{1,220}}[a-z0-9]{_PREFIX}", re.ASCII),
        "gs://bucket/prefix",
    ),
    BucketKind.azure: (
        re.compile(rf"az://[a-z0-9]{{3,24}}(?:/[a-z0-9](?:-?[a-z0-9]){{2,62}}{_PREFIX})?/?", re.ASCII),
        "az://account, or as az://account/container/prefix",
    ),
}
"""These go into hosts, conditions and signatures: nothing but names may be in them."""


def check_uri(kind: BucketKind, uri: str) -> None:
    """Refuse what is no bucket of Google's and no container of Azure's.

    Raises
    ------
    InvalidRequest
    """
    if kind not in _URIS:
        return
    pattern, form = _URIS[kind]
    if not pattern.fullmatch(uri):
        raise InvalidRequest(f"{uri!r} is no bucket of kind {kind.value!r}.", cure=f"Write it as {form}.")


def host_of(endpoint: str) -> str:
    """The host of an endpoint's URL.

    Raises
    ------
    InvalidRequest
        It is no plain http or https URL.
    """
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidRequest(f"The endpoint {endpoint!r} is no URL ({error}).", cure=_CURE) from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidRequest(f"The endpoint {endpoint!r} is no http or https URL.", cure=_CURE)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidRequest("An endpoint is an address only, without names, keys or parameters.", cure=_CURE)
    return host


def check_address(what: str, address: Address, *, private: bool) -> None:
    """Refuse an address that is not out in the world; private ones may be allowed, those of machines' secrets never.

    Parameters
    ----------
    what
        That is at this address: "endpoint https://…", "host 'node1'".

    Raises
    ------
    InvalidRequest
    """
    for one in _meant(address):
        never = one.is_link_local or one.is_unspecified or one.is_multicast or one in _NEVER
        if never or not (private or one.is_global):
            raise InvalidRequest(
                f"The {what} is at {address}, which is {'never allowed' if never else 'not public'}.",
                cure="Give it another address." if never else _PUBLIC,
            )


def check_literal(endpoint: str, *, private: bool) -> None:
    """What can be told without asking for the name: the rest is told when it is used."""
    if not endpoint:
        return
    host = host_of(endpoint)
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        return
    check_address(f"endpoint {endpoint}", address, private=private)


def _meant(address: Address) -> tuple[Address, ...]:
    """An address, and the one that is wrapped in it."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    inner = tuple(one for one in wrapped if one is not None)
    return inner if address.ipv4_mapped else (address, *inner)


_PUBLIC = (
    "Use a public address; or let an operator of the control plane register it, or set AMASIA_PRIVATE_ENDPOINTS=true."
)
_CURE = "Write it as https://s3.example.org."
