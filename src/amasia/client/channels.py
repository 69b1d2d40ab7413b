"""Where else you are told of budgets: by e-mail, and by signed requests to a webhook of yours."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.models.channels import Channel, ChannelRequest, NewChannel


def find(*, connection: Connection | None = None) -> list[Channel]:
    """Your channels, with the reason where the last try failed."""
    return list((connection or connect()).items("/v1/me/channels", Channel))


def create(kind: str, address: str, *, connection: Connection | None = None) -> NewChannel:
    """Be told there too, from now on.

    Parameters
    ----------
    kind
        ``"email"`` or ``"webhook"``.
    address
        An e-mail address or an https URL.

    Returns
    -------
    NewChannel
        With the secret that requests to a webhook are signed with; it is shown this once.

    Raises
    ------
    InvalidRequest
        It is no address, or one that is not public.
    Conflict
        You are told there already, or the control plane sends no e-mail.
    """
    body = request(ChannelRequest, kind=kind, address=address)
    return (connection or connect()).post("/v1/me/channels", body, NewChannel)


def delete(channel_id: str, *, connection: Connection | None = None) -> None:
    """Be told there no more."""
    (connection or connect()).delete(f"/v1/me/channels/{channel_id}")
