"""Who may reach what runs on a machine: asked anew for each stream, by the gateway."""

import json
from datetime import timedelta

from cryptography.fernet import InvalidToken

from amasia import errors
from amasia.database import events, machines, users
from amasia.database.engine import Database
from amasia.database.schema import Sealed
from amasia.models.base import now
from amasia.models.clusters import Cluster
from amasia.models.machines import MachineRole
from amasia.models.permissions import Permission, may
from amasia.models.tunnels import Service
from amasia.models.users import Principal, Scope
from amasia.services import access, clusters

TICKET = timedelta(seconds=30)
"""From the console's link to the browser's first request."""
VISIT = timedelta(hours=12)


def agent(db: Database, secret: str, source: str, machine_id: str) -> None:
    """An agent offers to carry streams to its own machine."""
    access.require_machine(db, access.principal(db, secret, source), machine_id)


def reach(db: Database, secret: str, source: str, workspace: str, name: str, service: Service) -> str:
    """The scheduler's machine of a cluster, for whoever may have its certificate; of its dashboard, for its owner."""
    who = access.principal(db, secret, source)
    access.require(db, who, workspace, Permission.run, "cluster.reach")
    cluster = clusters.connectable(db, who, workspace, name, alone=service is Service.dashboard)
    return _scheduler(db, who, cluster, service)


def ticket(db: Database, who: Principal, workspace: str, name: str) -> tuple[Cluster, str]:
    """What lets the owner's browser begin to visit a cluster's dashboard, once and soon."""
    cluster = clusters.connectable(db, who, workspace, name, alone=True)
    return cluster, _seal(db, "ticket", who.user, cluster, TICKET)


def begin_visit(db: Database, ticket: str, cluster_id: str) -> str:
    """What a browser carries from now on, for its ticket."""
    told = _unseal(db, "ticket", ticket, cluster_id)
    cluster = _visited(db, told)
    return _seal(db, "visit", told["user"], cluster, VISIT)


def visit(db: Database, visit: str, cluster_id: str) -> str:
    """The machine whose dashboard a browser may see: for as long as its owner may run things, and it runs."""
    told = _unseal(db, "visit", visit, cluster_id)
    return _machine(db, _visited(db, told))


def _visited(db: Database, told: dict[str, str]) -> Cluster:
    found = clusters.get(db, told["workspace"], told["cluster"])
    with db.read() as tx:
        role = users.role(tx, found.workspace, told["user"])
    if found.owner != told["user"] or not may(role, Permission.run):
        visitor = Principal(user=told["user"], operator=False, scope=Scope.everything, token_id="")
        access.deny(db, visitor, found.workspace, "cluster.visit", found.id)
        raise errors.PermissionDenied(f"The dashboard of {found.name!r} is for {found.owner} alone.")
    return found


def _scheduler(db: Database, who: Principal, cluster: Cluster, service: Service) -> str:
    machine_id = _machine(db, cluster)
    with db.write(quiet=True) as tx:
        events.append(tx, actor=who.actor, verb="cluster.reach", target=cluster.id, workspace=cluster.workspace,
                      source=who.source, service=service.value)  # fmt: skip
    return machine_id


def _machine(db: Database, cluster: Cluster) -> str:
    with db.read() as tx:
        own = machines.of_cluster(tx, cluster.id)
    return next(machine.id for machine in own if machine.role is MachineRole.scheduler)


def _seal(db: Database, purpose: str, user: str, cluster: Cluster, life: timedelta) -> str:
    told = {"for": purpose, "user": user, "workspace": cluster.workspace, "cluster": cluster.id}
    with db.read() as tx:
        return db.seal(tx, json.dumps(told | {"until": (now() + life).timestamp()})).text


def _unseal(db: Database, purpose: str, sealed: str, cluster_id: str) -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads(db.unseal(Sealed(sealed)))
    except (InvalidToken, ValueError, errors.Unavailable):
        told = {}
    if told.get("for") != purpose or told.get("cluster") != cluster_id or float(told["until"]) < now().timestamp():
        raise errors.NotSignedIn("This visit is over, or never began.", cure="Open the dashboard from the console.")
    return told
