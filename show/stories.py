"""One story for every provider: a cluster computes, a worker commits, the result is read, it stops; nothing is left."""

import json
import time

from amasia.models.budgets import Budget, Charge
from amasia.models.clusters import Cluster
from amasia.testing.waiting import wait
from show import planes
from show.sites import Site

STORY = """
import json
import amasia

def commit(squares):  # on a worker: it opens the store itself, with what its machine was lent
    import socket, amasia, numpy as np, xarray as xr

    repository = amasia.open_repo("demo/squares", "write")
    repository.write(xr.Dataset({{"square": ("x", np.array(squares))}}), message="computed elsewhere")
    return socket.gethostname()

cluster = amasia.Cluster(n_workers=2, location={location!r}, worker_memory="400 MiB", idle_timeout=None, quiet=True,
                         environment={environment!r})
client = cluster.get_client()
client.wait_for_workers(2, timeout=100)
hosts = sorted(client.run(lambda: __import__("socket").gethostname()).values())
users = sorted(set(client.run(lambda: __import__("getpass").getuser()).values()))
squares = client.gather(client.map(lambda x: x * x, range(10), pure=False))
amasia.repositories.create("demo/squares")
assert client.submit(commit, squares).result() in hosts
read = amasia.open_repo("demo/squares").to_xarray()["square"].values.tolist()
cluster.close()
print(json.dumps({{"hosts": hosts, "users": users, "read": read}}))
"""


def tell(plane: planes.Plane, location: str | None, environment: str) -> dict[str, list[str]]:
    """Where it was computed, and as whom.

    Raises
    ------
    RuntimeError
        The story ends otherwise.
    """
    done = plane.python(STORY.format(location=location, environment=environment))
    if done.returncode != 0:
        raise RuntimeError(planes.show_error(done))
    told: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    if told.pop("read") != [x * x for x in range(10)]:
        raise RuntimeError(f"the commit does not hold what was computed: {done.stdout}")
    return told


def stop_all(plane: planes.Plane) -> None:
    link = plane.link()
    end = time.monotonic() + 90
    while found := list(link.items("/v1/workspaces/demo/clusters", Cluster, live=True)):
        for cluster in found:
            link.delete(f"/v1/workspaces/demo/clusters/{cluster.id}")
        if time.monotonic() > end:
            raise RuntimeError(f"clusters do not stop: {[(one.name, one.status) for one in found]}")
        time.sleep(0.3)


def nothing_is_left(site: Site) -> str:
    """No machine by the word of whoever has them, no money that is promised; what was paid.

    Raises
    ------
    RuntimeError
    """
    wait(lambda: not site.left(), 60)
    link = site.plane.link()
    wait(lambda: link.get("/v1/workspaces/demo/budget", Budget).reserved == 0, 30)
    if site.location:
        removed = site.plane.amasia("location", "remove", site.location, "--yes")
        if removed.returncode != 0:
            raise RuntimeError(planes.show_error(removed))
    charges = list(link.items("/v1/workspaces/demo/charges", Charge))
    spent = link.get("/v1/workspaces/demo/budget", Budget).spent
    if sum(charge.amount for charge in charges) != spent:
        raise RuntimeError(f"{spent} were spent, and the charges are others")
    return f"{len({charge.machine_id for charge in charges})} machines were paid"
