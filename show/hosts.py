"""Computers on one computer: each with its own network, processes, hostname, disk and sshd; cut off and turned off.

Needs root, Linux with network namespaces and overlayfs, and Debian's openssh-server and iproute2.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INIT = Path(__file__).with_name("hosts.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MEMORY = Path("/sys/fs/cgroup/memory")
GIB = 1 << 30


def missing() -> str:
    """Why there can be no such computers here; empty where there can."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return "computers of their own need root on Linux"
    tools = {"sshd": "openssh-server", "ssh-keygen": "openssh-client", "ip": "iproute2", "unshare": "util-linux"}
    lacking = [package for tool, package in tools.items() if not shutil.which(tool, path=PATH)]
    return f"as root: apt-get install {' '.join(lacking)}" if lacking else ""


@dataclass
class Hosts:
    """Some computers ``h1``, ``h2``, … on a network of their own, on which this computer is ``gateway``."""

    base: Path
    number: int
    disk: int = 4 * GIB
    """Bytes that each may write."""
    shared: Path | None = None
    """Folder of this computer that all of them see at the same path."""
    word: str = field(default_factory=lambda: f"a{random.randrange(16**6):06x}")
    network: str = ""

    @property
    def gateway(self) -> str:
        return f"{self.network}.1"

    @property
    def names(self) -> list[str]:
        return [f"h{number}" for number in range(1, self.number + 1)]

    @property
    def key(self) -> str:
        return (self.base / "id").read_text()

    def address(self, name: str) -> str:
        return f"{self.network}.{10 + int(name[1:])}"

    def host_key(self, name: str) -> str:
        return (self.base / name / "upper" / "etc" / "amasia-host" / "hostkey.pub").read_text().strip()

    def options(self, **changes: Any) -> dict[str, Any]:
        """An inventory of all of them, for the location's options."""
        found = {"hosts": [{"name": name, "address": self.address(name)} for name in self.names], "cpus": 2}
        python = f"{sys.base_prefix}/bin"
        return (
            found
            | {"memory": "2 GiB", "slots": 2, "price": "0.10", "variables": {"PATH": f"{python}:{PATH}"}}
            | changes
        )

    def up(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        _keygen(self.base / "id")
        self._make_network()
        for name in self.names:
            self._make(name)
        for name in self.names:
            self.boot(name, wait=False)
        for name in self.names:
            self.wait_for(name)

    def down(self) -> None:
        for name in self.names:
            self._kill(name)
        time.sleep(0.1)
        for name in self.names:
            _run("ip", "netns", "del", f"{self.word}-{name}", check=False)
            _run("umount", "-l", self.base / name, check=False)
            _remove_groups(MEMORY, f"{self.word}-{name}")
        _run("ip", "link", "del", self.word, check=False)

    def cut(self, name: str) -> None:
        """Its link goes dead: nothing is refused, nothing is answered."""
        _run("ip", "link", "set", f"{self.word}{name}", "down")

    def restore(self, name: str) -> None:
        _run("ip", "link", "set", f"{self.word}{name}", "up")

    def power_off(self, name: str) -> None:
        self.cut(name)
        self._kill(name)

    def boot(self, name: str, *, wait: bool = True) -> None:
        """Turn it on; its disk is as it was."""
        self.restore(name)
        folder = self.base / name
        space = f"{self.word}-{name}"
        apart = ["unshare", "--pid", "--fork", "--uts", "--ipc", "--mount", "--cgroup", "--kill-child=KILL"]
        init = ["/bin/bash", INIT, folder, name, self.address(name), self.shared or ""]
        command = ["ip", "netns", "exec", space, *apart, *init]
        group = MEMORY / _own_group() / space
        join = f'mkdir -p {group} 2>/dev/null && echo $$ >{group}/cgroup.procs; exec "$@"'
        with (self.base / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", join, "bash", *map(str, command)],
                env={"PATH": PATH},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.base / f"{name}.pid").write_text(str(process.pid))
        self._processes()[name] = process
        if wait:
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((self.address(name), 22), 0.5):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{name} does not come up: {(self.base / f'{name}.log').read_text()[-1000:]}")

    def run(self, name: str, script: str) -> str:
        """As root on it, past its network: what a person at its console would type."""
        init = self._init(name)
        done = subprocess.run(
            ["nsenter", "-t", init, "-a", "-r", "/bin/sh", "-c", f"cd /; {script}"],
            capture_output=True, text=True, env={"PATH": PATH, "HOME": "/root"}, check=False,
        )  # fmt: skip
        return done.stdout

    def pids(self, name: str, machine_id: str) -> list[str]:
        """Processes of a machine, by the kernel's word."""
        return self.run(name, f"grep -lzsaxF OWNED_BY_AMASIA={machine_id} /proc/[0-9]*/environ | cut -d/ -f3").split()

    def pretend(self, name: str, cpus: int, gib: int) -> None:
        """Let it say that it has so many processors and so much memory, until it is turned off."""
        self.run(name, f"echo 0-{cpus - 1} >/run/cpus; mount --bind /run/cpus /sys/devices/system/cpu/online; "
                       f"sed 's/^MemTotal:.*/MemTotal: {gib << 20} kB/' /proc/meminfo >/run/memory; "
                       "mount --bind /run/memory /proc/meminfo")  # fmt: skip

    def change_key(self, name: str) -> None:
        """As if it had been set up anew."""
        folder = self.base / name / "upper" / "etc" / "amasia-host"
        for path in (folder / "hostkey", folder / "hostkey.pub"):
            path.unlink()
        _keygen(folder / "hostkey")

    def _make_network(self) -> None:
        for _ in range(50):
            network = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
            if network not in _run("ip", "-4", "addr"):
                break
        self.network = network
        _run("ip", "link", "add", self.word, "type", "bridge")
        _run("ip", "addr", "add", f"{self.gateway}/24", "dev", self.word)
        _run("ip", "link", "set", self.word, "up")

    def _make(self, name: str) -> None:
        folder, space, link = self.base / name, f"{self.word}-{name}", f"{self.word}{name}"
        folder.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={self.disk}", "amasia-host", folder)
        own = folder / "upper" / "etc" / "amasia-host"
        for path in (own, folder / "work", folder / "root"):
            path.mkdir(parents=True)
        _keygen(own / "hostkey")
        shutil.copy(self.base / "id.pub", own)
        _run("ip", "netns", "add", space)
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _run("ip", "link", "set", link, "master", self.word, "up")
        _run("ip", "-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        for one in ("eth0", "lo"):
            _run("ip", "-n", space, "link", "set", one, "up")
        _run("ip", "-n", space, "route", "add", "default", "via", self.gateway)

    def _init(self, name: str) -> str:
        """Its first process, as this computer numbers it."""
        for _ in range(50):
            parent = (self.base / f"{name}.pid").read_text()
            told = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            if told:
                return told[0]
            time.sleep(0.05)
        raise RuntimeError(f"{name} is not up")

    def _kill(self, name: str) -> None:
        process = self._processes().pop(name, None)
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)  # and, by --kill-child, its first process, and so all of its
            process.wait()

    def _processes(self) -> "dict[str, subprocess.Popen[bytes]]":
        return self.__dict__.setdefault("_running", {})


@contextlib.contextmanager
def hosts(base: Path, number: int, **changes: Any) -> Iterator[Hosts]:
    """That many computers; nothing is left of them afterwards."""
    made = Hosts(base, number, **changes)
    try:
        made.up()
        yield made
    finally:
        made.down()


def _keygen(path: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "amasia", "-f", path)


def _run(*words: str | Path, check: bool = True) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, env={"PATH": PATH})
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def _own_group() -> str:
    """Of this process, in version 1 of the kernel's memory groups."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return path.strip("/")
    return ""


def _remove_groups(root: Path, name: str) -> None:
    top = root / _own_group() / name
    end = time.monotonic() + 5
    while top.exists() and time.monotonic() < end:  # what was killed takes a moment to go
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(0.02)
