"""Sites: for each provider a control plane and, on this computer, what machines come from there.

Each is what the page ``docs/how-to/connect-PROVIDER.md`` is followed against, word for word but for what stands in
`Site.swaps`: the names and addresses that the page has made up.
"""

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from amasia.testing import hypervisors, vms
from amasia.testing.arm import Arm
from amasia.testing.ec2 import REGION, Ec2
from amasia.testing.gce import Gce
from amasia.testing.hypervisors import Hypervisor
from amasia.testing.vms import VmCloud
from show import hosts, labs, planes, slurms
from show.planes import Plane
from show.slurms import Slurm

SETTINGS = {"AMASIA_LEASE_SECONDS": "60", "AMASIA_HEARTBEAT_SECONDS": "1", "AMASIA_JOIN_SECONDS": "120"}
PYTHON = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a machine finds a Python that is new enough."""


@dataclass
class Site:
    """One provider's, with its control plane up and somebody signed in."""

    plane: Plane
    location: str | None
    """Its name on the page; None for the one that is there from the start."""
    environment: str
    """Hash of what tasks run in."""
    left: Callable[[], list[str]]
    """What still lives, asked past the provider."""
    swaps: dict[str, str] = field(default_factory=dict)
    """What the page says, and what it is here."""
    head: str = ""
    """More for the location's file, at its head: where the stand-in is, and a Python."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Files beside the location's own, by name."""


Raise = Callable[[Path, Path], AbstractContextManager[Site]]
"""From an empty folder, and one with environments that were built already."""


@contextlib.contextmanager
def local(base: Path, cache: Path) -> Iterator[Site]:
    with _plane(base, cache, {}) as plane:
        left = lambda: [str(process.pid) for process in plane.machines()]  # noqa: E731
        yield Site(plane, None, labs.built(plane, cache), left)


@contextlib.contextmanager
def ssh(base: Path, cache: Path) -> Iterator[Site]:
    """Two hosts that say they are as large as those of the page."""
    with labs.raised(base, cache, 2, SETTINGS) as lab:
        lab.fleet.pretend("h1", 16, 64)
        lab.fleet.pretend("h2", 64, 512)
        (cache / "environments").chmod(0o1777)  # the hosts' own user builds the one of the page's script
        swaps = {
            "node1.lab.example.org": lab.fleet.address("h1"),
            "big.lab.example.org": lab.fleet.address("h2"),
            "ssh-ed25519 AAAAC3Nza…": lab.fleet.host_key("h2"),
        }
        left = lambda: [pid for pids in lab.machines().values() for pid in pids]  # noqa: E731
        head = _variables({"PATH": PYTHON} | lab.variables)
        yield Site(lab.plane, "lab", lab.environment, left, swaps, head, {".ssh/id_ed25519": lab.fleet.key})


@contextlib.contextmanager
def slurm(base: Path, cache: Path) -> Iterator[Site]:
    made = Slurm(base / "slurm", nodes=3)
    planes.share_cache(base / "nodes", cache)
    try:
        made.start()
        with _plane(base, cache, {}) as plane:
            swaps = {
                '"~/.amasia"': f'"{base / "nodes"}"',
                '# conf = "/etc/slurm/slurm.conf"': f'conf = "{made.conf}"',
                '# UV_DEFAULT_INDEX = "https://packages.example.org/simple"': f'PATH = "{PYTHON}"',
            }
            left = lambda: made.run("squeue", "--noheader", "--format=%j %T").splitlines()  # noqa: E731
            yield Site(plane, "campus", labs.built(plane, cache), left, swaps)
    finally:
        made.stop()


@contextlib.contextmanager
def aws(base: Path, cache: Path) -> Iterator[Site]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ec2 = Ec2()
    hypervisor = Hypervisor(ec2, base / "instances")
    planes.share_cache(hypervisor.shared / "amasia", cache)
    endpoints = {f"AWS_ENDPOINT_URL_{name}": ec2.url
                 for name in ("EC2", "SSM", "STS", "SERVICE_QUOTAS", "PRICING", "IAM")}  # fmt: skip
    try:
        with _plane(base, cache, endpoints, hypervisor.address) as plane:
            first, second, _ = ec2.subnets.values()
            group = _group(ec2)
            swaps = {"subnet-0aaa": first, "subnet-0bbb": second, "sg-0ccc": group, "eu-central-1": REGION}
            head = 'root = "/srv/amasia"\n' + _variables({"PATH": PYTHON, "HTTPS_PROXY": hypervisor.proxy})
            secrets = {"access-key.txt": "key", "secret-key.txt": "secret"}
            left = lambda: [one.id for one in ec2.running()]  # noqa: E731
            yield Site(plane, "europe", labs.built(plane, cache), left, swaps, head, secrets)
    finally:
        hypervisor.close()
        ec2.close()


def _group(ec2: Ec2) -> str:
    """The security group of its network."""
    client = ec2.client("ec2")
    network = client.describe_subnets(SubnetIds=[*ec2.zones])["Subnets"][0]["VpcId"]
    mine = [{"Name": "vpc-id", "Values": [network]}]
    return str(client.describe_security_groups(Filters=mine)["SecurityGroups"][0]["GroupId"])


@contextlib.contextmanager
def gcp(base: Path, cache: Path) -> Iterator[Site]:
    cloud = Gce()
    with _named(cloud, base, cache) as (plane, head, left):
        yield Site(plane, "europe", labs.built(plane, cache), left, {}, head, {"key.json": cloud.key()})


@contextlib.contextmanager
def azure(base: Path, cache: Path) -> Iterator[Site]:
    cloud = Arm()
    with _named(cloud, base, cache) as (plane, head, left):
        secrets = {f"{name.replace('_', '-')}.txt": value for name, value in cloud.secrets().items()}
        authority = f'authority = "{cloud.url}"\n'
        yield Site(plane, "europe", labs.built(plane, cache), left, {}, authority + head, secrets)


@contextlib.contextmanager
def _named(cloud: VmCloud, base: Path, cache: Path) -> Iterator[tuple[Plane, str, Callable[[], list[str]]]]:
    """A cloud of named VMs that boot."""
    cloud.boots = True
    planes.share_cache(base / "disk", cache)
    head = f'endpoint = "{cloud.url}"\nroot = "{base / "disk"}"\n' + _variables({"PATH": PYTHON})
    try:
        with _plane(base, cache, {"REQUESTS_CA_BUNDLE": str(cloud.authority)}) as plane:
            yield plane, head, lambda: [vm.name for vm in cloud.running()]
    finally:
        cloud.close()


@contextlib.contextmanager
def _plane(base: Path, cache: Path, settings: dict[str, str], host: str = "127.0.0.1") -> Iterator[Plane]:
    """Up, at the address where the site's machines see it."""
    plane = Plane(base / "plane", SETTINGS | settings, host=host)
    plane.share_cache(cache)
    with planes.cleared(plane):
        plane.up()
        labs.sign_in(plane)
        yield plane


def _variables(values: dict[str, str]) -> str:
    return f"variables = {{{', '.join(f'{name} = {json.dumps(value)}' for name, value in values.items())}}}\n"


SITES: dict[str, Raise] = {"local": local, "ssh": ssh, "slurm": slurm, "aws": aws, "gcp": gcp, "azure": azure}
LACKING: dict[str, Callable[[], str]] = {
    "local": lambda: "",
    "ssh": hosts.missing,
    "slurm": slurms.missing,
    "aws": hypervisors.missing,
    "gcp": vms.missing,
    "azure": vms.missing,
}
"""Why there can be no such site here; empty where there can."""
