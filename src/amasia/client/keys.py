"""The keys that a control plane's database is sealed with; for its operators."""

from amasia.client.transport import Connection, connect
from amasia.models.keys import Keys


def get(*, connection: Connection | None = None) -> Keys:
    """How far the newest key has come."""
    return (connection or connect()).get("/v1/keys", Keys)


def rotate(*, connection: Connection | None = None) -> Keys:
    """Wish for a new key, and that everything is sealed with it. Returns at once; follow it by `get`.

    Asked while that goes on, it wishes nothing more.
    """
    return (connection or connect()).post("/v1/keys", None, Keys)
