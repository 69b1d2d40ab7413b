"""The verbs of views and their refreshes. `amasia.view` is built on these; they need no arrays."""

from collections.abc import Iterator
from time import monotonic

from amasia.client.transport import connect
from amasia.client.workspaces import path
from amasia.errors import TimedOut
from amasia.models.views import (
    Claim,
    ClaimRequest,
    Refresh,
    RefreshDone,
    RefreshStatus,
    Renewal,
    View,
    ViewChange,
    ViewRequest,
)

FOLLOW_SECONDS = 20
"""How long one request waits for the end of a refresh."""
OVER = (RefreshStatus.done, RefreshStatus.failed)


def create(request: ViewRequest, workspace: str | None = None) -> View:
    """Register a view; its first refresh is due at once, or as its schedule says.

    Raises
    ------
    Conflict
        There is one of that name, or one that writes to that group.
    InvalidRequest
        It would lead back to its own source.
    """
    return connect().post(f"{path(workspace)}/views", request, View)


def find(workspace: str | None = None) -> list[View]:
    """The views of a workspace."""
    return list(connect().items(f"{path(workspace)}/views", View))


def get(name: str, workspace: str | None = None) -> View:
    """One view, with how far it is behind.

    Parameters
    ----------
    name
        Of the view, or ``workspace/view``.
    """
    return connect().get(_path(name, workspace), View)


def pause(name: str, workspace: str | None = None) -> View:
    """Let it rest: no refresh begins until `resume`."""
    return connect().patch(_path(name, workspace), ViewChange(paused=True), View)


def resume(name: str, workspace: str | None = None) -> View:
    """Let it go on; after failures it is tried again at once."""
    return connect().patch(_path(name, workspace), ViewChange(paused=False), View)


def delete(name: str, workspace: str | None = None) -> None:
    """Forget it. What it wrote stays in its target."""
    connect().delete(_path(name, workspace))


def refresh(name: str, workspace: str | None = None) -> Refresh:
    """Ask for a refresh on machines; the one that is wished for or at work already is it. See `follow`."""
    return connect().post(f"{_path(name, workspace)}/refreshes", None, Refresh)


def refreshes(name: str, workspace: str | None = None) -> Iterator[Refresh]:
    """Every refresh of a view, newest first, with what was computed and skipped and what it cost."""
    return connect().items(f"{_path(name, workspace)}/refreshes", Refresh)


def follow(refresh: Refresh, *, timeout: float | None = None) -> Refresh:
    """Wait until a refresh is over, well or not.

    Parameters
    ----------
    timeout
        Seconds; None for no end.

    Raises
    ------
    TimedOut
        The refresh goes on; only the waiting ended.
    """
    end = None if timeout is None else monotonic() + timeout
    while refresh.status not in OVER:
        wait = FOLLOW_SECONDS if end is None else min(FOLLOW_SECONDS, end - monotonic())
        if wait <= 0:
            raise TimedOut(f"The refresh of {refresh.workspace}/{refresh.view} is still {refresh.status.value}.")
        where = f"{_path(refresh.view, refresh.workspace)}/refreshes/{refresh.id}"
        refresh = connect().get(where, Refresh, wait=round(wait, 1))
    return refresh


def claim(name: str, workspace: str | None = None, refresh_id: str | None = None) -> Claim:
    """Begin a refresh in this process, or as the machine that one was wished for."""
    return connect().post(f"{_path(name, workspace)}/claims", ClaimRequest(refresh=refresh_id), Claim)


def renew(claim: Claim) -> Refresh:
    """Say that the refresh is still at work here."""
    return connect().post(f"{_claim(claim)}/renewal", Renewal(secret=claim.secret), Refresh)


def finish(claim: Claim, done: RefreshDone) -> Refresh:
    """Say how it ended; may be repeated."""
    return connect().put(_claim(claim), done, Refresh)


def _claim(claim: Claim) -> str:
    return f"{_path(claim.view.name, claim.view.workspace)}/claims/{claim.refresh.id}"


def _path(name: str, workspace: str | None) -> str:
    given, slash, plain = name.partition("/")
    return f"{path(given if slash else workspace)}/views/{plain if slash else name}"
