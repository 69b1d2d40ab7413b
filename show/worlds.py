"""The clouds of `show.launches`: real providers, against what loses answers, takes requests twice and goes silent.

Each can be looked at past its provider: what was really made for each machine, and when it began and ended.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from amasia import errors
from amasia.models.locations import LocationRequest, Place
from amasia.providers import aws, shells, ssh
from amasia.providers.aws import AwsProvider
from amasia.providers.base import Provider
from amasia.providers.shells import Answer, Shells, Trouble
from amasia.providers.ssh import SshProvider
from amasia.testing.ec2 import Ec2
from show import hosts, planes
from show.hosts import Hosts

PLACE = "there"
MACHINES = 100_000
"""That the location may have: what is looked for is not that limit."""
Lives = Mapping[str, list[tuple[datetime, datetime | None]]]
"""Beginning and end of everything that was ever made for each machine; None while it lives."""


class World(Protocol):
    """A cloud that can be looked at past its provider."""

    name: str
    request: LocationRequest
    code: tuple[str, ...]
    """Parts of the paths of the provider's own code."""
    lines: int
    """A strike comes within so many, each as likely: that is about one launch and its stop."""
    precision: float
    """Seconds by which the provider's word on beginning and end may be off."""

    def open(self, place: Place) -> Provider:
        """As after a start of the control plane."""
        ...

    def die(self) -> None:
        """What a system does for a control plane that is dead: its connections end."""
        ...

    def trouble(self, dice: random.Random) -> str:
        """Something goes wrong next; its name."""
        ...

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        ...

    def lives(self) -> Lives: ...

    def close(self) -> None: ...


class AwsWorld:
    """The real provider against a server that speaks EC2's language; its instances do not boot."""

    name = "aws"
    code = ("providers/aws", "providers/launches")
    lines = 2000
    precision = 2.0  # EC2 tells beginnings and ends in whole ones

    def __init__(self, _: Path) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.ec2 = Ec2()
        os.environ["AWS_ENDPOINT_URL"] = self.ec2.url
        self.request = LocationRequest(
            name=PLACE,
            provider="aws",
            region="us-east-1",
            options={"subnets": list(self.ec2.subnets.values()), "types": ["m7i.large"], "price_list": False},
            secrets={"access_key": "key", "secret_key": "secret"},
            max_machines=MACHINES,
        )
        self._first: AwsProvider | None = None
        aws.DOUBT = 1.5  # of a cloud that lists after 0.3 s at most, as 20 s are of one that does after a few

    def open(self, place: Place) -> Provider:
        """Only clients and what AWS said of zones and types are kept, to save minutes."""
        made = AwsProvider(place)
        if self._first:
            for kept in ("calls", "market", "_images", "_subnets"):
                setattr(made, kept, getattr(self._first, kept))
        self._first = made
        return made

    def die(self) -> None:
        return None

    def trouble(self, dice: random.Random) -> str:
        faults = self.ec2.faults
        self.ec2.forget(60)  # as AWS does after an hour; a round on a busy computer may take half a minute
        kind = dice.choice(("lost", "lost", "doubled", "late", "no room", "throttled", "none", "none"))
        faults.no_room, faults.late = set(), 0.0
        match kind:
            case "lost" | "doubled" | "throttled":
                setattr(faults, kind, dice.randrange(1, 3))
            case "late":
                faults.late = dice.uniform(0.02, 0.3)
            case "no room":
                faults.no_room = {("*", zone, False) for zone in dice.sample(sorted(self.ec2.subnets), 2)}
        return kind

    def calm(self) -> None:
        faults = self.ec2.faults
        faults.lost = faults.doubled = faults.throttled = 0
        faults.no_room, faults.late = set(), 0.0

    def lives(self) -> Lives:
        found: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
        for machine_id, began, ended in self.ec2.lives():
            found[machine_id].append((began, ended))
        return found

    def close(self) -> None:
        self.ec2.close()


@dataclass
class Wire:
    """What goes wrong next between control plane and hosts. Numbers count down."""

    lost: int = 0
    """Starts and stops that are done, and whose answer never arrives."""
    doubled: int = 0
    """Those that arrive twice, at the same time."""
    broken: int = 0
    """Commands in whose middle the connection breaks."""
    delay: float = 0.0
    """Seconds after which it does."""

    def take(self, fault: str) -> bool:
        left = getattr(self, fault)
        setattr(self, fault, max(0, left - 1))
        return bool(left > 0)


