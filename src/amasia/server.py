"""The control plane, put together: database, object store, providers, reconcilers, API. ``python -m amasia.server``."""

import getpass
import json
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout

from amasia import errors, files, ports
from amasia.api import app as api
from amasia.client import trust
from amasia.database.engine import Database
from amasia.database.masters import open_masters
from amasia.environments import commands, kits
from amasia.models.money import parse
from amasia.models.repositories import BucketKind, Lease, Mode
from amasia.models.users import Principal, Scope, SignIn, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.providers.local import LocalProvider
from amasia.reconcilers import (
    alerts,
    buckets,
    cleanings,
    clusters,
    datasets,
    exports,
    gateways,
    keys,
    locations,
    machines,
    publications,
    repositories,
    revocations,
    standbys,
    storage,
    views,
)
from amasia.reconcilers.fleets import Fleet
from amasia.reconcilers.loops import Loop
from amasia.services import claims, users, workspaces
from amasia.services import machines as machine_verbs
from amasia.services import repositories as repository_verbs
from amasia.settings import ClientSettings, ServerSettings, check_listening
from amasia.stores import credentials
from amasia.stores.embedded import EmbeddedStore
from amasia.web import app as web

log = structlog.get_logger()

KEEP_ALIVE = 30
"""Seconds that an idle connection is kept: longer than the time between two heartbeats."""


def main() -> int:
    """Run until SIGTERM or SIGINT. A failed start is told in ``server-error.json`` as well as on stderr."""
    log_plainly()
    settings = ServerSettings()
    problem = settings.home / "server-error.json"
    try:
        check_listening(settings)
        trust.extend(ClientSettings())
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        problem.unlink(missing_ok=True)
        run(settings)
    except errors.AmasiaError as error:
        _tell(problem, error)
        return error.exit_code
    except OSError as error:
        _tell(problem, errors.Unavailable(f"{settings.home} cannot be used ({error}).", cure="Free or permit it."))
        return 1
    return 0


def log_plainly() -> None:
    """One JSON line an event. Tracebacks without local variables: those hold secrets, and take seconds to draw."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(Log()),
    )


class Log(StringIO):
    """Standard error, which may be a file on a full disk: then the line is lost, and not what it tells of as well."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def run(settings: ServerSettings) -> None:
    """Start everything in order of need; stop it in reverse."""
    with ExitStack() as stack:
        stack.enter_context(sole(settings))
        listener = stack.enter_context(listening(settings))
        door = stack.enter_context(gateways.listen(settings))
        settings = settings.model_copy(update={"gateway_port": door.getsockname()[1]})
        db = Database(settings.sqlalchemy_url, open_masters(settings))
        stack.callback(db.close)
        db.migrate()
        store = embedded(settings)
        stack.callback(_rest, db, store)
        store.begin()
        provider = local(settings)
        fleet = Fleet(db, settings.home / "locations", {provider.name: provider}, url=settings.url)
        bootstrap(db, settings, provider)
        locations.refresh_offers(db, fleet, provider.name)
        tell_of(store, db)
        loops = [Loop("store", 1.0, lambda: keep(store)), *reconcilers(db, settings, fleet)]
        app = application(db, settings, store, provider, loops)
        ended = threading.Event()
        loops += companions(stack, db, settings, store, door, ended)
        store.wait()
        for loop in loops:
            loop.start()
            stack.callback(loop.stop)
        stack.callback(ended.set)
        stack.enter_context(announced(settings))
        serve(app, settings, listener)


def embedded(settings: ServerSettings) -> EmbeddedStore:
    return EmbeddedStore(
        settings.home / "store",
        settings.store_port,
        settings.store_host,
        settings.store_public_url,
        settings.tls_certificate,
        settings.tls_key,
    )


def local(settings: ServerSettings) -> LocalProvider:
    return LocalProvider(
        settings.home,
        parse(settings.local_price_per_cpu),
        parse(settings.local_price_per_gib),
        uv_cache=commands.shared_cache(settings.home),
    )


def tell_of(store: EmbeddedStore, db: Database) -> None:
    """Where the store is now, and with which keys, to every workspace that has a bucket there."""
    held = store.keys
    repository_verbs.refresh_embedded(
        db,
        uri=f"s3://{store.bucket}",
        endpoint=store.endpoint,
        access_key=held.access_key,
        secret_key=held.secret_key,
        role=held.role,
    )


