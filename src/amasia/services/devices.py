"""Devices without a browser are let in by somebody who has one (RFC 8628): asked for, approved, and given once."""

import secrets
from datetime import timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import devices as rows
from amasia.database import events, failures, users
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.devices import Device, DeviceAnswer, DeviceCodes, DeviceRequest, DeviceStatus
from amasia.models.events import Outcome
from amasia.models.users import Principal, Scope
from amasia.services.access import digest, issue_token

LIFE = timedelta(minutes=10)
INTERVAL = 2
"""Seconds between two polls."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that they make no words; eight of them are 34 bits."""
WINDOW = timedelta(minutes=15)
ASKED = 30
"""Devices that may ask from one place within the window."""
TYPED = 10
"""Wrong codes of one person within the window."""


def begin(db: Database, request: DeviceRequest, source: str, url: str) -> DeviceCodes:
    """Two codes: one that the device keeps, and one that it shows to whoever is to let it in.

    Raises
    ------
    TooOften
    """
    kept, shown = secrets.token_urlsafe(32), "".join(secrets.choice(LETTERS) for _ in range(8))
    device = Device(
        id=new_id("dv"),
        label=request.label,
        days=request.days,
        source=source,
        created_at=now(),
        expires_at=now() + LIFE,
    )
    with db.write(quiet=True) as tx:
        rows.forget(tx, now())
        over = failures.add(tx, f"device source:{source}", now() - WINDOW) > ASKED
        if not over:
            rows.begin(tx, device, hashed=digest(kept), user_hash=_digest(db, shown))
    if over:
        raise errors.TooOften(f"Too many devices asked from {source or 'there'}.", cure="Wait a quarter of an hour.")
    code = f"{shown[:4]}-{shown[4:]}"
    where = f"{url}/-/device"
    return DeviceCodes(
        device_code=kept,
        user_code=code,
        verification_uri=where,
        verification_uri_complete=f"{where}?code={code}",
        expires_in=int(LIFE.total_seconds()),
        interval=INTERVAL,
    )


def get(db: Database, who: Principal, code: str) -> Device:
    """What asks with this code, for whoever is about to let it in.

    Raises
    ------
    NotFound
        No device waits with it.
    TooOften
    """
    key = f"device user:{who.user}"
    with db.write(quiet=True) as tx:
        over = failures.add(tx, key, now() - WINDOW) > TYPED
        found = None if over else rows.waiting(tx, _digest(db, code))
        if found is not None:
            failures.take_back(tx, key)
    if over:
        raise errors.TooOften(f"{who.user} typed too many wrong codes.", cure="Wait a quarter of an hour.")
    if found is None:
        raise _gone()
    return found


def answer(db: Database, who: Principal, code: str, *, approve: bool) -> Device:
    """Let it in as oneself, or send it away; the first answer counts."""
    found = get(db, who, code)
    status = DeviceStatus.approved if approve else DeviceStatus.denied
    with db.write(quiet=True) as tx:
        if not rows.answer(tx, found.id, status=status, user=who.user):
            raise _gone()
        events.append(tx, actor=who.actor, verb="device.approve" if approve else "device.deny", target=found.label,
                      workspace=None, source=who.source, asked_from=found.source)  # fmt: skip
    return found.model_copy(update={"status": status})


def poll(db: Database, device_code: str, source: str) -> DeviceAnswer:
    """What became of it; the token, once.

    Raises
    ------
    TooOften
        Sooner than the interval.
    """
    at = now()
    with db.write(quiet=True) as tx:
        row = rows.row(tx, digest(device_code))
        if row is None:
            return DeviceAnswer(status=DeviceStatus.expired)
        hasty = row["polled_at"] is not None and at - row["polled_at"] < timedelta(seconds=INTERVAL / 2)
        rows.polled(tx, row["id"], at)
        status = DeviceStatus(row["status"])
        if not hasty and status is not DeviceStatus.pending and rows.end(tx, row["id"]):
            return _give(tx, row["user"], row["label"], row["days"], status, source)
    if hasty:
        raise errors.TooOften("This device asks too often.", cure=f"Ask every {INTERVAL} seconds.")
    return DeviceAnswer(status=DeviceStatus.pending)


def _give(tx: Connection, user: str, label: str, days: int, status: DeviceStatus, source: str) -> DeviceAnswer:
    alive = users.find_user(tx, user) is not None
    if status is DeviceStatus.denied or not alive:
        return DeviceAnswer(status=DeviceStatus.denied)
    made = issue_token(tx, user, label, Scope.everything, timedelta(days=days))
    events.append(tx, actor=user, verb="token.create", target=made.token.id, workspace=None, source=source,
                  outcome=Outcome.done, scope=Scope.everything.value, device=label)  # fmt: skip
    return DeviceAnswer(status=DeviceStatus.approved, token=made)


def _digest(db: Database, code: str) -> str:
    """With the control plane's key: 34 bits alone could be guessed from their hash."""
    return db.derive("device", "".join(letter for letter in code.upper() if letter in LETTERS))


def _gone() -> errors.NotFound:
    return errors.NotFound("No device waits with this code.", cure="Start `amasia login` again, and type its code.")
