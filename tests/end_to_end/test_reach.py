"""A control plane with TLS by an authority of one's own, and a cluster that is reached through the gateway only."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amasia.testing import authorities
from show import planes
from show.planes import Plane

WORK = """
import json
import numpy as np
import amasia
from amasia.client import comms
comms.answers = lambda *_: False  # as behind NAT: the scheduler's own address is not to be had

def total(n):
    return sum(range(n))

if __name__ == "__main__":
    with amasia.Cluster(n_workers=1, worker_memory="512 MiB", quiet=True) as cluster:
        client = cluster.get_client()
        assert client.scheduler.address.startswith("tunnel://"), client.scheduler.address
        data = np.arange(2_000_000.0)
        back = client.submit(lambda x: x * 2, client.scatter(data)).result()
        print(json.dumps({"sum": client.submit(total, 1000).result(), "same": bool((back == data * 2).all())}))
"""


@pytest.fixture
def plane(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    files = authorities.write(tmp_path / "tls", "127.0.0.1", "localhost")
    monkeypatch.setenv("AMASIA_CA", str(files.ca))
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")  # set back afterwards
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    settings = {
        "AMASIA_TLS_CERTIFICATE": str(files.certificate),
        "AMASIA_TLS_KEY": str(files.key),
        "AMASIA_CA": str(files.ca),
    }
    plane = Plane(tmp_path / "plane", settings, scheme="https")
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        plane.up()
        yield plane


def run(plane: Plane, *command: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=plane.client(), cwd=plane.base.parent / "work", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, planes.show_error(done)
    return done.stdout


def test_work_and_data_go_over_tls_of_a_private_authority_and_through_the_gateway(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    script = tmp_path / "work" / "run.py"
    script.write_text(WORK)
    assert json.loads(run(plane, script).splitlines()[-1]) == {"sum": 499500, "same": True}
    run(plane, "-c", "import xarray; xarray.Dataset({'t': ('x', [1.0, 2.0])}).to_netcdf('a.nc')")
    for words in (["create", "demo/far"], ["ingest", "demo/far", "a.nc"], ["log", "demo/far"]):
        run(plane, "-m", "amasia.cli.main", "repo", *words)