def application(
    db: Database, settings: ServerSettings, store: EmbeddedStore, provider: LocalProvider, loops: Sequence[Loop]
) -> FastAPI:
    """The API and the console. ``loops`` may grow: its health is told of those that there are then."""

    def lend_with_room(place: repository_verbs.Place, mode: Mode, principal: str, seconds: int) -> Lease:
        if mode is Mode.write and place.bucket.kind is BucketKind.embedded:
            store.check_room()
        return lend(place, mode, principal, seconds)

    kit = Kits(settings.home)
    kit.start()
    app = api.create(
        db,
        settings,
        lend=lend_with_room,
        pulse=lambda: (store.endpoint if store.alive() else "", {loop.name: loop.age() for loop in loops}),
        rounds=lambda: [loop.round() for loop in loops],
        local_offers=provider.offers(),
        kit=kit.made,
        publishes=publications.served(settings),
    )
    web.install(app, db, settings)
    return app


def companions(
    stack: ExitStack,
    db: Database,
    settings: ServerSettings,
    store: EmbeddedStore,
    door: socket.socket,
    ended: threading.Event,
) -> list[Loop]:
    """Loops of what holds more than the database, such as a process; ``stack`` ends what they began."""
    catalog = datasets.Catalog(db, lend, ended)
    stack.callback(catalog.close)
    gateway = gateways.Gateway(settings, door)
    stack.callback(gateway.stop)
    loops = [
        Loop("catalog", 1.0, catalog.look),
        Loop("gateway", 1.0, gateway.look),
        Loop("revocations", 2.0, revocations.Revocations(db, store).look, db.changes),
    ]
    if publications.possible(settings):
        publisher = publications.Publisher(db, settings)
        stack.callback(publisher.stop)
        loops.append(Loop("publications", 1.0, publisher.look))
    return loops


def reconcilers(db: Database, settings: ServerSettings, fleet: Fleet) -> list[Loop]:
    """Each loop and its pace in seconds; at once when something was written where a person waits for it."""
    return [
        Loop("clusters", 0.5, lambda: clusters.reconcile(db, settings), db.changes),
        Loop("standbys", 0.5, lambda: standbys.reconcile(db, settings), db.changes),
        Loop("machines", 0.5, lambda: machines.reconcile(db, settings, fleet), db.changes),
        Loop("views", 0.5, lambda: views.reconcile(db, settings), db.changes),
        Loop("watch", 1.0, machines.Watch(db, settings, fleet).look),
        Loop("sweep", 10.0, lambda: machines.sweep(db, fleet)),
        Loop("locations", 0.5, lambda: locations.check(db, fleet), db.changes),
        Loop("prices", 3600.0, lambda: locations.refresh_offers(db, fleet)),
        Loop("repositories", 0.5, lambda: repositories.create(db), db.changes),
        Loop("buckets", 0.5, lambda: buckets.check(db), db.changes),
        Loop("history", 0.5, lambda: repositories.index(db)),
        Loop("changes", 1.0, lambda: repositories.compare(db)),
        Loop("cleanings", 1.0, lambda: cleanings.reconcile(db)),
        Loop("deleted repositories", 60.0, lambda: cleanings.remove(db, timedelta(days=settings.grace_days))),
        Loop("claims", 60.0, lambda: claims.lapse(db, settings)),
        Loop("alerts", 2.0, lambda: alerts.send(db, settings)),
        *(
            Loop(f"audit to {name}", 1.0, partial(exports.send, db, name, deliver), db.changes)
            for name, deliver in exports.sinks(settings).items()
        ),
        Loop("keys", 1.0, lambda: keys.reconcile(db)),
        Loop("audit", 3600.0, lambda: exports.drop(db, settings)),
        Loop("storage", 30.0, lambda: storage.reconcile(db, parse(settings.storage_price))),
        Loop("snapshot sizes", 1.0, lambda: storage.snapshots(db)),
        Loop("watched histories", 60.0, lambda: repositories.watch(db)),
    ]


