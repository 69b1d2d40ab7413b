"""A STAC API over the catalog, for the tools that speak it. Beside ``/v1``, because clients take its root as it is."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from amasia import __version__, errors
from amasia.api.access import Db, seen
from amasia.models.base import Model
from amasia.models.datasets import Dataset
from amasia.models.datasets import Query as Wanted
from amasia.models.repositories import Bucket, Repository
from amasia.models.users import Principal
from amasia.services import datasets, repositories, searches, stac

router = APIRouter(prefix="/stac", tags=["stac"])

Someone = Annotated[Principal, seen()]
Limit = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str, Query(max_length=500)]
_GEOJSON = "application/geo+json"
_MOST = 200
"""Items of one page, whatever was asked for."""


class Search(Model):
    """Of STAC's item search what pystac-client and its like send."""

    collections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    bbox: tuple[float, ...] = ()
    datetime: str = ""
    limit: int = Field(default=10, ge=1)
    token: str = ""
    intersects: Any = None
    q: str = Field(default="", max_length=500)


@router.get("")
def landing(request: Request, who: Someone) -> dict[str, Any]:
    return stac.landing(_url(request), __version__)


@router.get("/conformance")
def conformance(who: Someone) -> dict[str, Any]:
    return {"conformsTo": list(stac.CONFORMS)}


@router.get("/collections")
def collections(db: Db, request: Request, who: Someone) -> dict[str, Any]:
    url = _url(request)
    found = [stac.collection(one, datasets.find(db, one), url) for one in datasets.collections(db, who)]
    links = [{"rel": "self", "href": f"{url}/collections"}, {"rel": "root", "href": url}]
    return {"collections": found, "links": links}


@router.get("/collections/{collection}")
def collection(db: Db, request: Request, who: Someone, collection: str) -> dict[str, Any]:
    repository = _repository(db, who, collection)
    return stac.collection(repository, datasets.find(db, repository), _url(request))


@router.get("/collections/{collection}/items")
def items(
    db: Db,
    request: Request,
    who: Someone,
    collection: str,
    bbox: str = "",
    datetime: str = "",
    limit: Limit = 10,
    token: str = "",
) -> JSONResponse:
    _repository(db, who, collection)
    wanted = Search(collections=(collection,), bbox=_floats(bbox), datetime=datetime, limit=limit, token=token)
    return _found(db, request, who, wanted, {"bbox": bbox, "datetime": datetime, "limit": limit})


@router.get("/collections/{collection}/items/{item}")
def item(db: Db, request: Request, who: Someone, collection: str, item: str) -> JSONResponse:
    repository = _repository(db, who, collection)
    there = [one for one in datasets.find(db, repository) if one.group in stac.groups_of(item)]
    if not there:
        raise errors.NotFound(f"There is no item {item!r} in the collection {collection!r}.")
    details = datasets.get(db, repository, there[0].group)
    return JSONResponse(stac.item(details, repository, _bucket(db, repository), _url(request)), media_type=_GEOJSON)


@router.get("/search")
def search(
    db: Db,
    request: Request,
    who: Someone,
    collections: str = "",
    ids: str = "",
    bbox: str = "",
    datetime: str = "",
    limit: Limit = 10,
    token: str = "",
    q: Text = "",
) -> JSONResponse:
    asked = {"collections": collections, "ids": ids, "bbox": bbox, "datetime": datetime, "limit": limit, "q": q}
    wanted = Search(
        collections=_parts(collections), ids=_parts(ids), bbox=_floats(bbox), datetime=datetime, limit=limit,
        token=token, q=q,
    )  # fmt: skip
    return _found(db, request, who, wanted, asked)


@router.post("/search")
def search_by_body(db: Db, request: Request, who: Someone, body: Search) -> JSONResponse:
    return _found(db, request, who, body, None)


def _found(db: Db, request: Request, who: Principal, wanted: Search, asked: dict[str, Any] | None) -> JSONResponse:
    """A page of items. The link to the next one repeats what was asked: as an address, or as a body."""
    if wanted.intersects is not None:
        raise errors.InvalidRequest("Searches by a geometry are not understood.", cure="Give its bbox.")
    if max(len(wanted.ids), len(wanted.collections)) > _MOST:
        raise errors.InvalidRequest(f"More than {_MOST} ids or collections at once.", cure="Ask for fewer.")
    url, begin, limit = _url(request), searches.offset(wanted.token), min(wanted.limit, _MOST)
    since, until = _interval(wanted.datetime)
    query = Wanted(
        text=wanted.q,
        box=searches.corners(list(wanted.bbox), wanted.bbox) if wanted.bbox else None,
        since=since,
        until=until,
        repositories=tuple("/".join(stac.repository_of(one)) for one in wanted.collections),
        groups=tuple(path for one in wanted.ids for path in stac.groups_of(one)),
    )
    found = datasets.search(db, who, query, limit, begin)
    features = _items(db, found, url)
    links: list[dict[str, Any]] = [{"rel": "root", "href": url}, {"rel": "self", "href": str(request.url)}]
    if len(found) == limit:
        links.append(_next(request, wanted, asked, begin + limit))
    answer = {"type": "FeatureCollection", "features": features, "links": links, "numberReturned": len(features)}
    return JSONResponse(answer, media_type=_GEOJSON)


def _next(request: Request, wanted: Search, asked: dict[str, Any] | None, token: int) -> dict[str, Any]:
    here = str(request.url).partition("?")[0]
    if asked is None:
        body = wanted.model_dump(mode="json", exclude_defaults=True) | {"token": str(token)}
        return {"rel": "next", "href": here, "type": _GEOJSON, "method": "POST", "body": body}
    query = urlencode({key: value for key, value in asked.items() if value} | {"token": token})
    return {"rel": "next", "href": f"{here}?{query}", "type": _GEOJSON, "method": "GET"}


def _items(db: Db, found: list[Dataset], url: str) -> list[dict[str, Any]]:
    """Each repository and bucket looked up once. Whoever found a dataset may read its repository."""
    known: dict[str, tuple[Repository, Bucket]] = {}
    made = []
    for one in found:
        if one.repository not in known:
            repository = repositories.get(db, *one.repository.split("/"))
            known[one.repository] = repository, _bucket(db, repository)
        repository, bucket = known[one.repository]
        made.append(stac.item(datasets.get(db, repository, one.group), repository, bucket, url))
    return made


def _repository(db: Db, who: Principal, collection: str) -> Repository:
    try:
        return datasets.readable(db, who, *stac.repository_of(collection), "stac.read")
    except errors.NotFound:
        cure = "`/stac/collections` lists those that you may read."
        raise errors.NotFound(f"There is no collection {collection!r}.", cure=cure) from None


def _bucket(db: Db, repository: Repository) -> Bucket:
    return next(one for one in repositories.find_buckets(db, repository.workspace) if one.name == repository.bucket)


def _interval(text: str) -> tuple[int | None, int | None]:
    """``2020-01-01T00:00:00Z``, or ``begin/end`` where ``..`` or nothing is an open end."""
    if not text:
        return None, None
    begin, slash, end = text.partition("/")
    if not slash:
        return searches.moment(begin), searches.moment(begin, last=True)
    first, last = ("" if one == ".." else one for one in (begin, end))
    return searches.moment(first), searches.moment(last, last=True)


def _floats(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise errors.InvalidRequest(
            f"The box {text!r} is not understood.", cure="Write west,south,east,north."
        ) from None


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _url(request: Request) -> str:
    """As the client wrote it, so that its links lead through the same proxy."""
    return f"{str(request.base_url).rstrip('/')}/stac"
