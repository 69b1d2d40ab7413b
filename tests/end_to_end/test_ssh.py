"""The whole story on hosts by SSH: added, checked, computed on, committed from there, stopped; nothing is left."""

import json
from pathlib import Path

import pytest

from show import hosts, labs, planes

LACKING = hosts.missing()
STORY = """
import json
import amasia

def commit(squares):  # on a worker: it opens the store itself, with what its machine was lent
    import socket, amasia, numpy as np, xarray as xr

    found = xr.Dataset({{"square": ("x", np.array(squares))}})
    amasia.open_repo("demo/squares", "write").write(found, message="computed on hosts")
    return socket.gethostname()

cluster = amasia.Cluster(n_workers=2, location="lab", worker_memory="400 MiB", idle_timeout=None, quiet=True,
                         environment={environment!r})
client = cluster.get_client()
client.wait_for_workers(2, timeout=60)
where = client.run(lambda: __import__("socket").gethostname())
who = set(client.run(lambda: __import__("getpass").getuser()).values())
squares = client.gather(client.map(lambda x: x * x, range(10), pure=False))
record = cluster.record
amasia.repositories.create("demo/squares")
writer = client.submit(commit, squares).result()
read = amasia.open_repo("demo/squares").to_xarray()["square"].values.tolist()
cluster.close()
told = {{"hosts": sorted(where.values()), "who": sorted(who), "writer": writer, "read": read, "id": record.id}}
print(json.dumps(told))
"""


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
@pytest.mark.timeout(300)
def test_a_cluster_on_hosts_computes_commits_and_leaves_nothing(tmp_path: Path, shared_cache: Path) -> None:
    settings = {"AMASIA_LEASE_SECONDS": "60", "AMASIA_HEARTBEAT_SECONDS": "1", "AMASIA_JOIN_SECONDS": "120"}
    with labs.lab(tmp_path, shared_cache, 2, settings, slots=2, cpus=2, memory="2 GiB") as lab:
        done = lab.plane.python(STORY.format(environment=lab.environment))
        assert done.returncode == 0, planes.show_error(done)
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["read"] == [x * x for x in range(10)]
        assert set(told["hosts"]) <= {"h1", "h2"}
        assert told["writer"] in told["hosts"]
        assert told["who"] == ["amasia-demo"]
        labs.wait(lambda: not any(lab.machines().values()), 60)
        removed = lab.plane.amasia("location", "remove", "lab", "--yes")
        assert removed.returncode == 0, planes.show_error(removed)
