"""What people are told goes out: by signed requests to their webhooks, and by e-mail."""

import json
import smtplib
import ssl
from email.message import EmailMessage
from functools import partial
from urllib.parse import unquote, urlsplit

import httpx2

from amasia import errors
from amasia.database.engine import Database
from amasia.models.channels import ChannelKind, Sending
from amasia.reconcilers import webhooks
from amasia.reconcilers.lanes import Lanes
from amasia.reconcilers.webhooks import TIMEOUT
from amasia.services import channels
from amasia.settings import ServerSettings

_lanes = Lanes()


def send(db: Database, settings: ServerSettings) -> None:
    """One round: each that is due, once. One that does not go out is tried again later, and one whose receiver does
    not answer delays only what goes there."""
    _lanes.run(channels.claim(db), lambda one: f"{one.alert.workspace}/{one.channel.id}", partial(_send, db, settings))


def _send(db: Database, settings: ServerSettings, one: Sending) -> bool:
    try:
        (_mail if one.channel.kind is ChannelKind.email else _post)(settings, one)
    except (errors.AmasiaError, httpx2.HTTPError, OSError, smtplib.SMTPException) as error:
        channels.failed(db, one, f"{type(error).__name__}: {error}"[:300])
    else:
        channels.sent(db, one)
    return True


def _post(_: ServerSettings, one: Sending) -> None:
    body = json.dumps(one.alert.model_dump(mode="json")).encode()
    webhooks.post(one.channel.address, one.secret, body, "application/json", private=one.channel.private)


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
