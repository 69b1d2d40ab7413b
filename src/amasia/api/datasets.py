"""The catalog: searched over all that somebody may read, and looked at one by one."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from amasia import errors
from amasia.api.access import Db, Grant, may, person
from amasia.models.base import Page
from amasia.models.datasets import Box, Dataset, Details, seconds
from amasia.models.datasets import Query as Wanted
from amasia.models.permissions import Permission
from amasia.models.users import Principal
from amasia.services import datasets
from amasia.services.access import TASKS

router = APIRouter(tags=["datasets"])

Someone = Annotated[Principal, person(writing=False)]
Reader = Annotated[Grant, may(Permission.read, "dataset.read", TASKS)]
Group = Annotated[str, Query(description="Path in the repository.")]
PLACE = "/workspaces/{workspace}/repositories/{name}"


@router.get("/datasets")
def search(
    db: Db,
    who: Someone,
    q: Annotated[str, Query(max_length=500, description="Words, or beginnings of words.")] = "",
    variable: str = "",
    standard_name: str = "",
    bbox: Annotated[str, Query(description="west,south,east,north in degrees.")] = "",
    since: Annotated[str, Query(description="2020, 2020-07 or 2020-07-31T12:00:00Z")] = "",
    until: str = "",
    workspace: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    after: str = "",
    thumbnails: bool = False,
) -> Page[Dataset]:
    wanted = Wanted(
        text=q,
        variable=variable,
        standard_name=standard_name,
        box=box(bbox),
        since=moment(since),
        until=moment(until, last=True),
        workspace=workspace,
    )
    begin = offset(after)
    items = datasets.search(db, who, wanted, limit, begin, thumbnails=thumbnails)
    return Page(items=tuple(items), next=str(begin + limit) if len(items) == limit else "")


@router.get(f"{PLACE}/datasets")
def find(db: Db, workspace: str, name: str, grant: Reader) -> Page[Dataset]:
    repository = datasets.readable(db, grant.who, workspace, name, "dataset.list")
    return Page(items=tuple(datasets.find(db, repository)))


@router.get(f"{PLACE}/dataset")
def get(db: Db, workspace: str, name: str, grant: Reader, group: Group = "/") -> Details:
    return datasets.get(db, datasets.readable(db, grant.who, workspace, name, "dataset.get"), group)


@router.get(f"{PLACE}/preview", response_class=Response)
def preview(db: Db, workspace: str, name: str, grant: Reader, group: Group = "/", variable: str = "") -> Response:
    repository = datasets.readable(db, grant.who, workspace, name, "dataset.preview")
    return Response(datasets.preview(db, repository, group, variable), media_type="image/svg+xml")


def box(text: str) -> Box | None:
    """A box from ``west,south,east,north``, also with heights between, as GeoJSON has it."""
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    return corners(numbers, text)


def corners(numbers: list[float], said: object) -> Box:
    if len(numbers) == 6:
        numbers = [numbers[at] for at in (0, 1, 3, 4)]
    if len(numbers) != 4 or not all(-360 <= one <= 360 for one in numbers):
        raise errors.InvalidRequest(
            f"The box {said!r} is not understood.", cure="Write west,south,east,north in degrees, as -10,35,40,70."
        )
    west, south, east, north = numbers
    if south > north or abs(south) > 90 or abs(north) > 90:
        raise errors.InvalidRequest(
            f"The box {said!r} has its south at {south:g} and its north at {north:g}.",
            cure="Write west,south,east,north, with latitudes from -90 to 90.",
        )
    if east - west >= 360:
        west, east = -180.0, 180.0
    west, east = (one if -180 <= one <= 180 else (one + 180) % 360 - 180 for one in (west, east))
    return Box(west=west, south=south, east=east, north=north)


def moment(text: str, *, last: bool = False) -> int | None:
    if not text:
        return None
    try:
        return seconds(text, last=last)
    except ValueError as error:
        raise errors.InvalidRequest(f"{error}.", cure="For example: 2020-07.") from None


def offset(after: str) -> int:
    if not after:
        return 0
    if not after.isdecimal() or len(after) > 9:
        raise errors.InvalidRequest(f"{after!r} is the end of no page.", cure="Pass `next` of the page before.")
    return int(after)
