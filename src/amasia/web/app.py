"""The console as an application of its own beside the API: each keeps its own kind of errors."""

from fastapi import Depends, FastAPI
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from amasia.database.engine import Database
from amasia.settings import ServerSettings
from amasia.web import (
    accounts,
    answers,
    budgets,
    clusters,
    costs,
    datasets,
    events,
    health,
    locations,
    oidc,
    pages,
    people,
    repositories,
    secrets,
    users,
    views,
    workspaces,
)
from amasia.web.access import same_origin


class Files(StaticFiles):
    """Our own scripts and styles. Their addresses change with their content, so a browser asks once."""

    def file_response(self, *args: object, **keywords: object) -> Response:
        response = super().file_response(*args, **keywords)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class Beside(Mount):
    """All paths but the API's, which answers unknown ones itself."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope.get("path", "").startswith("/v1/"):
            return Match.NONE, {}
        return super().matches(scope)


def create(db: Database, settings: ServerSettings) -> FastAPI:
    """The pages alone."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(same_origin)])
    app.state.db = db
    app.state.settings = settings
    oidc.install(app, db, settings)
    answers.install(app)
    app.mount("/-/static", Files(directory=pages.STATIC))
    of_people = (users, oidc, accounts, health)
    of_workspaces = (people, events, workspaces, costs, budgets, clusters, locations, repositories, views, secrets)
    for noun in (datasets, *of_people, *of_workspaces):
        app.include_router(noun.router)
    return app


def install(app: FastAPI, db: Database, settings: ServerSettings) -> None:
    """Serve the console on every path of ``app`` that is not the API's. Call it after the API's routes are there."""
    console = create(db, settings)
    console.state.health, console.state.rounds = app.state.health, app.state.rounds
    console.state.rates = app.state.rates
    app.router.routes.append(Beside("", app=answers.Guarded(console), name="console"))