class Kits:
    """The kit that machines fetch, made beside everything else: packing it takes seconds, its need comes later."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kit: kits.Kit | None = None

    def start(self) -> None:
        threading.Thread(target=self._make, name="kit", daemon=True).start()

    def made(self) -> kits.Kit | None:
        return self._kit

    def _make(self) -> None:
        try:
            self._kit = kits.make(self._home / "kit", self._home / "cache")
        except errors.AmasiaError as error:
            log.warning("machines elsewhere cannot boot: there is no kit for them", error=str(error))


def keep(store: EmbeddedStore) -> None:
    """Start the object store again when it died: nobody is called for that."""
    if store.alive():
        return
    log.warning("the object store ended by itself: it is started again")
    store.start()


def lend(place: repository_verbs.Place, mode: Mode, principal: str, seconds: int) -> Lease:
    repository = place.repository
    keys = credentials.Keys(place.access_key, place.secret_key, place.role or credentials.ROLE)
    return credentials.lend(
        place.bucket, keys, repository.id, repository.name, repository.workspace, mode, principal, seconds
    )


def bootstrap(db: Database, settings: ServerSettings, provider: LocalProvider) -> None:
    """On an empty database: the first user, an operator, and their workspace; told in ``first-user.json``."""
    if users.find(db):
        return
    name = settings.first_user or first_name()
    password = secrets.token_urlsafe(12)
    users.create(db, None, UserRequest(name=name, password=password, operator=True))
    made = users.sign_in(db, SignIn(name=name, password=password, label="amasia up"), source="")
    who = Principal(user=name, operator=True, scope=Scope.everything, token_id=made.token.id)
    request = WorkspaceRequest(name=settings.first_workspace, currency=settings.currency)
    workspaces.create(db, who, request, limit=parse(settings.first_budget), offers=provider.offers())
    told = {
        "url": settings.url,
        "user": name,
        "password": password,
        "token": made.secret,
        "workspace": settings.first_workspace,
    }
    files.write(settings.home / "first-user.json", json.dumps(told, indent=2), private=True, durable=True)


def first_name() -> str:
    """The operating system's name of the user, made a name of ours."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in getpass.getuser().lower())
    return plain.strip("-") or "me"


@contextmanager
def sole(settings: ServerSettings) -> Iterator[None]:
    """Hold the home directory, and the SQLite file wherever it is; a second control plane is refused."""
    with ExitStack() as stack:
        stack.enter_context(_held(settings.home / "lock", f"The home {settings.home}"))
        url = settings.sqlalchemy_url
        if url.startswith("sqlite:///"):
            path = Path(url.removeprefix("sqlite:///"))
            stack.enter_context(_held(path.with_name(path.name + ".lock"), f"The database {path}"))
        yield


@contextmanager
def _held(path: Path, what: str) -> Iterator[None]:
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise errors.AlreadyRunning(
            f"{what} is in use by another control plane.",
            cure="Use that one (`amasia status`), stop it (`amasia down`), or choose another AMASIA_HOME.",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def listening(settings: ServerSettings) -> Iterator[socket.socket]:
    try:
        listener = ports.bound(settings.port, settings.host)
    except OSError as error:
        raise errors.Conflict(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}).",
            cure="Choose another port with `amasia up --port` or AMASIA_PORT.",
        ) from error
    with listener:
        yield listener


@contextmanager
def announced(settings: ServerSettings) -> Iterator[None]:
    """``server.json``: who serves this home, for ``amasia status`` and ``amasia down``."""
    path = settings.home / "server.json"
    files.write(path, json.dumps({"pid": os.getpid(), "url": settings.url}), private=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def serve(app: FastAPI, settings: ServerSettings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    server = uvicorn.Server(config)

    def end(number: int, frame: FrameType | None) -> None:
        server.handle_exit(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run(sockets=[listener])


def _rest(db: Database, store: EmbeddedStore) -> None:
    """Stop the object store, unless machines still work with it: they outlive the control plane by their leases."""
    if machine_verbs.alive(db):
        log.info("machines still run: the object store stays up")
        return
    store.stop()


def _tell(path: Path, error: errors.AmasiaError) -> None:
    with suppress(OSError):  # of a disk that is full
        sys.stderr.write(f"error: {error}\n")
        if path.parent.is_dir():
            path.write_text(json.dumps(errors.to_wire(error)))


if __name__ == "__main__":
    sys.exit(main())
