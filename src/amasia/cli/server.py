"""``amasia up``, ``down``, ``status`` and ``console``."""

import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import typer

from amasia.cli import processes
from amasia.cli.clusters import show_clusters, until_gone
from amasia.cli.costs import budget_line
from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import clock, per_hour, say, show_fields, show_json
from amasia.client import accounts, clusters, costs, locations, standbys
from amasia.client.progress import Stages
from amasia.client.transport import Connection
from amasia.client.workspaces import current
from amasia.errors import AlreadyRunning, AmasiaError, NotFound, NotSignedIn
from amasia.models.clusters import Cluster
from amasia.models.health import Health
from amasia.models.standbys import Standby
from amasia.settings import ServerSettings, client_settings, save_profile

app = noun("The control plane of this computer.")
COOLING = 60.0
"""Seconds to wait for the end of what was kept warm."""
Home = Annotated[Path | None, typer.Option(help="Directory of its database, store and logs.")]


@app.command(epilog=examples("amasia up", "amasia up --port 9000 --home /data/amasia", "amasia up --foreground"))
def up(
    home: Home = None,
    port: Annotated[int | None, typer.Option(help="Of the API and the console.")] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay; Ctrl-C ends it.")] = False,
    as_json: Json = False,
) -> None:
    """Start the control plane on this computer, and sign in to it. Does nothing if it is up."""
    settings = _settings(home, port)
    process = None
    if not _is_up(settings):
        with Stages("Amasia", ["process", "database", "object store", "console"], quiet=as_json) as stages:
            process = _start(settings, foreground, stages)
    note = _sign_in(settings)
    _show_console(settings, as_json, started=process is not None)
    if note:
        say(note)
    if foreground and process:
        _stay(process)


@app.command(epilog=examples("amasia down", "amasia down --yes --json"))
def down(home: Home = None, yes: Yes = False, as_json: Json = False) -> None:
    """Stop all machines, also those kept warm, then the control plane and its store. Data stays; see amasia up."""
    settings = _settings(home)
    running = processes.server(settings.home)
    link = _link(settings) if running and _is_up(settings) else None
    found = _live_clusters(link) if link else []
    warm = _warm(link) if link else []
    if found:
        confirm(f"{len(found)} clusters run: {', '.join(one.name for one in found)}. Stop them?", yes)
    with Stages("Stopping Amasia", quiet=as_json) as stages:
        stages.left_behind = "What was asked to stop goes on stopping; the rest runs. All of it: amasia down"
        if link and warm:
            _cool(warm, link)
        stopped = _stop_clusters(found, link, stages) if link else []
        if link and warm:
            _wait_until_cool(link, stages)
        if running:
            stages.begin("control plane")
            processes.end(running)
            stages.finish("control plane")
        left = processes.left_machines(settings)
        store = processes.store(settings.home)
        if store and not left:  # the control plane does this itself, unless it was killed
            stages.begin("object store")
            processes.kill(store)
            stages.finish("object store")
    if as_json:
        show_json({"stopped": [one.name for one in stopped], "was_running": running is not None, "left": left})
    for machine in left:
        say(f"Machine {machine.id} still runs (process {machine.pid}); its lease ends it by {clock(machine.until)}.")
    if left:
        say("The object store stays up for them. When they are gone: amasia down")
    if not as_json:
        say("Amasia is down; its data stays." if running else "The control plane was not running.")


@app.command(epilog=examples("amasia status", "amasia status --json"))
def status(workspace: Workspace = None, as_json: Json = False) -> None:
    """One screen: control plane, store, what runs, what it costs per hour, what is left of the budget."""
    settings = client_settings()
    if not settings.url:
        raise NotSignedIn("No control plane is known here.", cure="amasia up, or amasia login URL.")
    link = Connection(settings.url, settings.token.get_secret_value())
    health = link.get("/v1/health", Health)
    where = current(workspace)
    found, spent = clusters.find(where, connection=link), costs.get(where, connection=link)
    if as_json:
        show_json({"url": settings.url, "health": health, "clusters": found, "costs": spent})
        return
    show_fields(
        {
            "control plane": f"{settings.url}, version {health.version}, {health.database}",
            "object store": health.store or "does not answer",
            "workspace": where,
            "runs": f"{len(found)} clusters, {per_hour(sum(one.rate for one in found), spent.currency)}",
            "budget": budget_line(spent),
        }
    )
    if found:
        show_clusters(found, spent.currency)


@app.command(epilog=examples("amasia console", "amasia console --json"))
def console(home: Home = None, as_json: Json = False) -> None:
    """Where the console of this computer's control plane is, and the first user's name and password."""
    user = processes.first_user(_settings(home).home)
    if user is None:
        raise NotFound("No control plane was ever started here.", cure="Start one: amasia up")
    fields = {"console": user.url, "user": user.user, "password": user.password}
    show_json(fields) if as_json else show_fields(dict(fields))


