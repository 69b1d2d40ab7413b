"""Repositories and the history of each: who committed what, from which data, at what cost."""

from fastapi import APIRouter, Request, Response

from amasia.services import repositories, views
from amasia.web import pages
from amasia.web.access import Db, Reader

router = APIRouter(prefix="/{workspace}/repositories")


@router.get("")
def find(request: Request, db: Db, grant: Reader, workspace: str) -> Response:
    found = repositories.find(db, workspace)
    newest = {one.id: next(iter(repositories.commits(db, workspace, one.name, limit=1)), None) for one in found}
    return pages.render(
        request,
        "repositories.html",
        **pages.place(db, grant, workspace, "repositories"),
        repositories=found,
        newest=newest,
    )


@router.get("/{name}")
def get(request: Request, db: Db, grant: Reader, workspace: str, name: str) -> Response:
    found = repositories.get(db, workspace, name)
    return pages.render(
        request,
        "repository.html",
        **pages.place(db, grant, workspace, "repositories"),
        repository=found,
        views=views.of_repository(db, found),
        commits=repositories.commits(db, workspace, name),
    )
