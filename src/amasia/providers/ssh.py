"""A fleet of hosts by SSH: each is divided into slots, and a machine is one of them.

The host itself remembers what was begun on it (``host.sh``): a directory for each machine, made under its lock. So a
start that is repeated finds the first one, however the answer was lost. A host that does not answer says nothing about
its machines: they count as alive until their leases are over, since then they have ended themselves.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from pydantic import ValidationError

from amasia.errors import AmasiaError, InvalidRequest, NoCapacity, TooLarge, Unavailable
from amasia.models.base import NAME, now
from amasia.models.homes import Exit
from amasia.models.locations import Finding, Offer, Place
from amasia.models.machines import Boot, Found, Machine, MachineStatus
from amasia.providers import boots, checkups, inventories
from amasia.providers.inventories import Host
from amasia.providers.shells import Answer, Shells, Trouble, check_host_keys
from amasia.providers.whereabouts import Whereabouts

GRACE = 8
"""Seconds between the polite signal and the last one."""
PATIENCE = 2.5
"""Seconds that hosts which answer wait for those that do not."""
ROOM = 512 << 10
"""KiB that have to be free on a host's disk for a machine to begin."""
BESIDE = 256 << 20
"""Bytes of memory that agent and boot script get beside what a machine is sold with."""
SKEW = timedelta(seconds=2)
"""By which a host's clock may be off before its times are corrected."""
USER = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")


