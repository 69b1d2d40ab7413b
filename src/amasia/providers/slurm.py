"""Slurm: a machine is an allocation of one node, asked for by ``sbatch`` with the boot script as its job.

Slurm has no token that makes a submission repeatable. Three things together do: the job's name is the machine's id,
and is looked for before anything is submitted; jobs of one name run one after the other (``--dependency=singleton``),
so that a second one that slipped through never runs beside the first; and a job that finds its machine's directory
used ends.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, ByteSize, Field

from amasia.errors import AmasiaError, InvalidRequest, NoCapacity, TooLarge, Unavailable
from amasia.models import homes
from amasia.models.base import Model, Name
from amasia.models.locations import Arch, Finding, Offer, Place
from amasia.models.machines import Boot, Found, Machine
from amasia.models.money import parse
from amasia.models.sizes import MIB
from amasia.providers import boots
from amasia.providers.launches import Launches
from amasia.providers.options import Options, Variables, check_secrets, read

PATIENCE = 20.0
"""Seconds that one command of Slurm may take."""
NOTICE = 60
"""Seconds before its time limit at which Slurm tells a job to end."""
ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "STOPPED", "RESIZING", "SIGNALING"}
WAITING = {"PENDING", "CONFIGURING", "REQUEUED"}
REASONS = {
    "CANCELLED": "it was cancelled in Slurm",
    "COMPLETED": "its job ended",
    "FAILED": "its job failed",
    "TIMEOUT": "its job reached Slurm's time limit",
    "PREEMPTED": "Slurm took its node for a job of higher priority",
    "NODE_FAIL": "its node went down",
    "OUT_OF_MEMORY": "its job used more memory than was allocated, and Slurm killed it",
    "BOOT_FAIL": "its node did not boot",
    "DEADLINE": "its job could not end before its deadline",
    "REVOKED": "Slurm revoked its job",
}
REFUSALS: tuple[tuple[str, type[AmasiaError], str], ...] = (
    ("Unable to contact slurm controller", Unavailable, "Is slurmctld up, and does `conf` name its slurm.conf?"),
    ("Socket timed out", Unavailable, "Slurm is busy; it is tried again."),
    ("Invalid partition", InvalidRequest, "`sinfo` lists the partitions; mend the location's types."),
    ("Invalid account", InvalidRequest, "`sacctmgr show associations` lists the accounts; mend the location's types."),
    ("Invalid qos", InvalidRequest, "`sacctmgr show qos` lists them; mend the location's types."),
    ("Invalid feature", InvalidRequest, "Mend `constraint` in the location's types."),
    ("Invalid generic resource", InvalidRequest, "Mend `gres` in the location's types."),
    ("Requested node configuration is not available", TooLarge, "No node has that: mend the location's types."),
    ("Memory specification can not be satisfied", TooLarge, "No node has that: mend the location's types."),
    ("time limit is invalid", InvalidRequest, "Mend `time` in the location's types."),
    ("submit limit", NoCapacity, "Wait until jobs have ended, or have the limit raised."),
    ("Job violates accounting", NoCapacity, "Wait until jobs have ended, or have the limit raised."),
    ("is in a state that does not allow", NoCapacity, "An administrator of Slurm can bring the partition up."),
    ("Required partition not available", NoCapacity, "An administrator of Slurm can bring the partition up."),
    ("Access/permission denied", InvalidRequest, "The control plane's user may not submit there."),
    ("User's group not permitted", InvalidRequest, "The control plane's user may not use this partition."),
)
"""What Slurm says, what it means here, and what to do."""


def _price(value: Any) -> Any:
    return value if value is None else parse(str(value))


class Type(Options):
    """A machine type: what is asked of Slurm, and what it is charged at."""

    name: Name
    partition: str = Field(pattern=r"^[\w.-]+$")
    cpus: int = Field(ge=1, le=4096)
    memory: ByteSize = Field(ge=1 << 26)
    price: Annotated[int | None, BeforeValidator(_price)] = None
    """Per hour: what it is charged back at."""
    account: str = Field(default="", pattern=r"^[\w.-]*$")
    qos: str = Field(default="", pattern=r"^[\w.-]*$")
    constraint: str = Field(default="", pattern=r"^[\w.&|*()\[\]-]*$")
    gres: str = Field(default="", pattern=r"^[\w.:,]*$")
    gpus: int = Field(default=0, ge=0)
    gpu: str = ""
    arch: Arch = "x86_64"
    time: int = Field(default=0, ge=0)
    """Minutes after which Slurm ends it in any case; 0 for the partition's own limit."""

    @property
    def offer(self) -> Offer:
        return Offer(type=self.name, cpus=self.cpus, memory=self.memory, price=self.price, arch=self.arch,
                     price_source="the location's options", gpus=self.gpus, gpu=self.gpu)  # fmt: skip


class SlurmOptions(Options):
    types: tuple[Type, ...] = Field(min_length=1)
    root: str = "~/.amasia"
    """Directory for all that is kept on nodes; best one that they share."""
    conf: str = ""
    """Path of slurm.conf, where it is not Slurm's own choice."""
    variables: Variables = {}
    """Of the environment of everything that is started there."""


