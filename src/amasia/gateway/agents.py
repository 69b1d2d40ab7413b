"""The agents that dialled in, and the streams that they are asked for."""

import asyncio
import secrets
from dataclasses import dataclass

from amasia import errors
from amasia.gateway.arrivals import Arrival
from amasia.models.tunnels import PULSE, Service

PATIENCE = 10.0
"""Seconds that an agent has to bring a stream."""


@dataclass(frozen=True)
class Wanted:
    """A stream that was asked for and has not come yet."""

    machine_id: str
    arrival: asyncio.Future[Arrival]


class Control(asyncio.Protocol):
    """An agent's own connection: lines ``stream service`` go out, ``stream`` comes back where it cannot be had."""

    def __init__(self, agents: "Agents", machine_id: str, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._agents, self._machine_id = agents, machine_id
        self._text = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._agents.refused(self._machine_id, line.decode("ascii", "replace"))
        if len(self._text) > 1024:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._agents.left(self._machine_id, self)


class Agents:
    """Each machine's control connection, the newest where there are several."""

    def __init__(self) -> None:
        self._controls: dict[str, Control] = {}
        self._wanted: dict[str, Wanted] = {}

    def joined(self, machine_id: str, arrival: Arrival) -> None:
        before = self._controls.get(machine_id)
        control = self._controls[machine_id] = Control(self, machine_id, arrival.transport)
        if before is not None:
            before.transport.close()
        arrival.transport.set_protocol(control)
        arrival.transport.resume_reading()

    def left(self, machine_id: str, control: Control) -> None:
        if self._controls.get(machine_id) is control:
            del self._controls[machine_id]

    def brought(self, machine_id: str, stream: str, arrival: Arrival) -> bool:
        """Whether this stream was wanted of this machine."""
        wanted = self._wanted.get(stream)
        if wanted is None or wanted.machine_id != machine_id or wanted.arrival.done():
            return False
        wanted.arrival.set_result(arrival)
        return True

    def refused(self, machine_id: str, stream: str) -> None:
        wanted = self._wanted.get(stream)
        if wanted is not None and wanted.machine_id == machine_id and not wanted.arrival.done():
            problem = errors.Unavailable(
                "Nothing that can be reached runs on this machine now.", cure="Try again soon."
            )
            wanted.arrival.set_exception(problem)

    async def open(self, machine_id: str, service: Service) -> Arrival:
        """A new stream to what runs on a machine."""
        control = self._controls.get(machine_id)
        if control is None:
            raise errors.Unavailable(
                f"The agent of machine {machine_id} is not connected to the gateway.", cure="Try again in some seconds."
            )
        stream = secrets.token_hex(16)
        wanted = self._wanted[stream] = Wanted(machine_id, asyncio.get_running_loop().create_future())
        try:
            control.transport.write(f"{stream} {service}\n".encode())
            async with asyncio.timeout(PATIENCE):
                return await wanted.arrival
        except TimeoutError:
            raise errors.Unavailable(
                f"The agent of machine {machine_id} brought no stream within {PATIENCE:.0f} s.", cure="Try again."
            ) from None
        finally:
            del self._wanted[stream]

    async def pulse(self) -> None:
        """Show every agent that the gateway is there, until cancelled."""
        while True:
            await asyncio.sleep(PULSE)
            for control in list(self._controls.values()):
                control.transport.write(b"\n")
