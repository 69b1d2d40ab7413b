"""The application: the field's own libraries speak the protocols; who may, which data and how much is decided here.

``/{workspace}/{repository}`` says what is there; ``/{workspace}/{repository}[/{group}]/{tiles|edr|opendap}…`` is
each protocol's own address.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import xarray as xr
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from xpublish import Dependencies, Plugin
from xpublish_edr import CfEdrPlugin
from xpublish_edr.format import area_formats, cube_formats, position_formats
from xpublish_edr.geometry.common import prepare_spatial_grid
from xpublish_edr.metadata import collection_metadata
from xpublish_tiles.config import config as tiles_config
from xpublish_tiles.grids import guess_grid_system
from xpublish_tiles.xpublish.tiles import TilesPlugin

from amasia import errors
from amasia.integrations.publishing import answers, opendap
from amasia.integrations.publishing.bounds import Bounded
from amasia.integrations.publishing.callers import Callers
from amasia.integrations.publishing.shelves import Shelves
from amasia.models.publications import Protocol, Publication
from amasia.settings import PublishSettings

WIDEST = 1024
"""Pixels of a tile's side."""
MESH_BYTES = 32
"""What the EDR library needs for each point of a grid to find those within an area."""
PLUGINS: dict[Protocol, type[Plugin]] = {
    Protocol.tiles: TilesPlugin,
    Protocol.edr: CfEdrPlugin,
}
PREFIXES = ("/{workspace}/{repository}", "/{workspace}/{repository}/{group:path}")
DAP = {"XDODS-Server": "dods/2.0"}


class Published:
    """The dataset of a request, for callers who may read it."""

    def __init__(self, settings: PublishSettings, url: str) -> None:
        self.shelves = Shelves(settings.publish_bytes)
        self.callers = Callers(url)
        self.limit = settings.publish_bytes

    def publication(self, request: Request) -> Publication:
        found = self.shelves.publication(request.path_params["workspace"], request.path_params["repository"])
        self.callers.check(found, request.headers.get("authorization", ""))
        return found

    def dataset(self, request: Request, protocol: Protocol, *, raw: bool = False) -> xr.Dataset:
        publication = self.publication(request)
        if protocol not in publication.protocols:
            raise errors.NotFound(
                f"{publication.full_name} is not published by {protocol.value}.",
                cure=f"It is by: {', '.join(each.value for each in publication.protocols)}.",
            )
        return self.shelves.dataset(publication, request.path_params.get("group", "").strip("/"), raw=raw)

    def tiles(self, request: Request) -> xr.DataTree:
        for side in ("width", "height"):
            if request.query_params.get(side, "0").isdigit() and int(request.query_params.get(side, "0")) > WIDEST:
                raise errors.TooLarge(f"A tile has at most {WIDEST} pixels a side.", cure="Ask for 256 or 512.")
        ds = self.dataset(request, Protocol.tiles)
        for name in request.query_params.get("variables", "").split(","):
            if name in ds.data_vars:
                answers.fitting("map tiles", partial(guess_grid_system, ds, name))
        return xr.DataTree(dataset=ds)

    def edr(self, request: Request) -> xr.Dataset:
        ds = self.dataset(request, Protocol.edr)
        grid = answers.fitting("OGC EDR", lambda: prepare_spatial_grid(ds, require_regular=True))
        points = ds.sizes[grid.spatial_ref.X] * ds.sizes[grid.spatial_ref.Y]
        if request.url.path.endswith("/area") and points * MESH_BYTES > self.limit * 4:
            raise errors.TooLarge(f"Areas are cut from grids of fewer points than {points}.", cure="Ask for a cube.")
        return ds

    def collection(self, request: Request) -> Any:
        """What EDR has of a dataset, with links that lead to it: the library's own lead to the root."""
        ds = self.edr(request)
        formats = (list(each()) for each in (position_formats, area_formats, cube_formats))
        text = json.dumps(collection_metadata(ds, *formats).dict(exclude_none=True), default=str)
        return json.loads(text.replace('"/edr/', f'"{str(request.url).partition("?")[0].rstrip("/")}/'))

    def opendap(self, request: Request) -> Response:
        ds = self.dataset(request, Protocol.opendap, raw=True)
        constraint = request.scope["query_string"].decode("latin-1")
        match request.path_params["answer"]:
            case "dds":
                return PlainTextResponse(opendap.dds(opendap.projected(ds, constraint)), headers=DAP)
            case "das":
                return PlainTextResponse(opendap.das(ds), headers=DAP)
            case "dods":
                content = opendap.dods(opendap.projected(ds, constraint))
                return Response(content, media_type="application/octet-stream", headers=DAP)
            case other:
                raise errors.NotFound(f"DAP 2 has no answer {other!r} here.", cure="There are .dds, .das and .dods.")

    def index(self, request: Request) -> dict[str, Any]:
        """What there is to read, and where."""
        publication = self.publication(request)
        root = str(request.url).partition("?")[0].rstrip("/")
        groups = {
            group or "/": {each.value: "/".join(filter(None, (root, group, each.value)))
                           for each in publication.protocols}
            for group in self.shelves.groups(publication)
        }  # fmt: skip
        return {
            "repository": publication.full_name,
            "snapshot": self.shelves.snapshot(publication),
            "public": publication.public,
            "groups": groups,
        }


def create(settings: PublishSettings, url: str) -> ASGIApp:
    """Everything that is published by the control plane at ``url``, which `amasia.client` is signed in to."""
    tiles_config.set(
        max_renderable_size=settings.publish_bytes,
        num_threads=settings.publish_requests,
        log_summary_writer=lambda _: None,
    )
    published = Published(settings, url)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    answers.install(app)
    app.add_api_route("/", lambda: {"ok": True})
    opened: dict[Protocol, Callable[[Request], Any]] = {
        Protocol.tiles: published.tiles, Protocol.edr: published.edr, Protocol.opendap: published.opendap,
    }  # fmt: skip
    app.include_router(TilesPlugin().app_router(Dependencies()))
    app.include_router(CfEdrPlugin().app_router())
    app.add_api_route("/{workspace}/{repository}", _answering(published.index))
    for where in PREFIXES:
        app.add_api_route(f"{where}/opendap.{{answer}}", published.opendap, response_model=None)
        app.add_api_route(f"{where}/edr/", published.collection)
    for protocol, plugin in PLUGINS.items():
        made = _dependency(opened[protocol])
        router = plugin().dataset_router(Dependencies(dataset=made, datatree=made))
        for where in PREFIXES:
            app.include_router(router, prefix=where)
    bounded = Bounded(
        ReadOnly(app),
        most=settings.publish_requests,
        seconds=settings.publish_seconds,
        bytes=settings.publish_bytes,
        answer=answers.answer,
    )
    # Pages of anybody may ask: there are no cookies here, so that nothing is given to a page that its user's token
    # was not given to.
    return CORSMiddleware(bounded, allow_origins=["*"], allow_methods=["GET", "HEAD"], allow_headers=["Authorization"])


class ReadOnly:
    """Questions in the address alone: the libraries take bodies of any length, too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            refused = errors.InvalidRequest(f"{scope['method']} is not understood here.", cure="Use GET.")
            return await JSONResponse(errors.to_wire(refused), status_code=405)(scope, receive, send)
        return await self.app(scope, receive, send)


def _dependency(open_: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def opened(request: Request) -> Any:
        return open_(request)

    return opened


def _answering(index: Callable[[Request], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get(found: dict[str, Any] = Depends(_dependency(index))) -> dict[str, Any]:  # noqa: B008
        return found

    return get
