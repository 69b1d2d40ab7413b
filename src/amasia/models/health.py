"""Whether a control plane is well."""

from amasia.models.base import Model


class Health(Model):
    ok: bool
    version: str
    database: str
    """Name of its dialect."""
    store: str = ""
    """Endpoint of the embedded object store; empty where it does not answer."""
    reconcilers: dict[str, float] = {}
    """Seconds since each loop last went round."""
