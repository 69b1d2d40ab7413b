"""A lab: a control plane and, on a network of their own, hosts that are its location ``lab`` by SSH."""

import contextlib
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amasia.client.environments import capture_here, ensure
from amasia.environments.build import build
from show import hosts, planes
from show.hosts import Hosts
from show.planes import Plane
from show.proxies import proxy

USER = "amasia-demo"
HOME = f"/var/lib/amasia/homes/{USER}"


@dataclass
class Lab:
    plane: Plane
    fleet: Hosts
    variables: dict[str, str]
    """That everything on the hosts needs for its way out."""
    environment: str

    def machines(self) -> dict[str, list[str]]:
        """Processes of machines on each host, by its kernel's word."""
        return {
            name: self.fleet.run(name, "grep -lzsa '^OWNED_BY_AMASIA=' /proc/[0-9]*/environ | cut -d/ -f3").split()
            for name in self.fleet.names
        }


@contextlib.contextmanager
def lab(base: Path, cache: Path, number: int, settings: dict[str, str], **options: Any) -> Iterator[Lab]:
    """Everything is up, and the location was added and checked as an administrator does it."""
    with raised(base, cache, number, settings) as made:
        inventory = _write_inventory(made.plane.base / "hosts.toml", made.fleet, made.variables, options)
        done = made.plane.amasia("location", "add", "lab", "--provider", "ssh", "--hosts", inventory)
        if done.returncode != 0:
            raise RuntimeError(planes.show_error(done))
        yield made


@contextlib.contextmanager
def raised(base: Path, cache: Path, number: int, settings: dict[str, str]) -> Iterator[Lab]:
    """Control plane and hosts, and nobody has told the one of the others.

    Environments come from ``cache``, where this computer's own was built: a host would take minutes to install its
    1.3 GB, and that is the same on every provider. The agent is installed by the boot script from the kit.
    """
    cache = cache.absolute()
    planes.share_cache(base / "plane" / "home", cache)
    with hosts.hosts(base / "hosts", number, shared=cache) as fleet, proxy(fleet.gateway) as way_out:
        plane = Plane(base / "plane", settings, host=fleet.gateway)
        with planes.cleared(plane):
            plane.up()
            made = Lab(plane, fleet, {"HTTPS_PROXY": way_out}, built(plane, cache))
            for name in fleet.names:
                fleet.run(name, _settle(cache))
            sign_in(plane)
            yield made


def sign_in(plane: Plane) -> None:
    """Let `amasia` in this plane's folder be the first user's."""
    plane.settings |= {key: plane.client()[key] for key in ("AMASIA_URL", "AMASIA_TOKEN", "AMASIA_WORKSPACE")}


def built(plane: Plane, cache: Path) -> str:
    """The hash of this process's own environment, known to the control plane and built in the cache."""
    script = plane.base / "script" / "run.py"
    script.parent.mkdir(exist_ok=True)
    script.touch()
    captured = capture_here(script=script)
    build(captured.environment, lambda artifact: captured.files[artifact.sha256].read_bytes(), cache)
    # Whoever filled uv's cache may have kept it to themselves; the hosts' user reads it too.
    subprocess.run(["chmod", "-R", "a+rX", cache / "bases", cache / "environments"], check=True)
    return ensure(plane.link(), "demo", captured)


def _settle(cache: Path) -> str:
    """The user whose machines find what was built; an administrator may make it before we do."""
    links = " ".join(f"{cache}/{folder}" for folder in ("bases", "environments"))
    return (
        f"useradd --system --user-group --home-dir {HOME} {USER}; mkdir -p {HOME}/cache; ln -s {links} {HOME}/cache; "
        f"chown -hR {USER}: {HOME}"
    )


def _write_inventory(file: Path, fleet: Hosts, variables: dict[str, str], options: dict[str, Any]) -> Path:
    """As an administrator writes it."""
    told = fleet.options(**options)
    lines = [f"{key} = {_toml(value)}" for key, value in told.items() if not isinstance(value, list | dict)]
    lines += ["", "[variables]", *(f"{key} = {_toml(value)}" for key, value in (told["variables"] | variables).items())]
    for host in told["hosts"]:
        lines += ["", "[[hosts]]", *(f"{key} = {_toml(value)}" for key, value in host.items())]
    lines += ["", "[secrets]", f'key = "@{fleet.base / "id"}"', ""]
    file.write_text("\n".join(lines))
    tomllib.loads(file.read_text())
    return file


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
