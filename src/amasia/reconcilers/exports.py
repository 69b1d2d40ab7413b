"""Events go where the operator keeps them: a file, a syslog server, a webhook. At least once, in the order of a chain.

What was handed over is remembered after it was: a crash in between sends it again. A receiver knows it by workspace
and number.
"""

import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.events import Event
from amasia.reconcilers import webhooks
from amasia.services import events
from amasia.settings import ServerSettings

Deliver = Callable[[Iterable[Event]], None]
TIMEOUT = 10.0
ANSWER = 2.0
PRIORITY = 13 * 8 + 6
"""Of syslog: facility 13 is the log of an audit, severity 6 informational."""
BATCHES = 20
"""Handed over in one round at most."""


def sinks(settings: ServerSettings) -> dict[str, Deliver]:
    """Each place outside that is set, and how events get there."""
    found: dict[str, Deliver] = {}
    if settings.audit_file is not None:
        found["file"] = partial(_write, settings.audit_file)
    if settings.audit_syslog:
        found["syslog"] = partial(_log, _parts(settings.audit_syslog))
    if settings.audit_webhook:
        found["webhook"] = partial(_post, settings.audit_webhook, settings.audit_secret.get_secret_value())
    return found


def send(db: Database, sink: str, deliver: Deliver) -> None:
    """One round for one place."""
    for _ in range(BATCHES):
        batch = events.claim(db, sink)
        if batch is None:
            return
        deliver(batch.events)
        events.exported(db, batch)


def drop(db: Database, settings: ServerSettings) -> None:
    """End the events whose time is over."""
    if settings.audit_days:
        events.drop(db, now() - timedelta(days=settings.audit_days), sinks(settings))


def _line(event: Event) -> bytes:
    return event.model_dump_json().encode()


def _write(path: Path, found: Iterable[Event]) -> None:
    """Added and on the disk when this returns. What a crash cut short stays a line of its own."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        text = b"".join(_line(event) + b"\n" for event in found)
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            text = b"\n" + text
        file.write(text)
        os.fsync(file.fileno())


def _post(url: str, secret: str, found: Iterable[Event]) -> None:
    body = b"".join(_line(event) + b"\n" for event in found)
    webhooks.post(url, secret, body, "application/x-ndjson", private=True)


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    by_net = parts.scheme in ("tcp", "udp") and parts.hostname and parts.port
    if not by_net and not (parts.scheme == "unix" and parts.path):
        raise errors.InvalidRequest(
            f"AMASIA_AUDIT_SYSLOG={url!r} is no place of a syslog server.",
            cure="Write tcp://HOST:PORT, udp://HOST:PORT or unix:///dev/log.",
        )
    return parts


def _log(place: SplitResult, found: Iterable[Event]) -> None:
    messages = [_message(event) for event in found]
    if place.scheme == "tcp":
        with socket.create_connection((place.hostname or "", place.port or 0), TIMEOUT) as stream:
            stream.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))
            stream.shutdown(socket.SHUT_WR)
            stream.settimeout(ANSWER)
            with suppress(TimeoutError):
                stream.recv(1)  # most servers close when they have read all; a reset is an error
        return
    family = socket.AF_UNIX if place.scheme == "unix" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(place.path if place.scheme == "unix" else (place.hostname, place.port))
        for one in messages:
            datagrams.send(one)


def _message(event: Event) -> bytes:
    """As RFC 5424 has it; the verb as the kind of message."""
    at = event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"<{PRIORITY}>1 {at} {socket.gethostname()} amasia - {event.verb[:32]} - ".encode() + _line(event)