def _settings(home: Path | None = None, port: int | None = None) -> ServerSettings:
    """Options first; then what the running control plane of that home says of itself; then variables."""
    settings = ServerSettings()
    if home:
        settings = settings.model_copy(update={"home": home.absolute()})
    if port:
        return settings.model_copy(update={"port": port, "public_url": ""})
    url = processes.read(settings.home / "server.json").get("url")
    return settings.model_copy(update={"public_url": url}) if url and processes.server(settings.home) else settings


def _is_up(settings: ServerSettings) -> bool:
    if not processes.server(settings.home):
        return False
    found = processes.health(_running_url(settings))
    return bool(found and found.ok)


def _running_url(settings: ServerSettings) -> str:
    return str(processes.read(settings.home / "server.json").get("url") or settings.url)


def _start(settings: ServerSettings, foreground: bool, stages: Stages) -> subprocess.Popen[bytes]:
    def seen(health: Health) -> None:
        stages.finish("process", f"version {health.version}")
        stages.finish("database", health.database)
        stages.begin("object store")
        if health.store:
            stages.finish("object store", health.store)

    stages.begin("process")
    if not foreground:
        stages.left_behind = "The control plane goes on starting. Is it up? amasia status. End it: amasia down"
    process = processes.begin(settings, foreground=foreground)
    try:
        processes.wait_until_up(process, settings, seen)
    except AlreadyRunning:
        if not _is_up(settings):  # else: somebody started it in this very moment, which is what was wanted
            raise
    stages.finish("console", settings.url)
    return process


def _sign_in(settings: ServerSettings) -> str:
    """Write the profile for the first user, unless it holds a sign-in that works; what to say about it."""
    user, saved = processes.first_user(settings.home), client_settings()
    if user is None:
        return "Sign in: amasia login"
    url, token = _running_url(settings), saved.token.get_secret_value()
    if saved.url and saved.url != url and token != user.token and _works(saved.url, token):
        return f"Your profile stays signed in to {saved.url}. For this one: amasia login {url}"
    if not (saved.url == url and _works(url, token)):
        save_profile(saved.profile, url=url, token=user.token, workspace=user.workspace)
    return ""


def _works(url: str, token: str) -> bool:
    try:
        accounts.get(connection=Connection(url, token))
    except NotSignedIn:
        return False
    except AmasiaError:  # not to be reached now is no reason to forget it
        return True
    return True


def _show_console(settings: ServerSettings, as_json: bool, *, started: bool) -> None:
    user, url = processes.first_user(settings.home), _running_url(settings)
    fields: dict[str, Any] = {"console": url, "user": user.user if user else ""}
    if as_json:
        show_json({**fields, "started": started, "home": str(settings.home)})
        return
    say("Amasia is up." if started else "Amasia was up already.")
    show_fields({**fields, "password": "shown by: amasia console", "home": settings.home})


def _stay(process: subprocess.Popen[bytes]) -> None:
    """Until the control plane ends. Ctrl-C, or a supervisor's SIGTERM, ends it too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _link(settings: ServerSettings) -> Connection:
    """Signed in as whoever may stop everything here: the profile's user, else the first one."""
    url, saved = _running_url(settings), client_settings()
    token, user = saved.token.get_secret_value(), processes.first_user(settings.home)
    if user and not (saved.url == url and _works(url, token)):
        token = user.token
    return Connection(url, token)


def _live_clusters(link: Connection) -> list[Cluster]:
    spaces = [membership.workspace for membership in accounts.get(connection=link).memberships]
    return [one for space in spaces for one in clusters.find(space, connection=link)]


def _warm(link: Connection) -> list[Standby]:
    spaces = [membership.workspace for membership in accounts.get(connection=link).memberships]
    places = [one for space in spaces for one in locations.find(space, connection=link)]
    return [kept for one in places for kept in standbys.find(one.name, one.workspace, connection=link)]


def _cool(warm: list[Standby], link: Connection) -> None:
    """Keep nothing warm any more."""
    for one in warm:
        standbys.keep(one.location, one.machine_type, 0, one.workspace, connection=link)


def _wait_until_cool(link: Connection, stages: Stages) -> None:
    stages.begin("warm machines")
    end = monotonic() + COOLING
    while _warm(link) and monotonic() < end:
        sleep(0.2)
    stages.finish("warm machines")


def _stop_clusters(found: list[Cluster], link: Connection, stages: Stages) -> list[Cluster]:
    """Ask all first, so that they end at the same time."""
    for one in found:
        clusters.stop(one.id, one.workspace, connection=link)
    for one in found:
        stages.begin(one.name)
    return [until_gone(one, stages, one.name, link=link) for one in found]
