"""Repositories and the history of each: who committed what, from which data, at what cost."""

from fastapi import APIRouter, Request, Response

from amasia.errors import NotFound
from amasia.services import diffs, grants, publications, refs, repositories, storage, views
from amasia.web import pages
from amasia.web.access import Db, Member, Settings, Viewer

router = APIRouter(prefix="/{workspace}/repositories")


@router.get("")
def find(request: Request, db: Db, grant: Member, workspace: str) -> Response:
    return pages.render(
        request,
        "repositories.html",
        **pages.place(db, grant, workspace, "repositories"),
        repositories=grants.visible(db, grant.who, workspace),
        newest=repositories.newest(db, workspace),
    )


@router.get("/{name}")
def get(request: Request, db: Db, settings: Settings, grant: Viewer, workspace: str, name: str) -> Response:
    found = repositories.get(db, workspace, name)
    published = publications.look(db, workspace, name)
    return pages.render(
        request,
        "repository.html",
        **pages.place(db, grant, workspace, "repositories"),
        repository=found,
        views=views.of_repository(db, grant.who, found),
        commits=repositories.commits(db, workspace, name),
        stored=storage.bill(db, workspace, name, 1),
        published=published.at_base(settings.publish_url) if published else None,
    )


@router.get("/{name}/commits/{snapshot}")
def get_commit(request: Request, db: Db, grant: Viewer, workspace: str, name: str, snapshot: str) -> Response:
    """What one commit changed, in words and as a picture."""
    (commit,) = refs.history(db, workspace, name, snapshot, 1)
    try:
        diff = diffs.get(db, workspace, name, snapshot)
    except NotFound:  # the first commit has nothing before it, and a new one is compared within seconds
        diff = None
    return pages.render(
        request,
        "commit.html",
        **pages.place(db, grant, workspace, "repositories"),
        repository=repositories.get(db, workspace, name),
        commit=commit,
        diff=diff,
    )