class BadShells(Shells):
    """The real shells, over a wire of that kind."""

    def __init__(self, wire: Wire, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wire = wire

    async def _answer(self, link: Any, script: str, words: tuple[str, ...], *, force: bool) -> Answer:
        ask = super()._answer
        changes = words[0] in ("start", "stop")
        if changes and self.wire.take("doubled"):
            both = await asyncio.gather(*(ask(link, script, words, force=force) for _ in range(2)))
            return both[0]
        if changes and self.wire.take("lost"):
            answer = await ask(link, script, words, force=force)
            lost = Trouble(errors.Unavailable(f"The answer of {link.host.name!r} was lost."), sent=True)
            return answer if isinstance(answer, Trouble) else lost
        if link.connection is not None and self.wire.take("broken"):
            asyncio.get_running_loop().call_later(self.wire.delay, link.connection.abort)
        return await ask(link, script, words, force=force)


class SshWorld:
    """The real provider on hosts with network, processes, disk and sshd each; their machines run the boot script.

    There is no control plane for it, so it tries again and again to fetch the agent, as long as nobody stops it. What
    lives is seen by an eye of its own in the kernel's list of processes.
    """

    name = "ssh"
    code = ("providers/ssh", "providers/shells", "providers/whereabouts")
    lines = 3000
    precision = 4.0  # a host writes down every two seconds, in whole ones, that a machine lives

    def __init__(self, base: Path) -> None:
        warnings.simplefilter("ignore", RuntimeWarning)  # of what they never came to
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of tasks of the dead
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
        shells.CONNECT, shells.KEEPALIVE, shells.FIRST, shells.LONGEST = 2.0, 0.5, 0.2, 1.0
        ssh.PATIENCE = 1.0
        loop = shells._begun()
        vars(shells)["_loop"] = lambda: loop  # without the lock that the dead would hold
        self.wire, self.silent = Wire(), ""
        self.fleet = Hosts(base / "hosts", 2)
        self.fleet.up()
        for name in self.fleet.names:  # as many processors as slots, for a machine to have one
            self.fleet.pretend(name, 6, 12)
        root = f"/var/lib/amasia-{self.fleet.word}"
        self.request = LocationRequest(
            name=PLACE,
            provider="ssh",
            options=self.fleet.options(root=root, slots=6, cpus=6, memory="12 GiB"),
            secrets={"key": self.fleet.key},
            max_machines=MACHINES,
        )
        self.report = base / "lives"
        self._eye = subprocess.Popen(
            [sys.executable, "-m", "show.watcher", f"{root}/homes/amasia-lab", self.report], cwd=planes.ROOT
        )
        self._shells: BadShells | None = None

    def open(self, place: Place) -> Provider:
        made = SshProvider(place)
        made._shells = self._shells = BadShells(
            self.wire, made.inventory.hosts, place.secrets["key"], "", place.home / "hosts", private=True
        )
        return made

    def die(self) -> None:
        links = self._shells._links.values() if self._shells else ()

        async def end() -> None:
            for link in links:
                if link.connection is not None:
                    link.connection.abort()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(end(), shells._loop()).result(10)

    def trouble(self, dice: random.Random) -> str:
        self._mend()
        self.wire.lost = self.wire.doubled = self.wire.broken = 0
        if dice.random() < 0.03:
            self.silent = dice.choice(self.fleet.names)
            self.fleet.cut(self.silent)
            return "cut off"
        kind = dice.choice(("lost", "lost", "doubled", "doubled", "broken", "none", "none"))
        self.wire.delay = dice.uniform(0, 0.08)
        if kind != "none":
            setattr(self.wire, kind, dice.randrange(1, 3))
        return kind

    def calm(self) -> None:
        self._mend()
        self.wire.lost = self.wire.doubled = self.wire.broken = 0

    def lives(self) -> Lives:
        found: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
        began: dict[tuple[str, int], datetime] = {}
        for line in self.report.read_text().splitlines():
            told = json.loads(line)
            key = told["machine"], told["pid"]
            if told["what"] == "born":
                began[key] = datetime.fromtimestamp(told["born"], UTC)
            else:
                found[told["machine"]].append((began.pop(key), datetime.fromtimestamp(told["at"], UTC)))
        for (machine_id, _), born in began.items():
            found[machine_id].append((born, None))
        return found

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.die()
        planes.end(self._eye)
        self.fleet.down()

    def _mend(self) -> None:
        if self.silent:
            self.fleet.restore(self.silent)
            self.silent = ""


WORLDS: dict[str, Callable[[Path], World]] = {"aws": AwsWorld, "ssh": SshWorld}
LACKING: dict[str, Callable[[], str]] = {"aws": lambda: "", "ssh": hosts.missing}
"""Why there can be no such world here; empty where there can."""
