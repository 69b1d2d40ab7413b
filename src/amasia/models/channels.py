"""Where else somebody is told of their budgets."""

import re
from enum import StrEnum

from pydantic import Field, model_validator

from amasia.models.alerts import Alert
from amasia.models.base import Model, Name, Time

_EMAIL = re.compile(r"[^@\s<>,;:\"'()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII)


class ChannelKind(StrEnum):
    email = "email"
    webhook = "webhook"


class ChannelRequest(Model):
    kind: ChannelKind
    address: str = Field(max_length=500)
    """An e-mail address, or an https URL."""

    @model_validator(mode="after")
    def addressed(self) -> "ChannelRequest":
        if self.kind is ChannelKind.email and not _EMAIL.fullmatch(self.address):
            raise ValueError(f"{self.address!r} is no e-mail address")
        return self


class Channel(Model):
    id: str
    user: Name
    kind: ChannelKind
    address: str
    private: bool = False
    """Its address may be a private one: an operator made it, or the control plane allows it."""
    reason: str = ""
    """Why the last try failed; empty where it did not."""
    created_at: Time


class NewChannel(Model):
    """A channel as it is shown once, to whom it belongs."""

    channel: Channel
    secret: str = Field(default="", repr=False)
    """Of a webhook: each request is signed with it."""


class Sending(Model):
    """An alert that is to go out by a channel."""

    id: int
    tries: int
    alert: Alert
    channel: Channel
    secret: str = Field(default="", repr=False)