class Job(Model):
    """One line of ``squeue`` or ``sacct``."""

    FORMAT: ClassVar[str] = "%i|%j|%T|%S|%e|%r|%k"

    id: str
    name: str
    state: str
    start: datetime | None
    end: datetime | None
    why: str = ""

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


class Partition(NamedTuple):
    """What is known of one."""

    state: str
    cpus: int
    """Of its largest node."""
    memory: int
    """Of its largest node, in MiB."""
    limit: int | None
    """Minutes that a job may take; None for no end."""


class SlurmProvider:
    """Asks the Slurm that the control plane's computer is a client of."""

    name = "slurm"

    def __init__(self, place: Place) -> None:
        check_secrets(place)
        self.place = place
        self.options = read(SlurmOptions, place, self.name)
        self.types = {one.name: one for one in self.options.types}
        self._launches = Launches(place.home)

    def __repr__(self) -> str:
        return f"SlurmProvider({self.place.workspace}/{self.place.name}: {', '.join(self.types)})"

    def offers(self) -> Sequence[Offer]:
        return [one.offer for one in self.options.types]

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        kind = self.types.get(machine.machine_type)
        if kind is None:
            raise InvalidRequest(
                f"The location {self.place.name!r} has no machine type {machine.machine_type!r} any more.",
                cure=f"It has: {', '.join(self.types)}.",
            )
        with self._launches.locked(machine.id):
            if self._launches.is_stopped(machine.id):
                return {}
            jobs = self._jobs([machine.id])
            if not jobs:
                self._expect(kind)
                self._submit(kind, machine, boot)
                jobs = self._jobs([machine.id])
            if self._launches.is_stopped(machine.id):  # in between
                self._run("scancel", "--name", machine.id, "--quiet")
            self._cancel_doubles(jobs)
        return {"job": min(jobs, key=_number).id} if jobs else {}

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        if machines is not None and not machines:
            return {}
        ids = None if machines is None else [machine.id for machine in machines]
        jobs = self._jobs(ids)
        found: dict[str, Found] = {}
        for job in sorted(jobs, key=lambda one: (one.alive, -_number(one))):  # the first one that lives has the word
            found[job.name] = self._found(job)
        for machine_id, job in self._past([one for one in ids or () if one not in found]).items():
            found[machine_id] = self._found(job)
        return found

    def stop(self, machine_id: str) -> None:
        self._launches.stop(machine_id)
        if self._jobs([machine_id]):
            self._run("scancel", "--name", machine_id, "--quiet")

    def console(self, machine: Machine) -> str:
        """What its boot script printed, where the nodes' directory is seen from here; else why it does not begin."""
        root = Path(self.options.root.replace("$HOME", "~", 1)).expanduser()
        with contextlib.suppress(OSError):
            return (root / "machines" / machine.id / homes.LOG).read_text(errors="replace")[-4000:]
        waiting = [job for job in self._jobs([machine.id]) if job.state in WAITING]
        return f"Slurm has not begun it: {waiting[0].why}" if waiting else ""

    def check(self) -> Sequence[Finding]:
        partitions = self._partitions()
        findings = [self._check_type(one, partitions) for one in self.options.types]
        if not any(finding.ok for finding in findings):
            what = "none of its machine types can be had"
            findings.append(Finding(subject=self.place.name, what=what, ok=False, cure="Mend one of them, see above."))
        self._launches.forget(self.find(None))
        return findings

    # --- Slurm ------------------------------------------------------------------------------------------------------

    def _submit(self, kind: Type, machine: Machine, boot: Boot) -> None:
        script = boots.script(boot, self.options.root, variables=self.options.variables)
        wanted = {
            "job-name": machine.id,
            "comment": self.place.tag,
            "dependency": "singleton",
            "partition": kind.partition,
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(kind.cpus),
            "mem": f"{kind.memory // MIB}M",
            "time": str(kind.time or ""),
            "signal": f"B:TERM@{NOTICE}",
            "account": kind.account,
            "qos": kind.qos,
            "constraint": kind.constraint,
            "gres": kind.gres,
            "output": "/dev/null",
            "chdir": "/",
            "export": "NIL",
        }
        options = [f"--{name}={value}" for name, value in wanted.items() if value]
        self._run("sbatch", "--parsable", "--no-requeue", *options, text=script)

    def _jobs(self, names: Iterable[str] | None) -> list[Job]:
        """Those of this location that Slurm still has, for five minutes after their end as well."""
        only = [] if names is None else [f"--name={','.join(names)}"]
        lines = self._run("squeue", "--noheader", "--all", "--states=all", f"--format={Job.FORMAT}", *only)
        rows = (line.split("|", 6) for line in lines.splitlines())
        return [_job(row[:6]) for row in rows if len(row) == 7 and row[6] == self.place.tag]

    def _past(self, names: list[str]) -> dict[str, Job]:
        """What the accounting knows of jobs that Slurm itself has forgotten; nothing where there is none."""
        if not names:
            return {}
        columns = "JobID,JobName,State,Start,End,Reason"
        try:
            lines = self._run("sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-30days",
                              f"--name={','.join(names)}", f"--format={columns}")  # fmt: skip
        except AmasiaError:
            return {}
        jobs = [_job(line.split("|")) for line in lines.splitlines() if line.count("|") == 5]
        return {job.name: job for job in sorted(jobs, key=_number, reverse=True)}

    def _partitions(self) -> dict[str, Partition]:
        found: dict[str, Partition] = {}
        for line in self._run("sinfo", "--noheader", "--all", "--format=%R|%a|%c|%m|%l").splitlines():
            name, state, cpus, memory, limit = line.split("|")
            before = found.get(name, Partition(state, 0, 0, None))
            most = max(before.cpus, _whole(cpus)), max(before.memory, _whole(memory))
            found[name] = Partition(state, *most, _minutes(limit))
        return found

    def _expect(self, kind: Type) -> None:
        """Slurm takes jobs that can never run, and lets them wait: say it now."""
        partitions = self._partitions()
        finding = self._check_type(kind, partitions)
        if finding.ok:
            return
        down = kind.partition in partitions and partitions[kind.partition].state != "up"
        refusal = NoCapacity if down else TooLarge
        raise refusal(f"The machine type {kind.name!r} cannot be had: {finding.what}.", cure=finding.cure)

    def _check_type(self, kind: Type, partitions: dict[str, Partition]) -> Finding:
        def wrong(what: str, cure: str) -> Finding:
            return Finding(subject=kind.name, what=what, ok=False, cure=cure)

        if kind.partition not in partitions:
            known = ", ".join(sorted(partitions)) or "none"
            return wrong(f"there is no partition {kind.partition!r}", f"Slurm has: {known}.")
        state, cpus, memory, limit = partitions[kind.partition]
        if state != "up":
            return wrong(f"the partition {kind.partition!r} is {state}", "An administrator of Slurm can bring it up.")
        if kind.cpus > cpus or kind.memory // MIB > memory:
            return wrong(
                f"no node of {kind.partition!r} has {kind.cpus} cpus and {kind.memory // MIB} MiB: at most {cpus} and "
                f"{memory} MiB",
                "Make the type smaller.",
            )
        if limit is not None and kind.time > limit:
            return wrong(f"{kind.partition!r} ends jobs after {limit} minutes, and not after {kind.time}", "Say less.")
        if kind.price is None:
            return wrong("it has no price, so that no budget could hold it", "Give it one, 0 for free.")
        return Finding(subject=kind.name, what=f"{kind.partition} is up, with nodes of {cpus} cpus", ok=True)

    def _cancel_doubles(self, jobs: list[Job]) -> None:
        for job in sorted((job for job in jobs if job.alive), key=_number)[1:]:
            self._run("scancel", "--quiet", job.id)

    def _found(self, job: Job) -> Found:
        begun = job.start if job.state not in WAITING else None
        if job.alive:
            return Found(machine_id=job.name, alive=True, started_at=begun, waiting=job.state in WAITING,
                         reason=f"Slurm has not begun it: {job.why}" if job.state in WAITING else "")  # fmt: skip
        never = job.start is None or (job.end is not None and job.start >= job.end)
        return Found(
            machine_id=job.name,
            alive=False,
            started_at=None if never else job.start,
            stopped_at=job.end,
            reason=REASONS.get(job.state, f"Slurm says {job.state}"),
        )

    def _run(self, *command: str, text: str = "") -> str:
        environment = os.environ | {"SLURM_TIME_FORMAT": "%s"}
        if self.options.conf:
            environment["SLURM_CONF"] = self.options.conf
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False,
                                  env=environment)  # fmt: skip
        except FileNotFoundError:
            raise InvalidRequest(
                f"The command {command[0]!r} of Slurm is not on the control plane's computer.",
                cure="Install Slurm's client there, as on a login node.",
            ) from None
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"{command[0]} did not answer within {PATIENCE:g} s.", cure="It is tried again."
            ) from None
        if done.returncode:
            raise _refusal(command[0], done.stderr)
        return done.stdout


def _refusal(command: str, said: str) -> AmasiaError:
    last = (said.strip().splitlines() or ["it failed without a word"])[-1].removeprefix(f"{command}: error: ")
    for words, kind, cure in REFUSALS:
        if words.lower() in said.lower():
            return kind(f"Slurm refused: {last}.", cure=cure)
    return Unavailable(f"{command} failed: {last}.", cure="It is tried again.")


def _job(row: Sequence[str]) -> Job:
    number, name, state, start, end, why = row
    return Job(id=number, name=name, state=state.split()[0], start=_time(start), end=_time(end), why=why)


def _number(job: Job) -> int:
    return _whole(job.id)


def _whole(text: str) -> int:
    digits = "".join(letter for letter in text.split("_", maxsplit=1)[0] if letter.isdigit())
    return int(digits or 0)


def _minutes(limit: str) -> int | None:
    """Of ``2-00:00:00``, ``1:00:00`` or ``30:00``; None for ``infinite``."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return None
    hours, minutes = ([0, *map(int, parts)])[-3:-1]
    return int(days or 0) * 1440 + hours * 60 + minutes


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.strip().isdigit() else None
