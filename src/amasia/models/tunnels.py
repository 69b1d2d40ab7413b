"""The words between the gateway and those who dial it: agents, and clients that reach a machine through one."""

from enum import StrEnum
from urllib.parse import urlsplit

UPGRADE = "amasia-tunnel"
"""The protocol that both switch to: after the answer's head, the bytes of the stream and nothing else."""
PULSE = 20.0
"""Seconds between two signs of life on an agent's own connection, so that it is not forgotten on the way."""


class Service(StrEnum):
    """What of a machine can be reached."""

    scheduler = "scheduler"
    dashboard = "dashboard"


def of_machine(machine_id: str) -> str:
    """Path of an agent's own connection: the gateway writes a line ``stream service`` for each wanted stream."""
    return f"/v1/tunnels/{machine_id}"


def of_stream(machine_id: str, stream: str) -> str:
    """Path of the agent's end of a stream."""
    return f"/v1/tunnels/{machine_id}/{stream}"


def of_client(workspace: str, cluster: str, service: Service) -> str:
    """Path of the client's end of a stream."""
    return f"/v1/reach/{workspace}/{cluster}/{service}"


def gateway_url(told: str, plane: str) -> str:
    """The gateway's URL: as told, or where only its port was told (``:8645``), on the host of the control plane."""
    if not told.startswith(":"):
        return told
    parts = urlsplit(plane)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{told}"
