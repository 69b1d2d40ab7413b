"""What people are told goes out: by signed requests to their webhooks, and by e-mail.

A request goes to the very address that was checked, follows nothing, and its answer is not read.
"""

import hashlib
import hmac
import json
import smtplib
import socket
import ssl
import time
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import httpx2

from amasia import errors
from amasia.database.engine import Database
from amasia.models.channels import ChannelKind, Sending
from amasia.models.endpoints import check_address, host_of
from amasia.services import channels
from amasia.settings import ServerSettings

TIMEOUT = 10.0


def send(db: Database, settings: ServerSettings) -> None:
    """One round: each that is due, once. One that does not go out is tried again later."""
    for one in channels.claim(db):
        try:
            (_mail if one.channel.kind is ChannelKind.email else _post)(settings, one)
        except (errors.AmasiaError, httpx2.HTTPError, OSError, smtplib.SMTPException) as error:
            channels.failed(db, one, f"{type(error).__name__}: {error}"[:300])
        else:
            channels.sent(db, one)


def sign(secret: str, at: int, body: bytes) -> str:
    """``t=TIME,v1=HMAC``: SHA-256 of the time, a full stop and the body, keyed with the channel's secret."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _post(_: ServerSettings, one: Sending) -> None:
    url = one.channel.address
    host = host_of(url)
    body = json.dumps(one.alert.model_dump(mode="json")).encode()
    headers = {
        "Content-Type": "application/json",
        "Host": urlsplit(url).netloc,
        "Amasia-Signature": sign(one.secret, int(time.time()), body),
    }
    place = httpx2.URL(url).copy_with(host=_resolved(url, host, private=one.channel.private))
    with httpx2.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        request = client.build_request("POST", place, content=body, headers=headers, extensions={"sni_hostname": host})
        response = client.send(request, stream=True)
        response.close()
    if not response.is_success:
        raise errors.Unavailable(f"it answered {response.status_code}")


def _resolved(url: str, host: str, *, private: bool) -> str:
    """An address of the host, all of which were checked: a name that changes in between is of no use to anybody."""
    found = [str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    for address in found:
        check_address(url, ip_address(address), private=private)
    return found[0]


def _mail(settings: ServerSettings, one: Sending) -> None:
    url = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["From"] = settings.smtp_from
    message["To"] = one.channel.address
    message["Subject"] = f"Amasia: the budget {one.alert.budget} of {one.alert.workspace}, {one.alert.percent} %"
    message["Message-ID"] = f"<alert-{one.alert.id}-{one.channel.id}@amasia>"
    message.set_content(f"{one.alert.text}\n\n{settings.url}/{one.alert.workspace}/costs\n")
    secure = ssl.create_default_context()
    host, port = url.hostname or "", url.port or (465 if url.scheme == "smtps" else 587)
    with (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=secure)
        if url.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=TIMEOUT)
    ) as server:
        server.ehlo()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=secure)
            server.ehlo()
        if url.username:
            if not isinstance(server.sock, ssl.SSLSocket):
                raise errors.Unavailable(
                    "the mail server offers no encryption, and would get the password in the clear"
                )
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
