"""The agent's outbound tunnel: one connection to the gateway that is kept, and one more for each stream it asks for."""

import contextlib
import socket
from collections.abc import Callable
from threading import Event, Thread

from amasia import errors
from amasia.client.tunnels import dial, pump
from amasia.models.tunnels import PULSE, Service, of_machine, of_stream

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
LOCAL_TIMEOUT = 5.0

Where = Callable[[Service], tuple[str, int] | None]
"""Host and port of what runs here, as far as it runs."""


class Tunnel:
    """Holds the connection, again and again, until it is over. Nothing else on the machine can be reached by it."""

    def __init__(self, gateway: str, machine_id: str, token: str, where: Where, over: Event) -> None:
        self._gateway, self._machine_id, self._token = gateway, machine_id, token
        self._where, self._over = where, over

    def start(self) -> None:
        Thread(target=self._run, name="tunnel", daemon=True).start()

    def _run(self) -> None:
        wait = FIRST_WAIT
        while not self._over.is_set():
            try:
                with dial(self._gateway, of_machine(self._machine_id), self._token) as control:
                    wait = FIRST_WAIT
                    self._obey(control)
            except (errors.AmasiaError, OSError):
                wait = min(wait * 2, LONGEST_WAIT)
            self._over.wait(wait)

    def _obey(self, control: socket.socket) -> None:
        """Bring the streams that are asked for, line by line; silence means that the gateway is gone."""
        control.settimeout(3 * PULSE)
        text = b""
        while piece := control.recv(4096):
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                stream, _, service = line.decode("ascii").partition(" ")
                if stream and not self._bring(stream, service):
                    control.sendall(f"{stream}\n".encode())

    def _bring(self, stream: str, service: str) -> bool:
        """Whether there is something to bring; it is brought beside all else."""
        found = self._where(Service(service)) if service in set(Service) else None
        if found is not None:
            Thread(target=self._carry, args=(stream, found), name=f"stream {service}", daemon=True).start()
        return found is not None

    def _carry(self, stream: str, target: tuple[str, int]) -> None:
        with contextlib.suppress(errors.AmasiaError, OSError):
            near = socket.create_connection(target, LOCAL_TIMEOUT)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                far = dial(self._gateway, of_stream(self._machine_id, stream), self._token)
            except BaseException:
                near.close()
                raise
            pump(near, far)
