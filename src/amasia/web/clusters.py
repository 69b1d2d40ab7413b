"""One cluster: its machines, how it started, what it says, and its end."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.models.clusters import Cluster
from amasia.models.machines import LogLine
from amasia.models.tunnels import gateway_url
from amasia.services import budgets, clusters, tunnels
from amasia.services.access import owner_or_manager
from amasia.web import pages
from amasia.web.access import Db, Reader, Runner, Settings, local

router = APIRouter(prefix="/{workspace}/clusters/{name}")

LINES = 200
"""Of the log, from its end."""


@router.get("")
def get(request: Request, db: Db, grant: Reader, workspace: str, name: str) -> Response:
    found = clusters.get(db, workspace, name)
    seen = grant.may_see_log(found)
    return pages.render(
        request,
        "cluster.html",
        **pages.place(db, grant, workspace, "home"),
        cluster=found,
        budget=budgets.get(db, workspace),
        log=_lines(found, clusters.tail(db, workspace, found.id)) if seen else None,
    )


@router.post("/stop")
def stop(db: Db, grant: Runner, workspace: str, name: str, next: Annotated[str, Form()] = "") -> Response:
    found = clusters.get(db, workspace, name)
    owner_or_manager(db, grant.who, workspace, grant.role, found.owner, "cluster.stop")
    clusters.stop(db, grant.who, workspace, found.id)
    return RedirectResponse(local(next or f"/{workspace}"), status_code=303)


@router.get("/dashboard")
def dashboard(request: Request, db: Db, settings: Settings, grant: Runner, workspace: str, name: str) -> Response:
    """To Dask's dashboard, at the gateway: another origin, which gets no cookie of the console's."""
    found, ticket = tunnels.ticket(db, grant.who, workspace, name)
    if not found.dashboard_address:
        raise errors.NotFound(
            f"Cluster {found.name!r} has no dashboard: its environment has no Bokeh.", cure="Add bokeh to it."
        )
    where = gateway_url(settings.gateway, str(request.base_url))
    return RedirectResponse(f"{where}/dashboards/{found.id}/open?ticket={ticket}", status_code=303)


def _lines(cluster: Cluster, pieces: list[LogLine]) -> list[tuple[str, str]]:
    """(machine, line) of the last lines; machines ship several lines at once."""
    names = {
        one.id: "scheduler" if one.role.value == "scheduler" else f"worker {one.index}" for one in cluster.machines
    }
    lines = [(names.get(piece.machine_id, ""), line) for piece in pieces for line in piece.text.splitlines()]
    return lines[-LINES:]
