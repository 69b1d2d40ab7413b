"""Checkups of hosts: what each one lacks to hold machines, and how to mend it."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from amasia.models.locations import Finding
from amasia.models.sizes import GIB
from amasia.providers.inventories import Host
from amasia.providers.shells import Answer, Trouble

DISK = 2 << 20
"""KiB that an environment and its cache take, roughly."""
CLOCK = 5.0
"""Seconds by which clocks may differ: leases are kept by the host's own."""
UNWELL = "unwell.json"
PACKAGES = {"flock": "util-linux", "setsid": "util-linux", "setpriv": "util-linux", "pkill": "procps",
            "useradd": "passwd"}  # fmt: skip


def look(host: Host, answer: Answer, url: str) -> list[Finding]:
    """What the answer of ``host.sh check`` means."""
    if isinstance(answer, Trouble):
        return [Finding(subject=host.name, what=answer.error.message.rstrip("."), ok=False, cure=answer.error.cure)]
    told: dict[str, str] = {}
    missing = []
    for line in answer.splitlines():
        key, _, value = line.partition("\t")
        if key == "missing":
            missing.append(value)
        told[key] = value
    findings = [Finding(subject=host.name, what=f"it answers {told.get('login', '')}@{host.address}", ok=True)]
    findings += _tools(host, missing)
    findings += _sizes(host, told)
    findings += _clock(host, told)
    if "root" in told:
        return [*findings, _bad(host, f"its directory cannot be made: {told['root']}",
                                "Name another one in the inventory: root = \"…\", or permit it.")]  # fmt: skip
    findings += _user(host, told)
    findings += _disk(host, told)
    if not told.get("user"):
        findings += _software(host, told)
        findings += _plane(host, told, url)
    return findings


def remember(home: Path, hosts: dict[str, str]) -> None:
    draft = home / f".{UNWELL}"
    draft.write_text(json.dumps(hosts))
    draft.replace(home / UNWELL)


def recall(home: Path) -> dict[str, str]:
    """The hosts that were not well when they were looked at last."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return dict(json.loads((home / UNWELL).read_text()))
    return {}


def _good(host: Host, what: str) -> Finding:
    return Finding(subject=host.name, what=what, ok=True)


def _bad(host: Host, what: str, cure: str) -> Finding:
    return Finding(subject=host.name, what=what, ok=False, cure=cure)


def _tools(host: Host, missing: list[str]) -> Iterator[Finding]:
    for tool in missing:
        yield _bad(host, f"it has no {tool}", f"On {host.name}: apt-get install {PACKAGES.get(tool, 'coreutils')}")


def _sizes(host: Host, told: dict[str, str]) -> Iterator[Finding]:
    cpus, memory, arch = _number(told.get("cpus")), _number(told.get("memory")) << 10, told.get("arch", "")
    arch = {"arm64": "aarch64", "amd64": "x86_64"}.get(arch, arch)
    has = f"it has {cpus} cpus and {memory / GIB:.1f} GiB, {arch}"
    said = f"{host.cpus:g} cpus and {int(host.memory) / GIB:.1f} GiB, {host.arch}, are declared"
    if host.cpus > cpus or int(host.memory) > memory or host.arch != arch:
        yield _bad(host, f"{has}, and {said}", "Declare in the inventory what it has.")
    else:
        yield _good(host, f"{has}; {said}")


def _clock(host: Host, told: dict[str, str]) -> Iterator[Finding]:
    try:
        off = float(told.get("now", "").partition(".N")[0].removesuffix(".%")) - time.time()
    except ValueError:
        return
    if abs(off) > CLOCK:
        which = "ahead" if off > 0 else "behind"
        yield _bad(host, f"its clock is {abs(off):.0f} s {which}", f"On {host.name}: timedatectl set-ntp true")


def _user(host: Host, told: dict[str, str]) -> Iterator[Finding]:
    if told.get("user"):
        yield _bad(host, f"the workspace's own user cannot be made: {told['user']}",
                   f"Mend that on {host.name}, or log in as the user that its machines run as.")  # fmt: skip
    elif told.get("login") != "root":
        yield _good(host, f"machines run as {told.get('login')}: what else that user has there, they can read")


def _disk(host: Host, told: dict[str, str]) -> Iterator[Finding]:
    free = _number(told.get("free"))
    if free < DISK:
        yield _bad(host, f"{free / 2**20:.1f} GiB of its disk are free, and {DISK >> 20} GiB are needed",
                   f"Free some on {host.name}, or name another root in the inventory.")  # fmt: skip
    else:
        yield _good(host, f"{free / 2**20:.0f} GiB of its disk are free")


def _software(host: Host, told: dict[str, str]) -> Iterator[Finding]:
    if told.get("python"):
        yield _good(host, f"it has Python {told['python']}")
    else:
        yield _bad(host, "it has no Python 3.12 or newer for its machines",
                   f"Install one on {host.name}, or say where: [variables] PATH = \"…\" in the inventory.")  # fmt: skip
    if not told.get("fetch"):
        yield _bad(host, "it has none of curl, wget and python3", f"On {host.name}: apt-get install curl")
    if told.get("memory_group"):
        yield _good(host, "its kernel holds machines to their memory")


def _plane(host: Host, told: dict[str, str], url: str) -> Iterator[Finding]:
    if not url:
        return
    if told.get("plane") == "ok":
        yield _good(host, f"it reaches the control plane: {url}")
        return
    yield _bad(host, f"it does not reach the control plane at {url}: {told.get('plane', '')}",
               "Open the way, or say how machines see it: amasia location add … --control-plane URL")  # fmt: skip


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
