"""Where else people are told of budgets: their own e-mail addresses and webhooks, and what is to go out by them."""

import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from amasia import errors
from amasia.database import channels as rows
from amasia.database import events
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.channels import Channel, ChannelKind, ChannelRequest, NewChannel, Sending
from amasia.models.endpoints import check_literal
from amasia.models.users import Principal

MOST = 10
"""Channels of a user."""
MAX_TRIES = 10
HOLD = timedelta(seconds=60)
"""So long somebody may be at work on what is to go out."""


def create(db: Database, who: Principal, request: ChannelRequest, *, private: bool, mail: bool) -> NewChannel:
    """From now on the caller's alerts go there too; ``private`` and ``mail`` say what this control plane can do."""
    private = private or who.operator
    if request.kind is ChannelKind.webhook:
        _check_url(request.address, private=private)
    elif not mail:
        raise errors.Conflict("This control plane sends no e-mail.", cure="Its operator can set AMASIA_SMTP_URL.")
    channel = Channel(id=new_id("ch"), user=who.user, kind=request.kind, address=request.address, private=private,
                      created_at=now())  # fmt: skip
    secret = secrets.token_urlsafe(32) if request.kind is ChannelKind.webhook else ""
    with db.write() as tx:
        own = rows.of_user(tx, who.user)
        if any((one.kind, one.address) == (channel.kind, channel.address) for one in own):
            raise errors.Conflict(
                f"You are told at {channel.address} already.", cure="Remove it first for a new secret."
            )
        if len(own) >= MOST:
            raise errors.TooLarge(f"You have {MOST} channels, which is the most.", cure="Remove one.")
        rows.create(tx, channel, db.seal(tx, secret))
        events.append(tx, actor=who.actor, verb="channel.create", target=channel.id, workspace=None,
                      source=who.source, kind=channel.kind)  # fmt: skip
    return NewChannel(channel=channel, secret=secret)


def find(db: Database, who: Principal) -> list[Channel]:
    with db.read() as tx:
        return rows.of_user(tx, who.user)


def delete(db: Database, who: Principal, channel_id: str) -> None:
    with db.write() as tx:
        if not rows.remove(tx, who.user, channel_id):
            raise errors.NotFound(f"You have no channel {channel_id!r}.", cure="`amasia alert channels` shows them.")
        events.append(tx, actor=who.actor, verb="channel.delete", target=channel_id, workspace=None,
                      source=who.source)  # fmt: skip


def claim(db: Database, limit: int = 20) -> list[Sending]:
    """What is to go out now; nobody else gets it for a minute."""
    with db.read() as tx:
        if not rows.waiting(tx):
            return []
    with db.write() as tx:
        found = rows.claim(tx, now(), now() + HOLD, limit)
    return [one.model_copy(update={"secret": db.unseal(sealed)}) for one, sealed in found]


def sent(db: Database, sending: Sending) -> None:
    with db.write() as tx:
        rows.finish(tx, sending.id)
        rows.fail(tx, sending.channel.id, "")


def failed(db: Database, sending: Sending, reason: str) -> None:
    """Later again, each time longer; given up after `MAX_TRIES`, which is some hours."""
    tries = sending.tries + 1
    with db.write() as tx:
        rows.fail(tx, sending.channel.id, reason)
        if tries < MAX_TRIES:
            rows.put_off(tx, sending.id, tries, now() + timedelta(seconds=min(3600, 5 * 2**tries)))
            return
        rows.finish(tx, sending.id)
        events.append(tx, actor="amasia", verb="channel.give-up", target=sending.channel.id,
                      workspace=sending.alert.workspace, alert=sending.alert.id)  # fmt: skip


def _check_url(url: str, *, private: bool) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (private and scheme == "http"):
        raise errors.InvalidRequest("A webhook is an https URL.", cure="Write it as https://hooks.example.org/amasia.")
    check_literal(url, private=private)
