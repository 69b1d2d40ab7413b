"""What each connection is for, and whether it may: asked of the services, for each one anew."""

import asyncio
from collections.abc import Callable

import h11
import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.gateway import dashboards
from amasia.gateway.agents import Agents
from amasia.gateway.arrivals import Arrival, bearer, headers, source
from amasia.gateway.splices import splice
from amasia.models.tunnels import UPGRADE, Service
from amasia.services import tunnels

log = structlog.get_logger()


class Gateway:
    """Takes connections of agents, clients and browsers."""

    def __init__(self, db: Database, *, secure: bool) -> None:
        self._db, self._secure = db, secure
        self.agents = Agents()
        self._tasks: set[asyncio.Task[None]] = set()
        self._used: dict[str, float] = {}

    def arrival(self) -> Arrival:
        """The protocol of a new connection."""
        arrival = Arrival()
        task = asyncio.get_running_loop().create_task(self._take(arrival))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return arrival

    async def _take(self, arrival: Arrival) -> None:
        try:
            await self._route(arrival, await arrival.head())
        except errors.AmasiaError as error:
            arrival.refuse(error)
        except (TimeoutError, asyncio.CancelledError):
            arrival.transport.close()
        except Exception:
            log.exception("bug in the gateway")
            arrival.refuse(errors.AmasiaError("This is a bug in Amasia.", cure="The gateway's log tells more."))

    async def _route(self, arrival: Arrival, request: h11.Request) -> None:
        path = request.target.decode("ascii", "replace").partition("?")[0]
        match path.strip("/").split("/"):
            case ["v1", "tunnels", machine_id]:
                await self._control(arrival, request, machine_id)
            case ["v1", "tunnels", machine_id, stream]:
                await self._stream(arrival, request, machine_id, stream)
            case ["v1", "reach", workspace, cluster, ("scheduler" | "dashboard") as service]:
                await self._client(arrival, request, workspace, cluster, Service(service))
            case ["dashboards", cluster_id, "open"]:
                await self._open(arrival, request, cluster_id)
            case ["dashboards", cluster_id, _, *_]:
                await self._dashboard(arrival, request, cluster_id)
            case ["health"]:
                arrival.answer(200, b"ok\n", Content_Type="text/plain")
            case _:
                raise errors.NotFound(f"The gateway has nothing at {path!r}.")

    async def _control(self, arrival: Arrival, request: h11.Request, machine_id: str) -> None:
        await self._agent(arrival, request, machine_id)
        arrival.switch(UPGRADE)
        self.agents.joined(machine_id, arrival)

    async def _stream(self, arrival: Arrival, request: h11.Request, machine_id: str, stream: str) -> None:
        await self._agent(arrival, request, machine_id)
        if not self.agents.brought(machine_id, stream, arrival):
            raise errors.NotFound("Nobody waits for this stream.")

    async def _agent(self, arrival: Arrival, request: h11.Request, machine_id: str) -> None:
        _check_upgrade(request)
        await self._ask(lambda: tunnels.agent(self._db, bearer(request), source(arrival), machine_id))

    async def _client(
        self, arrival: Arrival, request: h11.Request, workspace: str, cluster: str, service: Service
    ) -> None:
        _check_upgrade(request)
        secret, peer = bearer(request), source(arrival)
        machine_id = await self._ask(lambda: tunnels.reach(self._db, secret, peer, workspace, cluster, service))
        brought = await self.agents.open(machine_id, service)
        for each in (arrival, brought):
            each.switch(UPGRADE)
        splice(arrival.transport, arrival.rest, brought.transport, brought.rest)

    async def _open(self, arrival: Arrival, request: h11.Request, cluster_id: str) -> None:
        ticket = dashboards.ticket(request.target.decode("ascii", "replace"))
        visit = await self._ask(lambda: tunnels.begin_visit(self._db, ticket, cluster_id))
        now = asyncio.get_running_loop().time()  # only good tickets are remembered, and nothing is awaited in between
        self._used = {key: until for key, until in self._used.items() if until > now}
        if ticket in self._used:
            raise errors.NotSignedIn("This link was used already.", cure="Open the dashboard from the console.")
        self._used[ticket] = now + 2 * tunnels.TICKET.total_seconds()
        dashboards.let_in(arrival, cluster_id, visit, secure=self._secure)

    async def _dashboard(self, arrival: Arrival, request: h11.Request, cluster_id: str) -> None:
        dashboards.check(request, secure=self._secure)
        visit = dashboards.cookie(request)
        machine_id = await self._ask(lambda: tunnels.visit(self._db, visit, cluster_id))
        brought = await self.agents.open(machine_id, Service.dashboard)
        brought.switch(UPGRADE)
        socket = dashboards.wants_socket(request)
        splice(arrival.transport, b"", brought.transport, b"")
        brought.transport.set_protocol(dashboards.Answer(brought.transport, arrival.transport, socket=socket))
        if not socket:
            arrival.transport.set_protocol(dashboards.Question(arrival.transport, brought.transport))
        brought.transport.write(dashboards.head(request, cluster_id) + (arrival.rest if socket else b""))

    async def _ask[T](self, question: Callable[[], T]) -> T:
        return await asyncio.to_thread(question)


def _check_upgrade(request: h11.Request) -> None:
    if headers(request).get("upgrade", "").lower() != UPGRADE:
        raise errors.InvalidRequest(f"A stream begins with the header Upgrade: {UPGRADE}.")
