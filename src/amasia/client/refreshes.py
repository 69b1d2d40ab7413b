"""A refresh in this process: claimed at the control plane, computed here, committed with its provenance, reported."""

import base64
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import sleep
from typing import Any

import cloudpickle
import icechunk

from amasia import errors
from amasia.client import views as verbs
from amasia.client.arrays import Repository, open_repo
from amasia.models.repositories import Input
from amasia.models.views import Applied, Claim, Refresh, RefreshDone
from amasia.stores import views as engine
from amasia.stores.failures import translated

RENEW_SECONDS = 15.0
LATER = (errors.Unavailable, errors.TimedOut, errors.MachineLost)
"""Failures that are neither the function's nor the data's: the same may go well later."""
LONGEST_REASON = 2000
PATIENCE = (0.5, 1, 2, 4, 8, 15)
"""Seconds between tries to reach a control plane."""


def here(name: str, workspace: str | None = None, *, refresh_id: str | None = None) -> Refresh:
    """Bring a view's target to its source's newest snapshot, in this process.

    Parameters
    ----------
    name
        Of the view, or ``workspace/view``.
    refresh_id
        Of one that waits for this machine; None to begin one.

    Returns
    -------
    Refresh
        With what was applied.

    Raises
    ------
    PermissionDenied
        The view is somebody else's.
    Conflict
        Somebody is at it.
    """
    claim = _patiently(verbs.claim, name, workspace, refresh_id) if refresh_id else verbs.claim(name, workspace)
    with _renewed(claim):
        with _reported(claim):
            done = _refresh(claim)
        return _tell(claim, done)


def _refresh(claim: Claim) -> RefreshDone:
    view = claim.view
    definition = cloudpickle.loads(base64.b64decode(claim.function))
    source, target = open_repo(view.source), open_repo(view.target, mode="write")

    def commit(session: icechunk.Session, message: str, metadata: Mapping[str, Any]) -> str:
        read = Input(repository=view.source, snapshot=metadata["view"]["snapshot"])
        return target.commit(session, message, inputs=(read,), metadata=metadata)

    with translated():
        found = engine.refresh(
            source.repo, target.repo, definition, view=view.name, source_name=view.source, commit=commit
        )
    return RefreshDone(secret=claim.secret, applied=tuple(found), snapshot=_held(target, view.name, found))


def _held(target: Repository, view: str, found: list[Applied]) -> str:
    return found[-1].source_snapshot if found else engine.applied(target.repo, view)


@contextmanager
def _reported(claim: Claim) -> Iterator[None]:
    """Whatever ends it is written down with its reason, and goes on to the caller."""
    try:
        yield
    except BaseException as error:
        again = isinstance(error, (*LATER, KeyboardInterrupt, SystemExit))
        done = RefreshDone(secret=claim.secret, snapshot=_reached(claim), reason=_reason(error), again=again)
        with suppress(errors.AmasiaError):
            _tell(claim, done)
        raise


def _tell(claim: Claim, done: RefreshDone) -> Refresh:
    return _patiently(verbs.finish, claim, done)


def _patiently[**P, R](ask: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Also of a control plane that is just being started again: else a machine would end for nothing."""
    for wait in PATIENCE:
        try:
            return ask(*args, **kwargs)
        except errors.Unavailable:
            sleep(wait)
    return ask(*args, **kwargs)


def _reached(claim: Claim) -> str:
    """What was committed before the failure counts."""
    try:
        with translated():
            return engine.applied(open_repo(claim.view.target).repo, claim.view.name)
    except Exception:
        return ""


def _reason(error: BaseException) -> str:
    if isinstance(error, errors.ViewRefused) and error.__cause__ is not None:
        error = error.__cause__  # what the view's function raised
    if isinstance(error, errors.AmasiaError):
        return str(error)[:LONGEST_REASON]
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was interrupted"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    where = f" (line {own[-1].lineno} of {own[-1].filename.rpartition('/')[2]}, in {own[-1].name})" if own else ""
    return f"{type(error).__name__}: {error}{where}"[:LONGEST_REASON]


def _is_library(filename: str) -> bool:
    """Also of the base that an environment on a machine is a layer above."""
    return "site-packages" in filename or filename.startswith((sys.prefix, sys.base_prefix, "<frozen"))


@contextmanager
def _renewed(claim: Claim) -> Iterator[None]:
    """Keep the claim while this process is at it, from a thread: the computation itself may take hours."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            # A control plane that is away for a while finds the claim, or the commits, when it is back.
            with suppress(errors.AmasiaError):
                verbs.renew(claim)

    thread = threading.Thread(target=renew, name="renew claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
