"""Devices that ask to be let in, and the ways in that there are."""

from typing import Annotated

from fastapi import APIRouter, Request

from amasia.api.access import Db, Settings, anyone, operator, source
from amasia.models.devices import DeviceAnswer, DeviceCodes, DevicePoll, DeviceRequest
from amasia.models.identities import InvitationRequest, NewInvitation, SignInWays
from amasia.models.users import Principal
from amasia.services import devices, identities

router = APIRouter(tags=["people"])


@router.get("/sign-in", dependencies=[anyone()])
def ways(request: Request, settings: Settings) -> SignInWays:
    return SignInWays(providers=request.app.state.providers, sign_up=settings.sign_up)


@router.post("/device", dependencies=[anyone()], status_code=201)
def begin(db: Db, settings: Settings, request: Request, body: DeviceRequest) -> DeviceCodes:
    return devices.begin(db, body, source(request), settings.url)


@router.post("/device/token", dependencies=[anyone()])
def poll(db: Db, request: Request, body: DevicePoll) -> DeviceAnswer:
    return devices.poll(db, body.device_code, source(request))


@router.post("/invitations", status_code=201)
def invite(
    db: Db, settings: Settings, who: Annotated[Principal, operator("user.invite")], body: InvitationRequest
) -> NewInvitation:
    return identities.invite(db, who, body, settings.url)