class SshProvider:
    """Runs machines on the hosts of an inventory."""

    name = "ssh"

    def __init__(self, place: Place) -> None:
        self.place = place
        self.inventory = inventories.read(place)
        check_host_keys(self.inventory.hosts)
        self._hosts = {host.name: host for host in self.inventory.hosts}
        place.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, passphrase = place.secrets.get("key", ""), place.secrets.get("passphrase", "")
        known = place.home / "hosts"
        self._shells = Shells(self.inventory.hosts, key, passphrase, known, private=place.private_endpoints)
        self._whereabouts = Whereabouts(place.home / "machines")
        self._unwell: dict[str, str] = checkups.recall(place.home)
        self._taken: dict[str, int] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"SshProvider({self.place.workspace}/{self.place.name}: {', '.join(self._hosts)})"

    def offers(self) -> Sequence[Offer]:
        return self.inventory.offers()

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        with self._whereabouts.turn(machine.id):
            noted = self._noted(machine)
            if noted:
                handle = self._begin(self._known(noted), machine, boot, again=True)
                if isinstance(handle, dict):
                    return handle
            return self._place(machine, boot)

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        if machines is None:
            return self._find_all()
        if not machines:
            return {}
        where = {machine.id: self._where(machine) for machine in machines}
        wanted = self._hosts if None in where.values() else {host for host in where.values() if host in self._hosts}
        seen, silent = self._ask(wanted)
        found = {}
        for machine in machines:
            host = where[machine.id]
            if machine.id in seen:
                found[machine.id] = seen[machine.id]
            elif host and host not in self._hosts:
                found[machine.id] = _unheard(machine, Unavailable(f"The host {host!r} left the inventory."))
            elif host in silent or (host is None and silent):
                found[machine.id] = _unheard(machine, silent.get(host or "", next(iter(silent.values()))))
        return found

    def stop(self, machine_id: str) -> None:
        """A host that does not answer is asked again with the next call; its machine ends with its lease anyway."""
        if not NAME.fullmatch(machine_id):
            return
        self._whereabouts.stop(machine_id)
        noted = self._whereabouts.get(machine_id)
        if noted == "":
            return  # it is certain that no host has it
        hosts = [noted] if noted in self._hosts else self._hosts
        self._shells.run_all({host: self._script(host) for host in hosts}, "stop", machine_id, str(GRACE),
                             patience=PATIENCE)  # fmt: skip

    def console(self, machine: Machine) -> str:
        host = self._where(machine)
        if not host or host not in self._hosts:
            return ""
        answer = self._shells.run(host, self._script(host), "console", machine.id)
        return str(answer.error) if isinstance(answer, Trouble) else answer

    def check(self) -> Sequence[Finding]:
        url = f"{self.place.control_plane}/v1/health" if self.place.control_plane else ""
        scripts = {host: self._script(host) for host in self._hosts}
        answers = self._shells.run_all(scripts, "check", "check", url, patience=30.0, force=True)
        findings = [one for name, answer in answers.items() for one in checkups.look(self._hosts[name], answer, url)]
        wrong = {finding.subject: finding.what for finding in findings if not finding.ok}
        # Whether a host answers is seen again at every start.
        self._unwell = {host: what for host, what in wrong.items() if isinstance(answers[host], str)}
        checkups.remember(self.place.home, self._unwell)
        if len(wrong) == len(self._hosts):
            what = f"none of its {len(self._hosts)} hosts can be used"
            findings.append(Finding(subject=self.place.name, what=what, ok=False, cure="Mend one of them, see above."))
        return findings

    # --- where to ---------------------------------------------------------------------------------------------------

    def _noted(self, machine: Machine) -> str:
        """The host that an earlier try was made on; empty where there was none."""
        noted = self._whereabouts.get(machine.id)
        if noted is None and machine.status is not MachineStatus.requested:
            noted = self._search(machine.id)  # another control plane may have begun it
        return noted or ""

    def _search(self, machine_id: str) -> str:
        answers = self._shells.run_all({host: self._script(host) for host in self._hosts}, "has", machine_id)
        for host, answer in answers.items():
            if isinstance(answer, str) and answer.strip() == "yes":
                return host
        for answer in answers.values():
            if isinstance(answer, Trouble):
                raise Unavailable(f"It may have been begun there already: {answer.error.message}",
                                  cure=answer.error.cure)  # fmt: skip
        return ""

    def _place(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        """Begin it on the host with the most free slots; one that is full or silent leaves it to the next."""
        refusals: list[AmasiaError] = []
        for host in self._candidates(machine):
            if host.name in self._unwell:
                refusals.append(InvalidRequest(f"The host {host.name!r} is not well: {self._unwell[host.name]}.",
                                               cure=f"amasia location check {self.place.name}"))  # fmt: skip
                continue
            handle = self._begin(host, machine, boot)
            if isinstance(handle, dict):
                return handle
            refusals.append(handle)
        raise _together(machine, refusals)

    def _candidates(self, machine: Machine) -> Iterator[Host]:
        types = [machine.machine_type, *(offer.type for offer in machine.alternatives)]
        offered = {offer.type: offer for offer in self.offers()}
        wanted = [kind for kind in types if kind in offered]
        if not wanted:
            raise InvalidRequest(
                f"The location {self.place.name!r} has no machine type {machine.machine_type!r}.",
                cure=f"It has: {', '.join(offered)}.",
            )
        slot = offered[wanted[0]]
        if machine.cpus > slot.cpus or machine.memory > slot.memory:
            raise TooLarge(
                f"{machine.cpus:g} cpus and {machine.memory >> 20} MiB were asked for; a machine {slot.type!r} has "
                f"{slot.cpus:g} cpus and {slot.memory >> 20} MiB.",
                cure="Ask for smaller machines, or for another type.",
            )
        for kind in wanted:
            hosts = [host for host in self.inventory.hosts if host.slot.type == kind]
            yield from sorted(hosts, key=lambda host: self._taken.get(host.name, 0) - host.slots)

    def _begin(self, host: Host, machine: Machine, boot: Boot, *, again: bool = False) -> dict[str, Any] | AmasiaError:
        """The handle; or why the machine is certainly not on this host.

        Raises
        ------
        Unavailable
            It may be there, or not: it is to be asked again.
        """
        handle = {"host": host.name, "machine_type": host.slot.type}
        self._whereabouts.put(machine.id, host.name)
        if self._whereabouts.is_stopped(machine.id):
            return handle
        limits = (host.slots, ROOM, host.slot.gpus, machine.memory + BESIDE)
        self._count(host, 1)
        answer = self._shells.run(host.name, self._script(host.name, boot), "start", machine.id, *map(str, limits))
        if isinstance(answer, Trouble):
            if answer.sent or again:
                raise answer.error
            problem = answer.error
        else:
            word, _, detail = answer.strip().partition("\t")
            if word in ("started", "found", "stopped"):
                return handle
            problem = self._refusal(host, word, detail)
            if again and word in ("busy", "denied"):
                raise problem  # it did not come to look for the earlier try
        self._count(host, -1)
        self._whereabouts.put(machine.id, "")
        return problem

    def _refusal(self, host: Host, word: str, detail: str) -> AmasiaError:
        root = self.inventory.root_of(host)
        match word:
            case "full":
                self._count(host, host.slots + 1)
                return Unavailable(f"All {host.slots} slots of {host.name!r} are taken.",
                                   cure="Stop a cluster, or wait.")  # fmt: skip
            case "disk":
                return Unavailable(f"The disk of {host.name!r} is full: {_mib(detail)} are free in {root}.",
                                   cure=f"Free some on {host.name}: du -xsh {root}/*")  # fmt: skip
            case "user" | "denied":
                return InvalidRequest(f"On {host.name!r} no machine can be set up: {detail or word}.",
                                      cure=f"amasia location check {self.place.name}")  # fmt: skip
        return Unavailable(f"The host {host.name!r} is busy with other starts.")

    def _count(self, host: Host, more: int) -> None:
        """Take down how full a host is believed to be, until it tells the next time."""
        with self._lock:
            self._taken[host.name] = self._taken.get(host.name, 0) + more

    def _known(self, name: str) -> Host:
        if name not in self._hosts:
            raise InvalidRequest(f"The host {name!r} is no longer in the inventory of {self.place.name!r}.",
                                 cure="Start the cluster anew.")  # fmt: skip
        return self._hosts[name]

    # --- what is there ----------------------------------------------------------------------------------------------

    def _where(self, machine: Machine) -> str | None:
        """The host of a machine; empty where none has it, None where nobody here knows."""
        host = machine.handle.get("host")
        return str(host) if host else self._whereabouts.get(machine.id)

    def _find_all(self) -> dict[str, Found]:
        seen, silent = self._ask(self._hosts, "all")
        if len(silent) == len(self._hosts):
            raise next(iter(silent.values()))
        if not silent:
            self._whereabouts.forget({machine_id for machine_id, found in seen.items() if found.alive})
        return seen

    def _ask(self, hosts: Iterable[str], *words: str) -> tuple[dict[str, Found], dict[str, AmasiaError]]:
        """The machines of the hosts that answer, and why the others do not."""
        scripts = {host: self._script(host) for host in hosts}
        answers = self._shells.run_all(scripts, "find", "-", *words, patience=PATIENCE)
        seen: dict[str, Found] = {}
        silent = {}
        for host, answer in answers.items():
            if isinstance(answer, Trouble):
                silent[host] = answer.error
                continue
            listed = _listed(host, answer)
            with self._lock:
                self._taken[host] = sum(found.alive for found in listed.values())
            for machine_id, found in listed.items():
                if not (machine_id in seen and seen[machine_id].alive):
                    seen[machine_id] = found
        return seen, silent

    def _script(self, host: str, boot: Boot | None = None) -> str:
        root = self.inventory.root_of(self._hosts[host])
        user = _user(self.place.workspace)
        home = f"{root}/homes/{user}" if self._hosts[host].user == "root" else root
        values = {
            "END": f"END-{secrets.token_hex(8)}",
            "ROOT": boots.quoted(root),
            "TAG": self.place.tag,
            "USER": user,
            "EXPORTS": boots.exports(self.inventory.variables),
            "BOOT": boots.script(boot, home, variables=self.inventory.variables) if boot else "",
        }
        return boots.filled("host.sh", values)


def _listed(host: str, answer: Answer) -> dict[str, Found]:
    """The machines that a host told of."""
    found: dict[str, Found] = {}
    skew = timedelta(0)
    for line in str(answer).split("\n"):  # what a machine said last may have other ends of lines in it
        kind, *words = line.split("\t")
        if kind == "now":
            off = now() - _moment(words[0], now())
            skew = off if abs(off) > SKEW else skew
        if kind == "machine":
            found[words[0]] = _found(host, words, skew)
    return found


def _found(host: str, words: list[str], skew: timedelta) -> Found:
    machine_id, state, started, *end = words
    started_at = _moment(started, None, skew) if started else None
    if state != "dead":
        return Found(machine_id=machine_id, alive=True, started_at=started_at)
    stopped_at = _moment(end[0], now(), skew)
    reason = _reason(host, end[1], end[2])
    try:
        told = Exit.model_validate_json(end[3])
        stopped_at, reason = told.at + skew, told.reason
    except (ValidationError, OverflowError):  # the machine's own word, which may be anything
        pass
    stopped_at = min(stopped_at, now())
    if started_at:
        stopped_at = max(stopped_at, started_at)
    return Found(machine_id=machine_id, alive=False, started_at=started_at, stopped_at=stopped_at, reason=reason)


def _reason(host: str, how: str, said: str) -> str:
    if how == "stopped":
        return "it was stopped"
    if how == "rebooted":
        return f"its host {host} went down"
    return f"it died on {host} without a word: killed from outside" + (f"; it last said: {said}" if said else "")


def _unheard(machine: Machine, trouble: AmasiaError) -> Found:
    """Of a machine whose host does not answer. Its lease is the fence: when that is over, it has ended itself."""
    over = machine.lease_until is not None and now() >= machine.lease_until
    reason = f"{trouble.message.rstrip('.')}, and its lease is over, so that it has ended itself" if over else ""
    return Found(machine_id=machine.id, alive=not over, reason=reason)


def _moment(text: str, otherwise: Any, skew: timedelta = timedelta(0)) -> Any:
    """A time in seconds since the epoch, as a host's ``date`` gives it."""
    try:
        return datetime.fromtimestamp(float(text.removesuffix(".%N").removesuffix(".N")), UTC) + skew
    except (ValueError, OverflowError):
        return otherwise


def _together(machine: Machine, refusals: list[AmasiaError]) -> AmasiaError:
    """One error for all hosts: final only where each of them refused for good."""
    later = [error for error in refusals if not isinstance(error, InvalidRequest)]
    first = (later or refusals)[0]
    told = " ".join(error.message for error in refusals)
    kind = NoCapacity if later else InvalidRequest
    return kind(f"No host can take a machine {machine.machine_type!r} now. {told}", cure=first.cure)


def _user(workspace: str) -> str:
    """Of a host's own users, the one that machines of a workspace run as."""
    if USER.fullmatch(workspace):
        return f"amasia-{workspace}"
    return f"amasia-{hashlib.sha256(workspace.encode()).hexdigest()[:12]}"


def _mib(kib: str) -> str:
    return f"{int(kib) >> 10} MiB" if kib.isdigit() else "no bytes"
