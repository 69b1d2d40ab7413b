"""What our scientist writes: a plain script, run by plain Python.

Monthly normals and departures from them of every group of a repository, computed on a cluster, written from its
workers in one commit. The script ends without stopping the cluster: the cluster stops itself when it is idle.
"""

import json
import sys
import time

import xarray as xr
from anomalies import anomalies
from seasons import normals

import amasia


def main(source: str, target: str, groups: dict[str, str], workers: int, idle: str) -> None:
    results = {}
    for group, dim in groups.items():
        ds = xr.open_dataset(f"amasia://{source}", engine="amasia", group=group, chunks={dim: 372})
        normal = normals(ds, dim)
        results[f"{group}/normals"] = normal
        results[f"{group}/departures"] = anomalies(ds, normal, dim).drop_vars("month", errors="ignore")

    begun = time.perf_counter()
    cluster = amasia.Cluster(n_workers=workers, idle_timeout=idle)
    client = cluster.get_client()
    client.submit(abs, -1).result()
    first = time.perf_counter() - begun
    repo = amasia.open_repo(target, mode="write")
    snapshot = repo.write(results, message="Monthly normals and departures from them", mode="w")
    told = {
        "cluster": cluster.name,
        "snapshot": snapshot,
        "first_result_seconds": round(first, 2),
        "stages": cluster.stages,
        "seconds": round(time.perf_counter() - begun, 2),
        "rows": repo.log()[0].model_dump(mode="json"),
    }
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
