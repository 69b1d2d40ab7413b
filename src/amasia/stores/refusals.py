"""Who a bucket refuses though they hold what was lent to them: a policy that denies names, in their workspace only."""

from collections.abc import Sequence
from typing import Any

import structlog

from amasia.models.revocations import Revocation
from amasia.stores.credentials import session_name

log = structlog.get_logger()

ROOM = 19_000
"""Bytes; stores take policies of 20 KiB."""
_STATEMENT = 200
"""Bytes of one without its names, at most."""


def policy(bucket: str, revocations: Sequence[Revocation]) -> dict[str, Any]:
    """Where there is no room for all, the newest go first: the others have the least time left."""
    lost: dict[str, list[str]] = {}
    room = ROOM
    for one in sorted(revocations, key=lambda one: one.at, reverse=True):
        name = f"*/{session_name(one.session)}"
        room -= 2 * (len(name) + 3) + (0 if one.workspace in lost else 2 * (len(one.workspace) + _STATEMENT))
        if room < 0:
            log.warning("the oldest of what was lent is not refused: too many left within an hour")
            break
        lost.setdefault(one.workspace, []).append(name)
    return {"Version": "2012-10-17", "Statement": [one for each in lost.items() for one in _deny(bucket, *each)]}


def _deny(bucket: str, workspace: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a workspace, and their list."""
    who = {"aws:PrincipalArn": list(names)}
    common = {"Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    return [
        common | {"Resource": [f"arn:aws:s3:::{bucket}/{workspace}/*"], "Condition": {"StringLike": who}},
        common
        | {
            "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": who | {"s3:prefix": [f"{workspace}/*"]}},
        },
    ]
