"""Line 5: a client behind NAT, without a route to the machines, uses cluster and dashboard through the gateway.

``python -m show.tunnel --dose 0.1`` runs it alone. It needs root, for the client's own network namespace.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uv

from amasia.testing import authorities
from show import planes
from show.lines import Line
from show.planes import Plane

MEGABYTES, TASKS, ROUNDS, TURNS = 200, 300, 3, 3
OUR_END, THEIR_END = "10.213.77.1", "10.213.77.2"
CREATE = """
import os, sys, amasia
amasia.Cluster(n_workers=1, name="far", worker_memory="1 GiB", idle_timeout=None, quiet=True)
os._exit(0)
"""
MEASURE = """
import json, os, statistics, sys, time
import amasia

megabytes, tasks, rounds = map(int, sys.argv[1:])

def data(size, dask_scheduler=None):
    import numpy, os
    kept = vars(dask_scheduler)
    if "show_data" not in kept:
        kept["show_data"] = numpy.frombuffer(os.urandom(size), "u1")
    return kept["show_data"]

def same(x):
    return x

def timed(call, *args, **kwargs):
    begun = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - begun

if __name__ == "__main__":
    cluster = amasia.Cluster(name="far", quiet=True)
    client = cluster.get_client()
    client.submit(same, 0).result()
    client.run_on_scheduler(data, megabytes * 10**6)
    seconds = [timed(client.run_on_scheduler, data, megabytes * 10**6) for _ in range(rounds)]
    trips = [timed(lambda: client.submit(same, i, pure=False).result()) for i in range(tasks)]
    print(json.dumps({
        "address": client.scheduler.address,
        "rate": megabytes / min(seconds),
        "trip": statistics.median(trips) * 1e3,
        "dashboard": cluster.dashboard_link,
    }), flush=True)
    os._exit(0)
"""
LOOK = """
import json, os, sys
import httpx2
from amasia.client import trust
from amasia.settings import ClientSettings
settings = ClientSettings()
port = settings.url.rpartition(":")[2]
name = ("__Host-" if sys.argv[2] == "https" else "") + "amasia-" + port
web = httpx2.Client(verify=trust.context(settings.ca), follow_redirects=True, timeout=30)
first = web.get(sys.argv[1], headers={"Cookie": name + "=" + settings.token.get_secret_value()}, follow_redirects=False)
page = web.get(first.headers["location"])
style = web.get(page.url.join("statics/css/base.css"))
styled = style.status_code == 200 and "css" in style.headers["content-type"]
bokeh = "bokeh" in page.text.lower()
print(json.dumps({"styled": styled, "status": page.status_code, "url": str(page.url), "bokeh": bokeh}))
"""
PLAIN_SERVER = """
import os, socket, ssl, sys
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
stream = context.wrap_socket(server.accept()[0], server_side=True)
data = memoryview(os.urandom(1 << 20))
for _ in range(int(sys.argv[3])):
    stream.sendall(data)
stream.close()
"""
PLAIN_CLIENT = """
import json, socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[1])
plain = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
    buffer, total, begun = bytearray(1 << 20), 0, time.perf_counter()
    while got := stream.recv_into(buffer):
        total += got
    print(json.dumps(total / 1e6 / (time.perf_counter() - begun)))
"""


def lines(dose: float, base: Path) -> Iterator[Line]:
    """The figures of line 5, over plain HTTP (a proxy in front, or a trusted network) and over the platform's TLS."""
    what = "client in a network of its own, through the gateway"
    if os.geteuid() != 0 or not shutil.which("ip"):
        yield Line(5, what, "not run", "200 MB/s", False, "network namespaces need root and iproute2")
        return
    python = environment(base / "environment")
    files = authorities.write(base / "authority", "127.0.0.1", OUR_END)
    with away() as namespace:
        for secure in (False, True):
            plane = Plane(base / ("https" if secure else "http"), _settings(files, secure=secure))
            plane.settings["AMASIA_PUBLIC_URL"] = f"{_scheme(secure)}://127.0.0.1:{plane.port}"
            plane.share_cache(base / "built")
            with planes.cleared(plane):
                yield from _measure(plane, namespace, python, files, dose, secure=secure)


def _settings(files: authorities.Files, *, secure: bool) -> dict[str, str]:
    told = {"AMASIA_HOST": "0.0.0.0", "AMASIA_CA": str(files.ca)}  # noqa: S104
    if not secure:
        return told | {"AMASIA_PLAIN_HTTP": "1"}
    return told | {"AMASIA_TLS_CERTIFICATE": str(files.certificate), "AMASIA_TLS_KEY": str(files.key)}


def _scheme(secure: bool) -> str:
    return "https" if secure else "http"


