"""How the control plane is, for its operators: counts and ages, and nothing of what tenants keep."""

import time
from collections.abc import Sequence

from amasia.database import exports, locations, users
from amasia.database.engine import Database
from amasia.models.health import FailedLocation, Round, ServiceHealth
from amasia.models.limits import Limits
from amasia.models.locations import LocationStatus
from amasia.services import limits
from amasia.settings import ServerSettings


def get(
    db: Database, settings: ServerSettings, version: str, *, store: str, rounds: Sequence[Round] = ()
) -> ServiceHealth:
    """``store`` is the endpoint of the embedded one, empty where it does not answer."""
    began = time.perf_counter()
    with db.write(quiet=True) as tx:
        tx.exec_driver_sql("SELECT 1")
    taken = time.perf_counter() - began
    with db.read() as tx:
        failed = [one for one, _ in locations.every_location(tx) if one.status is LocationStatus.failed]
        behind, people = exports.behind(tx), len(users.list_users(tx))
    return ServiceHealth(
        ok=bool(store) and all(one.ok for one in rounds),
        version=version,
        database=db.dialect,
        database_ms=round(taken * 1000, 1),
        store=store,
        users=people,
        limits=Limits.model_validate({name: getattr(settings, f"limit_{name}") for name in Limits.model_fields}),
        rounds=tuple(rounds),
        workspaces=tuple(limits.find(db, settings)),
        failed_locations=tuple(
            FailedLocation(workspace=one.workspace, name=one.name, provider=one.provider, checked_at=one.checked_at)
            for one in failed
        ),
        behind=tuple(behind),
    )
