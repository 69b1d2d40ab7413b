"""A command line, or a machine without a browser, that asks to be let in (RFC 8628)."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from amasia.models.base import Model, Time
from amasia.models.users import NewToken


class DeviceStatus(StrEnum):
    pending = "pending"
    approved = "approved"
    denied = "denied"
    expired = "expired"
    """Or never there, or answered before."""


def _plain(value: str) -> str:
    """People decide by it, so it may not hide or turn round what stands beside it."""
    if not value.isprintable():
        raise ValueError("it has characters that cannot be seen")
    return value


class DeviceRequest(Model):
    label: Annotated[str, AfterValidator(_plain)] = Field(default="device", min_length=1, max_length=100)
    """What the token will be called, such as the host's name."""
    days: int = Field(default=90, ge=1, le=366)
    """Life of the token."""


class Device(Model):
    """What is asked for, as people see it before they answer."""

    id: str
    label: str
    days: int
    source: str
    """Address that it asks from."""
    status: DeviceStatus = DeviceStatus.pending
    created_at: Time
    expires_at: Time


class DeviceCodes(Model):
    """Answer to whoever asks: one code to keep, one to show."""

    device_code: str = Field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    """Seconds."""
    interval: int
    """Seconds between two polls at least."""


class DevicePoll(Model):
    device_code: str = Field(repr=False, max_length=200)


class DeviceAnswer(Model):
    status: DeviceStatus
    token: NewToken | None = None
    """Once, where it was approved."""
