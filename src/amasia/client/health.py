"""How a control plane is; for its operators."""

from amasia.client.transport import Connection, connect
from amasia.models.health import ServiceHealth


def get(*, connection: Connection | None = None) -> ServiceHealth:
    """Its loops, its database and store, and how much each workspace takes; nothing of what is in any of them.

    Raises
    ------
    PermissionDenied
        You are no operator.
    """
    return (connection or connect()).get("/v1/health/service", ServiceHealth)
