"""The agent's one conversation: join, then heartbeats until the control plane no longer wants the machine."""

import socket
from collections.abc import Callable
from datetime import datetime
from functools import partial
from importlib.metadata import version
from threading import Event
from urllib.parse import urlsplit

from amasia import errors
from amasia.client.transport import Connection
from amasia.models.machines import Assignment, Boot, Heartbeat, Join, Wishes
from amasia.models.secrets import Lent

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
EAGER = 1.5
"""Factor between two pauses of a machine that waits for news."""
UNWANTED = (errors.NotSignedIn, errors.PermissionDenied, errors.NotFound)
REFUSED = (*UNWANTED, errors.Conflict, errors.InvalidRequest)
TIMEOUT = 10.0
"""Seconds to wait for one answer; a control plane that hangs counts as gone."""


def join(boot: Boot, started_at: datetime, booted_at: datetime | None, over: Event) -> Assignment | None:
    """Ask for the machine's work until there is an answer; None when `over` comes first. Raises `REFUSED`."""
    body = Join(
        machine_id=boot.machine_id,
        join_token=boot.join_token,
        agent_version=version("amasia"),
        started_at=started_at,
        booted_at=booted_at,
        hostname=socket.gethostname(),
    )
    connection = Connection(boot.control_plane, timeout=TIMEOUT)
    return _insist(partial(connection.post, "/v1/machines/join", body, Assignment), over)


def beat(
    connection: Connection,
    machine_id: str,
    seconds: float,
    due: Event,
    report: Callable[[], Heartbeat],
    obey: Callable[[Heartbeat, Wishes], None],
    is_over: Callable[[], bool],
    is_waiting: Callable[[], bool] = lambda: False,
) -> None:
    """Report every few seconds, at once when `due` is set, and once more when all is over. Raises `UNWANTED`.

    ``seconds`` is how often, until an answer says otherwise. While ``is_waiting`` for an answer that says more, sooner:
    at first after `FIRST_WAIT`, then less and less.
    """
    wait = pause = FIRST_WAIT
    last = False
    while not last:
        due.clear()
        last = is_over()
        heartbeat = report()
        try:
            wishes = connection.post(f"/v1/machines/{machine_id}/heartbeat", heartbeat, Wishes)
        except UNWANTED:
            raise
        except errors.AmasiaError:
            due.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)
            continue
        wait = FIRST_WAIT
        obey(heartbeat, wishes)
        waiting, pace = is_waiting(), wishes.heartbeat_seconds or seconds
        due.wait(min(pause, pace) if waiting else pace)
        pause = pause * EAGER if waiting else FIRST_WAIT


def take_up(connection: Connection, machine_id: str) -> Assignment | None:
    """What a machine that was warm is for now; None to ask again later. Raises `REFUSED`."""
    try:
        return connection.post(f"/v1/machines/{machine_id}/assignment", None, Assignment)
    except REFUSED:
        raise
    except errors.AmasiaError:
        return None


def borrow(connection: Connection, machine_id: str, over: Event) -> Lent | None:
    """Ask for the secrets of the machine's processes until there is an answer; None when `over` comes first."""
    return _insist(partial(connection.post, f"/v1/machines/{machine_id}/secrets", None, Lent), over)


def fetch(connection: Connection, path: str, over: Event) -> bytes:
    """Download it, however long others of the workspace ask too often: a machine is not given up for that."""
    while True:
        try:
            return connection.download(path)
        except errors.TooOften:
            if over.wait(FIRST_WAIT):
                raise


def _insist[T](ask: Callable[[], T], over: Event) -> T | None:
    """Ask until there is an answer or a refusal."""
    wait = FIRST_WAIT
    while not over.is_set():
        try:
            return ask()
        except REFUSED:
            raise
        except errors.AmasiaError:
            over.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)
    return None


def own_address(control_plane: str) -> str:
    """The address of this machine as seen on the way to the control plane."""
    url = urlsplit(control_plane)
    family, _, _, _, target = socket.getaddrinfo(url.hostname, url.port or 443, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])
