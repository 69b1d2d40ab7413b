"""Signed requests to addresses that people gave.

A request goes to the very address that was checked, follows nothing, and its answer is not read.
"""

import hashlib
import hmac
import socket
import time
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2

from amasia import errors
from amasia.models.endpoints import check_address, host_of

TIMEOUT = 10.0


def post(url: str, secret: str, body: bytes, kind: str, *, private: bool) -> None:
    """Send it once; an error where it was not taken.

    Parameters
    ----------
    kind
        The content type.
    private
        Whether a private or loopback address will do.
    """
    host = host_of(url)
    headers = {
        "Content-Type": kind,
        "Host": urlsplit(url).netloc,
        "Amasia-Signature": sign(secret, int(time.time()), body),
    }
    place = httpx2.URL(url).copy_with(host=_resolved(url, host, private=private))
    with httpx2.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        request = client.build_request("POST", place, content=body, headers=headers, extensions={"sni_hostname": host})
        response = client.send(request, stream=True)
        response.close()
    if not response.is_success:
        raise errors.Unavailable(f"it answered {response.status_code}")


def sign(secret: str, at: int, body: bytes) -> str:
    """``t=TIME,v1=HMAC``: SHA-256 of the time, a full stop and the body, keyed with the secret."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _resolved(url: str, host: str, *, private: bool) -> str:
    """An address of the host, all of which were checked: a name that changes in between is of no use to anybody."""
    found = [str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    for address in found:
        check_address(url, ip_address(address), private=private)
    return found[0]
