"""Locations: whether each is well, what runs there, who may use it; and what machines cost, here and there."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.models.base import Cursor
from amasia.models.locations import Location, Offer, Use
from amasia.models.permissions import GRANTS, Permission, Role
from amasia.models.sizes import GIB
from amasia.services import locations, standbys, workspaces
from amasia.web import pages
from amasia.web.access import Db, Manager, Reader

router = APIRouter(prefix="/{workspace}/locations")

SHOWN = 40
"""Machine types on one page."""
USERS = ", ".join(role.value for role in Role if Permission.run in GRANTS[role])
KINDS: dict[str, tuple[str, Callable[[Offer], bool]]] = {
    "": ("any", lambda offer: True),
    "gpu": ("with a GPU", lambda offer: offer.gpus > 0),
    "spot": ("to be had as spot", lambda offer: offer.spot_price is not None),
    "x86_64": ("x86_64", lambda offer: offer.arch == "x86_64"),
    "aarch64": ("aarch64", lambda offer: offer.arch == "aarch64"),
}
"""Which machine types, as the address says them: in words, and whether one is such."""
ORDERS: dict[str, tuple[str, Callable[[Offer], Any]]] = {
    "price": ("cheapest", lambda offer: 0),
    "spot": ("cheapest spot", lambda offer: _known_first(offer.spot_price)),
    "cpus": ("most CPUs", lambda offer: -offer.cpus),
    "memory": ("most memory", lambda offer: -offer.memory),
    "type": ("name", lambda offer: offer.type),
}
"""What is first, and the key to sort by; among equals the cheapest."""
Text = Annotated[str, Query(max_length=50)]


class Price(NamedTuple):
    location: Location
    offer: Offer


class Asked(NamedTuple):
    """What the form of prices says."""

    at: str
    cpus: str
    memory: str
    kind: str
    sort: str

    def pick(self, found: Iterable[Location]) -> list[Price]:
        if self.kind not in KINDS or self.sort not in ORDERS:
            raise errors.InvalidRequest("There is no such choice.", cure="Choose from the lists.")
        cpus, memory = _number(self.cpus), _number(self.memory) * GIB
        is_such, order = KINDS[self.kind][1], ORDERS[self.sort][1]
        fitting = [
            Price(location, offer)
            for location in found
            if self.at in ("", location.name)
            for offer in location.offers
            if offer.cpus >= cpus and offer.memory >= memory and is_such(offer)
        ]
        return sorted(fitting, key=lambda one: (order(one.offer), _known_first(one.offer.price), one.offer.type))


def asked(at: Text = "", cpus: Text = "", memory: Text = "", kind: Text = "", sort: Text = "price") -> Asked:
    return Asked(at.strip(), cpus.strip(), memory.strip(), kind, sort)


Wanted = Annotated[Asked, Depends(asked)]


@router.get("")
def find(request: Request, db: Db, grant: Reader, workspace: str, wanted: Wanted, after: Cursor = 0) -> Response:
    found = locations.find(db, workspace)
    return _page(request, "locations.html", wanted, found, after,
                 **_everywhere(db, grant, workspace),
                 locations=found,
                 use=locations.in_use(db, workspace),
                 nothing=Use(),
                 warm=standbys.find(db, workspace))  # fmt: skip


@router.get("/{name}")
def get(
    request: Request, db: Db, grant: Reader, workspace: str, name: str, wanted: Wanted, after: Cursor = 0
) -> Response:
    found = locations.get(db, workspace, name)
    return _page(request, "location.html", wanted._replace(at=""), [found], after,
                 **_everywhere(db, grant, workspace),
                 location=found,
                 machines=locations.machines_at(db, workspace, name),
                 warm=standbys.find(db, workspace, name))  # fmt: skip


@router.post("/{name}/check")
def check(db: Db, grant: Manager, workspace: str, name: str) -> Response:
    locations.check(db, grant.who, workspace, name)
    return RedirectResponse(f"/{workspace}/locations/{name}", status_code=303)


def _everywhere(db: Db, grant: Reader, workspace: str) -> dict[str, Any]:
    policy = workspaces.get(db, workspace)
    return {**pages.place(db, grant, workspace, "locations"), "policy": policy, "users": USERS}


def _page(request: Request, template: str, wanted: Asked, found: list[Location], after: int, **data: Any) -> Response:
    prices, problem = [], None
    try:
        prices = wanted.pick(found)
    except errors.InvalidRequest as error:  # said beside the form, which keeps what was written
        problem = error
    shown = prices[after : after + SHOWN]
    more = urlencode({**{key: value for key, value in wanted._asdict().items() if value}, "after": after + SHOWN})
    return pages.render(
        request,
        template,
        status=200 if problem is None else problem.status,
        asked=wanted,
        problem=problem,
        prices=shown,
        count=len(prices),
        more=more if len(prices) > after + SHOWN else "",
        kinds={key: words for key, (words, _) in KINDS.items()},
        orders={key: words for key, (words, _) in ORDERS.items()},
        **data,
    )


def _known_first(price: int | None) -> tuple[bool, int]:
    return price is None, price or 0


def _number(text: str) -> float:
    """What was written into a field of the form; nothing is none."""
    try:
        number = float(text or 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1e9:  # NaN is in no range
        raise errors.InvalidRequest(f"{text!r} is no number of CPUs or GiB.", cure="Write it as 4 or 0.5.")
    return number
