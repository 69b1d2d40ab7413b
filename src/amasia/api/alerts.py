"""What people are told of budgets, and where else."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, Settings, may, person
from amasia.models.alerts import Alert
from amasia.models.base import Page
from amasia.models.channels import Channel, ChannelRequest, NewChannel
from amasia.models.permissions import Permission
from amasia.models.users import Principal
from amasia.services import alerts, channels

router = APIRouter(tags=["alerts"])

Reader = Annotated[Principal, person(writing=False)]
Writer = Annotated[Principal, person(writing=True)]


@router.get("/workspaces/{workspace}/alerts")
def find(db: Db, workspace: str, grant: Annotated[Grant, may(Permission.costs, "alert.list")]) -> Page[Alert]:
    return Page(items=tuple(alerts.find(db, grant.who, workspace)))


@router.post("/me/alerts")
def take(db: Db, who: Writer) -> Page[Alert]:
    return Page(items=tuple(alerts.take(db, who)))


@router.get("/me/channels")
def find_channels(db: Db, who: Reader) -> Page[Channel]:
    return Page(items=tuple(channels.find(db, who)))


@router.post("/me/channels", status_code=201)
def create_channel(db: Db, settings: Settings, who: Writer, body: ChannelRequest) -> NewChannel:
    mail = bool(settings.smtp_url.get_secret_value())
    return channels.create(db, who, body, private=settings.private_endpoints, mail=mail)


@router.delete("/me/channels/{channel_id}", status_code=204)
def delete_channel(db: Db, who: Writer, channel_id: str) -> None:
    channels.delete(db, who, channel_id)
