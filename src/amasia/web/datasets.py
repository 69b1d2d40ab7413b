"""Datasets: found by words, place and time, and one page for each that may be sent to a colleague."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup

from amasia import errors
from amasia.models import citations
from amasia.models.datasets import Query as Wanted
from amasia.services import datasets, grants, repositories, searches
from amasia.web import pages
from amasia.web.access import Db, Member, Settings, Viewer

PAGE = 24
router = APIRouter()


@router.get("/-/xarray.css")
def style() -> Response:
    """The style sheet of Xarray's own picture of a dataset, as this Xarray has it."""
    return Response(_style(), media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


@router.get("/{workspace}/datasets")
def search(
    request: Request,
    db: Db,
    grant: Member,
    workspace: str,
    q: Annotated[str, Query(max_length=500)] = "",
    variable: str = "",
    bbox: str = "",
    since: str = "",
    until: str = "",
    after: str = "",
) -> Response:
    asked = {"q": q, "variable": variable, "bbox": bbox, "since": since, "until": until}
    found, problem, begin = [], None, 0
    try:
        begin = searches.offset(after)
        wanted = Wanted(
            text=q,
            variable=variable,
            box=searches.box(bbox),
            since=searches.moment(since),
            until=searches.moment(until, last=True),
            workspace=workspace,
        )
        found = datasets.search(db, grant.who, wanted, PAGE, begin, thumbnails=True)
    except errors.InvalidRequest as error:  # said beside the form, which keeps what was written
        problem = error
    more = {**asked, "after": begin + PAGE} if len(found) == PAGE else {}
    return pages.render(
        request,
        "datasets.html",
        status=200 if problem is None else problem.status,
        **pages.place(db, grant, workspace, "datasets"),
        asked=asked,
        found=[(one, Markup(one.thumbnail)) for one in found],  # noqa: S704  # drawn by `stores.pictures`, which escapes
        problem=problem,
        more=urlencode({key: value for key, value in more.items() if value}),
    )


@router.get("/{workspace}/datasets/{name}")
def get(
    request: Request, db: Db, settings: Settings, grant: Viewer, workspace: str, name: str, group: str = "/"
) -> Response:
    repository = datasets.readable(db, grant.who, workspace, name, "console.read")
    found = datasets.get(db, repository, group)
    drawn = {one: datasets.preview(db, repository, group, one) for one in found.previews}
    here = f"{settings.url}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
    return pages.render(
        request,
        "dataset.html",
        **pages.place(db, grant, workspace, "datasets"),
        dataset=found,
        repository=repository,
        drawn={key: Markup(svg) for key, svg in drawn.items()},  # noqa: S704  # drawn by `stores.pictures`, which escapes
        html=Markup(found.html),  # noqa: S704  # Xarray's, which escapes; and no script of it would run
        citations=citations.every(found, here),
        commits=repositories.commits(db, workspace, name, limit=5),
        readers=grants.find(db, repository),
        siblings=[one for one in datasets.find(db, repository) if one.group != group],
    )


@cache
def _style() -> str:
    """Found without importing Xarray, which takes a second and 100 MiB."""
    spec = find_spec("xarray")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "static" / "css" / "style.css").read_text()
