"""The application: every router under ``/v1``."""

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

from fastapi import FastAPI

from amasia import __version__
from amasia.api import (
    alerts,
    answers,
    arrivals,
    bodies,
    cleanings,
    clusters,
    costs,
    datasets,
    devices,
    environments,
    events,
    grants,
    groups,
    health,
    keys,
    kits,
    limits,
    locations,
    machines,
    mcp,
    publications,
    rates,
    refreshes,
    refs,
    repositories,
    secrets,
    service_accounts,
    stac,
    standbys,
    users,
    views,
    workspaces,
)
from amasia.api.visits import Visits
from amasia.database.engine import Database
from amasia.environments.kits import Kit
from amasia.models.health import Round
from amasia.models.locations import Offer
from amasia.models.repositories import Lease, Mode
from amasia.services import access
from amasia.services import limits as limit_verbs
from amasia.services.rates import Rates
from amasia.services.repositories import Place
from amasia.settings import ServerSettings, issuers

Lend = Callable[[Place, Mode, str, int], Lease]
Pulse = Callable[[], tuple[str, dict[str, float]]]

NOUNS: tuple[ModuleType, ...] = (
    machines,  # the first: it is asked most, and routes are tried one after the other
    alerts,
    health,
    users,
    devices,
    workspaces,
    costs,
    events,
    groups,
    service_accounts,
    environments,
    repositories,
    refs,
    cleanings,
    arrivals,
    grants,
    datasets,
    views,
    refreshes,
    publications,
    locations,
    limits,
    standbys,
    clusters,
    secrets,
    keys,
    kits,
)


def create(
    db: Database,
    settings: ServerSettings,
    *,
    lend: Lend,
    pulse: Pulse = lambda: ("", {}),
    rounds: Callable[[], Sequence[Round]] = tuple,
    local_offers: Sequence[Offer] = (),
    kit: Callable[[], Kit | None] = lambda: None,
    publishes: bool = True,
) -> FastAPI:
    """The API on a database.

    ``lend`` asks an object store for short-lived credentials; ``pulse`` says the store's endpoint and the age of each
    reconciler's last round, ``rounds`` tells operators more of them; ``kit`` gives what machines fetch at their boot,
    None until it is made; ``publishes`` says whether anybody serves what is published.
    """
    app = FastAPI(
        title="Amasia",
        version=__version__,
        summary="The control plane: who may do what, what should be running, what it costs, which data exists.",
        docs_url=None,
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        lifespan=mcp.lifespan,
    )
    app.state.db = db
    app.state.settings = settings
    machines.install(app, db, settings)
    app.state.lend = lend
    app.state.providers = tuple(one.called for one in issuers(settings))
    app.state.visits = Visits(settings.public_per_minute)
    app.state.health = pulse
    app.state.rounds = rounds
    app.state.rates = Rates(partial(limit_verbs.requests, db, settings), partial(access.is_member, db))
    app.state.local_offers = tuple(local_offers)
    app.state.kit = kit
    app.state.publishes = publishes
    app.add_middleware(bodies.Limited)
    app.add_middleware(rates.Paced, rates=app.state.rates)
    answers.install(app)
    for noun in NOUNS:
        app.include_router(noun.router, prefix="/v1")
    app.include_router(stac.router)
    mcp.install(app)
    return app