def _measure(
    plane: Plane, namespace: str, python: Path, files: authorities.Files, dose: float, *, secure: bool
) -> Iterator[Line]:
    counts = [str(max(20, round(MEGABYTES * dose))), str(max(50, round(TASKS * dose))), str(ROUNDS)]
    how = "TLS in the platform's TLS" if secure else "TLS in plain HTTP"
    planes_up(plane, secure, files)
    here = plane.client() | {"AMASIA_URL": f"{_scheme(secure)}://127.0.0.1:{plane.port}"}
    there = here | {"AMASIA_URL": f"{_scheme(secure)}://{OUR_END}:{plane.port}"}
    run([python, "-c", CREATE], here)
    exec_away = ["ip", "netns", "exec", namespace]
    direct, far = [], []
    for _ in range(TURNS):  # one after the other, so that whatever else this computer does is in both
        direct.append(run([python, "-c", MEASURE, *counts], here))
        far.append(run([*exec_away, python, "-c", MEASURE, *counts], there))
    raw = _plain_tls(files, int(counts[0]))
    rate, best = max(one["rate"] for one in far), max(one["rate"] for one in direct)
    trip, near = min(one["trip"] for one in far), min(one["trip"] for one in direct)
    tunnelled = all(one["address"].startswith("tunnel:") for one in far)
    goal = min(200.0, raw / 2)
    yield Line(
        5, f"scheduler to client behind NAT, {how}", f"{rate:.0f} MB/s", f"{goal:.0f} MB/s",
        rate >= goal and tunnelled, f"Dask directly: {best:.0f} MB/s; plain TLS on loopback: {raw:.0f} MB/s",
    )  # fmt: skip
    yield Line(
        5, f"p50 of a task's round trip, {how}", f"{trip:.2f} ms, {trip - near:+.2f}", "at most +2 ms of direct",
        trip - near <= 2 and tunnelled, f"directly: {near:.2f} ms",
    )  # fmt: skip
    seen = run([*exec_away, python, "-c", LOOK, far[0]["dashboard"], _scheme(secure)], there)
    yield Line(
        5, f"the dashboard in a browser's steps behind NAT, {how}", f"status {seen['status']}",
        "200, Bokeh's page with its styles",
        seen["status"] == 200 and seen["bokeh"] and seen["styled"], seen["url"],
    )  # fmt: skip


def planes_up(plane: Plane, secure: bool, files: authorities.Files) -> None:
    """`Plane.up` asks over the address that it knows; with TLS that needs the authority in this process, too."""
    os.environ["AMASIA_CA"] = str(files.ca)
    plane.scheme = _scheme(secure)
    plane.up()


def environment(folder: Path) -> Path:
    """Python of this project's environment with Bokeh, without which Dask has no dashboard."""
    command = [uv.find_uv_bin(), "sync", "--frozen", "--quiet", "--group", "dashboard"]
    subprocess.run(command, env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)}, cwd=planes.ROOT, check=True)
    return folder / "bin" / "python"


@contextmanager
def away() -> Iterator[str]:
    """A network namespace that reaches this one's end of a cable, and nothing else."""
    name, ours = f"amasia-{os.getpid()}", f"am{os.getpid() % 10**8}"
    steps = [
        f"ip netns add {name}",
        f"ip link add {ours} type veth peer name far netns {name}",
        f"ip addr add {OUR_END}/30 dev {ours}",
        f"ip link set {ours} up",
        f"ip -n {name} addr add {THEIR_END}/30 dev far",
        f"ip -n {name} link set far up",
        f"ip -n {name} link set lo up",
    ]
    try:
        for step in steps:
            subprocess.run(step.split(), check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def run(command: list[Any], variables: dict[str, str]) -> Any:
    """The JSON that it says last."""
    done = subprocess.run([*map(str, command)], env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(planes.show_error(done))
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


def _plain_tls(files: authorities.Files, megabytes: int) -> float:
    command = [sys.executable, "-c", PLAIN_SERVER, str(files.certificate), str(files.key), str(megabytes)]
    best = 0.0
    for _ in range(ROUNDS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            best = max(best, run([sys.executable, "-c", PLAIN_CLIENT, files.ca, port], dict(os.environ)))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dose", type=float, default=1.0)
    parser.add_argument("--base", type=Path, default=Path(tempfile.gettempdir()) / "amasia-tunnel", help="kept")
    arguments = parser.parse_args()
    found = list(lines(arguments.dose, arguments.base.absolute()))
    for line in found:
        print("holds" if line.holds else "FALLS SHORT", line.what, line.figure, f"(goal: {line.goal})", line.detail)
    return 0 if found and all(line.holds for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
