"""Two commits that changed the same thing: whose was first, and what of it."""

from collections.abc import Sequence
from typing import Any

import icechunk

from amasia import errors
from amasia.models.repositories import Lease

NAMED = 6
"""Chunks of one array that are named in a message; `errors.Conflict.detail` has up to a thousand."""
_MOST = 1000


def told(lease: Lease, branch: str, base: str, since: Sequence[Any], error: icechunk.ConflictError) -> errors.Conflict:
    """The error for whoever came second.

    ``since`` are the snapshots (`stores.repositories.Snapshot`) that were committed meanwhile, newest first.
    """
    newest = since[0].id if since else "unknown"
    if not isinstance(error, icechunk.RebaseFailedError):  # nothing that both changed: others were first every time
        return errors.Conflict(
            f"Branch {branch!r} of {lease.workspace}/{lease.repository} went from snapshot {base} to {newest} while "
            "this commit was made, and others were first however often it was tried. Nothing of this commit was kept.",
            cure="Make the change again; let fewer processes commit at once, each of them more.",
            branch=branch,
            base=base,
            newest=newest,
        )
    what = _conflicts(error)
    first = next((one for one in since if one.id == getattr(error, "snapshot", None)), since[0] if since else None)
    who = _user(first) if first else ""
    by = f" by {who}" if who else ""
    named = f" ({first.message!r}{by}, snapshot {first.id})" if first else ""
    where = "; ".join(_words(one) for one in what) or str(error).partition("\n")[0]
    return errors.Conflict(
        f"Branch {branch!r} of {lease.workspace}/{lease.repository} went from snapshot {base} to {newest} while this "
        f"commit was made, and a commit{named} changed the same thing: {where}. Nothing of this commit was kept.",
        cure="Open the newest snapshot and make the change again; let appends go through append, which takes turns.",
        branch=branch,
        base=base,
        newest=newest,
        user=who,
        snapshot=first.id if first else "",
        conflicts=what,
    )


def _conflicts(error: icechunk.ConflictError) -> list[dict[str, Any]]:
    return [
        {
            "path": found.path,
            "what": str(found.conflict_type),
            "chunks": [list(index) for index in (found.conflicted_chunks or [])[:_MOST]],
            "count": len(found.conflicted_chunks or []),
        }
        for found in getattr(error, "conflicts", [])
    ]


def _words(conflict: dict[str, Any]) -> str:
    path = conflict["path"].strip("/") or "/"
    if not conflict["count"]:
        return f"{path} ({conflict['what'].lower()})"
    named = ", ".join(str(tuple(index)) for index in conflict["chunks"][:NAMED])
    rest = conflict["count"] - min(NAMED, conflict["count"])
    return f"{path}, chunk{'s' if conflict['count'] > 1 else ''} {named}{f' and {rest} more' if rest else ''}"


def _user(snapshot: Any) -> str:
    """As the commit says of itself."""
    claimed = snapshot.metadata.get("amasia")
    return str(claimed.get("user", "")) if isinstance(claimed, dict) else ""
