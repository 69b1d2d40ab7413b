"""Publications: turned on and off by admins, served by a process that may read what is published and nothing else."""

from typing import Annotated

from fastapi import APIRouter, Request

from amasia import errors
from amasia.api.access import Db, Granted, Settings, granted, publisher, seen
from amasia.models.base import Page
from amasia.models.grants import Level
from amasia.models.publications import Publication, PublicationRequest
from amasia.models.repositories import Lease, LeaseRequest, Mode
from amasia.models.users import Principal
from amasia.services import publications, repositories

router = APIRouter(tags=["publications"])

Reader = granted(Level.read, "publication.read")
Admin = Annotated[Granted, granted(Level.admin, "publication.set")]
Server = Annotated[Principal, publisher("publication.serve")]

ONE = "/workspaces/{workspace}/repositories/{name}/publication"


@router.get("/workspaces/{workspace}/publications")
def find(db: Db, settings: Settings, workspace: str, who: Annotated[Principal, seen()]) -> Page[Publication]:
    return Page(items=tuple(each.at_base(settings.publish_url) for each in publications.find(db, who, workspace)))


@router.get(ONE, dependencies=[Reader])
def get(db: Db, settings: Settings, workspace: str, name: str) -> Publication:
    return publications.get(db, workspace, name).at_base(settings.publish_url)


@router.put(ONE)
def put(
    db: Db, settings: Settings, request: Request, workspace: str, name: str, grant: Admin, body: PublicationRequest
) -> Publication:
    if not request.app.state.publishes:
        raise errors.Unavailable(
            "Nothing would serve it: the libraries that publish are not installed where this control plane runs.",
            cure="Its operator installs them there and starts it again: pip install 'amasia[server,publish]'. "
            "Where another process serves (`amasia publish serve`), AMASIA_PUBLISH=false says so.",
        )
    return publications.put(db, grant.who, workspace, name, body).at_base(settings.publish_url)


@router.delete(ONE, status_code=204)
def delete(db: Db, workspace: str, name: str, grant: Admin) -> None:
    publications.delete(db, grant.who, workspace, name)


@router.get("/publications/{workspace}/{name}", dependencies=[publisher("publication.serve")])
def look(db: Db, settings: Settings, workspace: str, name: str) -> Publication:
    return publications.get(db, workspace, name).at_base(settings.publish_url)


@router.post("/publications/{workspace}/{name}/credentials")
def lend(db: Db, settings: Settings, request: Request, workspace: str, name: str, who: Server) -> Lease:
    """For reading, whatever the asker's workspace roles are: it has none."""
    place = publications.lend(db, who, workspace, name)
    seconds = repositories.life(settings, who, LeaseRequest())
    lease: Lease = request.app.state.lend(place, Mode.read, f"@{who.actor}", seconds)
    return lease
