"""What clouds share that are asked for one named VM at a time: when to ask, what to believe, and what to clean up.

A VM has a name that follows from its machine's id, so that the cloud itself refuses a second one. A zone is written
down before it is asked. What ended is deleted as soon as it is seen, since its disk (and on Azure all of it) would go
on costing; so the end is written down too.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from threading import Lock
from time import monotonic
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from amasia import errors
from amasia.models import homes
from amasia.models.base import NAME, now
from amasia.models.locations import Offer, Place
from amasia.models.machines import Boot, Found, Machine
from amasia.models.money import parse
from amasia.providers import boots
from amasia.providers.launches import Launch, Launches
from amasia.providers.markets import Market, Seed, in_order
from amasia.providers.options import Options, Variables

MACHINE, PLACE = "amasia-machine", "amasia-place"
"""Marks of everything that is made."""
DOUBT = 20.0
"""Seconds for which a machine that was asked for, and whose answer was lost, may come to be."""
PATIENCE = 4.0
"""Seconds that a start waits for the cloud to have made it. What fails later is found later."""
SHORT = 60.0
"""Seconds for which a zone that had no room for a type is not asked again."""


class CloudOptions(Options):
    """The keys that every such cloud has."""

    zones: list[str] = []
    types: list[str] = []
    """Machine types that are offered, with ``*`` where several are meant; empty for a list of our own."""
    images: dict[Literal["x86_64", "aarch64", "gpu"], str] = {}
    prices: dict[str, str] = {}
    """Per hour on demand, by machine type, such as ``"0.1008"``."""
    spot_prices: dict[str, str] = {}
    """The same for machines that may be taken back."""
    public_ip: bool = False
    disk_gib: int = Field(default=50, ge=30, le=16_384)
    endpoint: str = Field(default="", pattern=r"^(https://[A-Za-z0-9.:\[\]-]+)?$")
    """Of the cloud's API where it is not the public one."""
    root: str = "/opt/amasia"
    """Directory on the machines."""
    variables: Variables = {}
    """Of the environment of what runs there: mirrors, proxies."""

    @field_validator("types")
    @classmethod
    def _lower(cls, value: list[str]) -> list[str]:
        return [name.lower() for name in value]

    @field_validator("prices", "spot_prices")
    @classmethod
    def _check(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            parse(text)
        return {name.lower(): text for name, text in value.items()}


class Choice(NamedTuple):
    """One way to have a machine."""

    offer: Offer
    zone: str
    """Empty where the cloud is to choose."""
    spot: bool


class Seen(NamedTuple):
    """A VM as its cloud sees it."""

    machine_id: str
    name: str
    zone: str
    machine_type: str
    spot: bool
    alive: bool
    instance: str = ""
    """The cloud's own number for it."""
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    reason: str = ""
    no_room: bool = False
    """It ended because there was no room for it."""
    made: bool = True
    """False as long as the cloud is about to make it."""
    leaving: bool = False
    """It is alive, and its end has begun."""

    @property
    def handle(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "instance": self.instance,
            "machine_type": self.machine_type,
            "zone": self.zone,
            "spot": self.spot,
        }


class End(NamedTuple):
    """How a VM ended that is no longer there."""

    at: datetime
    reason: str
    no_room: bool = False


class Outcome(Enum):
    """What an error of a start says about the machine."""

    room = "not here, perhaps elsewhere"
    lost = "nobody knows whether it was made"
    refused = "it was not made"


class Problem(Exception):
    """A start that did not go well."""

    def __init__(self, outcome: Outcome, error: errors.AmasiaError) -> None:
        super().__init__(str(error))
        self.outcome, self.error = outcome, error


class Cloud(ABC):
    """The four verbs over what a subclass can ask its cloud."""

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]]
    """Offered where the options say nothing."""
    notice: ClassVar[str]
    """Shell that prints when the cloud takes the machine back, once it has said so."""

    def __init__(self, place: Place, options: CloudOptions) -> None:
        if place.region == "here":
            raise errors.InvalidRequest(
                f"The location {place.name!r} has no region.", cure=f"Give one; see docs/how-to/connect-{self.name}.md."
            )
        self.place, self.common = place, options
        self.launches = Launches(place.home)
        prices, spot = ({name: int(parse(text)) for name, text in one.items()}
                        for one in (options.prices, options.spot_prices))  # fmt: skip
        self.market = Market(self.types_here, options.types or self.types, prices, spot, self.seed)
        self._short: dict[tuple[str, str, bool], float] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place.tag!r})"

    # --- what each cloud does in its own way -------------------------------------------------------------------------

    @abstractmethod
    def zones(self) -> Sequence[str]:
        """In the order in which they are tried; one empty one where the cloud is to choose."""

    @abstractmethod
    def types_here(self) -> Iterable[Offer]:
        """The types that `market` wants and this region has, without prices."""

    @abstractmethod
    def seed(self, offer: Offer) -> Seed | None:
        """What our own list says of a type."""

    @abstractmethod
    def request(self, machine: Machine, choice: Choice, name: str, script: str) -> dict[str, Any]:
        """All that is to be sent, as plain data, with the keys of a handle: it is kept until it is answered."""

    @abstractmethod
    def send(self, request: dict[str, Any]) -> Seen:
        """Ask for a VM, as often as anybody likes: the same request makes one.

        Raises
        ------
        Problem
        """

    @abstractmethod
    def listed(self, machine_id: str | None) -> Iterable[Seen]:
        """Everything that carries our mark, or one machine's."""

    @abstractmethod
    def look(self, known: dict[str, Any]) -> Seen | None:
        """One VM by its handle or request, without the lag of lists."""

    @abstractmethod
    def ended(self, known: dict[str, Any]) -> End | None:
        """How one ended that was made and is not there; None where it is still on its way."""

    @abstractmethod
    def delete(self, name: str, zone: str) -> None:
        """Begin to delete a VM with its disk and network interface. One that is not there is no error."""

    # --- the contract ------------------------------------------------------------------------------------------------

    def offers(self) -> list[Offer]:
        return self.market.offers()

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        with self.launches.locked(machine.id):
            launch = self.launches.get(machine.id)
            if launch.handle or self.launches.is_stopped(machine.id):
                return launch.handle
            if not launch.request and (seen := self._seen(machine.id).get(machine.id)):
                return self._made(machine.id, seen)
            return self._start(machine, boot, launch.request)

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        if machines is None:
            found = {machine_id: _found(seen) for machine_id, seen in self._seen(None).items()}
            self.launches.forget(found)
            return found
        if not machines:
            return {}
        seen = self._seen(machines[0].id if len(machines) == 1 else None)
        found = {}
        for machine in machines:
            one = _found(seen[machine.id]) if machine.id in seen else self._unlisted(machine.id)
            if one is not None:
                found[machine.id] = one
        return found

    def stop(self, machine_id: str) -> None:
        if not NAME.fullmatch(machine_id):
            return
        self.launches.stop(machine_id)
        launch = self.launches.get(machine_id)
        known = launch.handle or launch.request
        ours = [known] if known else [seen.handle for seen in self.listed(machine_id)]
        for one in ours:
            self.delete(one["name"], one["zone"])

    # --- one start ---------------------------------------------------------------------------------------------------

    def _start(self, machine: Machine, boot: Boot, unanswered: dict[str, Any]) -> dict[str, Any]:
        """What was asked for before and not answered is asked again first: only its answer tells what there is."""
        refusal: errors.AmasiaError | None = None
        for choice in self._ways(machine, unanswered):
            if self.launches.is_stopped(machine.id):
                return {}
            request = unanswered if choice is None else self._write_down(machine, boot, choice)
            answer = self._ask(machine.id, request)
            if isinstance(answer, dict):
                return answer
            refusal = answer
        raise refusal or errors.NoCapacity(
            f"No zone of location {self.place.name!r} has room for {machine.machine_type!r}.",
            cure="It is tried again; more zones or machine types find room sooner.",
        )

    def _ways(self, machine: Machine, unanswered: dict[str, Any]) -> Iterator[Choice | None]:
        """Each type in every zone, as `markets.in_order` has them."""
        if unanswered:
            yield None
        for offer, spot in in_order(machine, self.market.get(machine.machine_type)):
            for zone in self.zones():
                if (zone in offer.zones or not offer.zones) and not self._is_short(offer.type, zone, spot):
                    yield Choice(offer, zone, spot)

    def _write_down(self, machine: Machine, boot: Boot, choice: Choice) -> dict[str, Any]:
        tries = self.launches.get(machine.id).tries + 1
        said = self.common
        script = boots.script(boot, said.root, poweroff=True, variables=said.variables, notice=self.notice)
        request = self.request(machine, choice, self._name(machine.id, tries), script)
        self.launches.put(machine.id, Launch(tries=tries, asked_at=now(), request=request))
        return request

    def _name(self, machine_id: str, tries: int) -> str:
        """The same for the same try: the cloud itself then refuses a second one."""
        return f"amasia-{sha256(f'{self.place.tag} {machine_id}'.encode()).hexdigest()[:24]}"

    def _ask(self, machine_id: str, request: dict[str, Any]) -> dict[str, Any] | errors.AmasiaError:
        """The handle of what was made, or why there is no room for it.

        Raises
        ------
        Unavailable
            Nobody knows whether it was made: the same request tells, when it is sent again.
        InvalidRequest
        """
        try:
            seen = self.send(request)
        except Problem as problem:
            if problem.outcome is not Outcome.lost:
                launch = self.launches.get(machine_id)
                self.launches.put(machine_id, launch.model_copy(update={"request": {}}))
            if problem.outcome is not Outcome.room:
                raise problem.error from problem
            if isinstance(problem.error, errors.NoCapacity):
                self._note_short(request)
            return problem.error
        return self._made(machine_id, seen)

    def _made(self, machine_id: str, seen: Seen) -> dict[str, Any]:
        launch = self.launches.get(machine_id)
        at = launch.asked_at or now()
        self.launches.put(machine_id, launch.model_copy(update={"request": {}, "handle": seen.handle, "asked_at": at}))
        if self.launches.is_stopped(machine_id):
            self.delete(seen.name, seen.zone)
        return seen.handle

    # --- what there is -----------------------------------------------------------------------------------------------

    def _seen(self, machine_id: str | None) -> dict[str, Seen]:
        """The one VM of each machine. A second, which no start here makes, is deleted; so is what ended."""
        groups: dict[str, list[Seen]] = defaultdict(list)
        for one in self.listed(machine_id):
            groups[one.machine_id].append(one)
        seen = {}
        for each, group in groups.items():
            first, *others = sorted(group, key=_order)
            seen[each] = self._settle(first)
            for one in others:
                if not one.leaving:
                    self.delete(one.name, one.zone)
        return seen

    def _settle(self, seen: Seen) -> Seen:
        """Delete what ended, also while it is still listed or was begun again by hand; it never begins again."""
        over = homes.read(self._end_file(seen.machine_id), Found)
        if seen.alive and over is None:
            return seen
        if over is None:
            over = _found(seen._replace(stopped_at=seen.stopped_at or now()))
            self._write_end(over)
            self.launches.stop(seen.machine_id)
            if seen.no_room:
                self._note_short(seen.handle)
        self.delete(seen.name, seen.zone)
        return seen._replace(alive=False, stopped_at=over.stopped_at, reason=over.reason)

    def _unlisted(self, machine_id: str) -> Found | None:
        """What is known of a machine that is in no list: lists may lag, and an answer may be on its way."""
        if over := homes.read(self._end_file(machine_id), Found):
            return over
        launch = self.launches.get(machine_id)
        known = launch.handle or launch.request
        if not known:
            return None
        if seen := self.look(known):
            return _found(self._settle(seen))
        asked = launch.asked_at or now()
        if launch.request:
            young = now() - asked < timedelta(seconds=DOUBT)
            return Found(machine_id=machine_id, alive=True) if young else None
        end = self.ended(known)
        if end is None:
            return Found(machine_id=machine_id, alive=True, started_at=asked)
        if end.no_room:
            self._note_short(known)
        reason = "it was stopped" if self.launches.is_stopped(machine_id) and not end.no_room else end.reason
        over = Found(machine_id=machine_id, alive=False, started_at=asked, stopped_at=end.at, reason=reason)
        self.launches.stop(machine_id)
        self._write_end(over)
        return over

    def _end_file(self, machine_id: str) -> Any:
        return self.launches.folder / f"{machine_id}.over"

    def _write_end(self, found: Found) -> None:
        if NAME.fullmatch(found.machine_id):
            self.launches.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            homes.write(self._end_file(found.machine_id), found)

    # --- where there is no room --------------------------------------------------------------------------------------

    def _note_short(self, known: dict[str, Any]) -> None:
        with self._lock:
            self._short[known["machine_type"], known["zone"], known["spot"]] = monotonic() + SHORT

    def _is_short(self, machine_type: str, zone: str, spot: bool) -> bool:
        with self._lock:
            return self._short.get((machine_type, zone, spot), 0.0) > monotonic()


def _order(seen: Seen) -> tuple[Any, ...]:
    """The one that is to stay comes first: of those that run, the oldest."""
    started = seen.started_at.timestamp() if seen.started_at else float("inf")
    return (not seen.alive, seen.leaving, started, seen.name, seen.zone)


def _found(seen: Seen) -> Found:
    return Found(
        machine_id=seen.machine_id,
        alive=seen.alive,
        started_at=seen.started_at,
        stopped_at=None if seen.alive else seen.stopped_at,
        reason="" if seen.alive else seen.reason,
    )
