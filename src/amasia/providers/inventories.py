"""Inventories: which hosts a location has, and into which slots each is divided."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ByteSize, ConfigDict, Field, ValidationError

from amasia.errors import AmasiaError, InvalidRequest
from amasia.models.base import Model, Name
from amasia.models.locations import Arch, Offer, Place
from amasia.models.money import parse
from amasia.models.sizes import GIB
from amasia.providers.options import Text, Variables

DEAREST = 1_000_000_000_000
"""Micro-units per hour: a host that costs more is a slip of the pen, and sums must fit into the database."""
CURE = "Mend the inventory, then: amasia location update NAME --hosts FILE"

Word = Annotated[Text, Field(pattern=r"^[^\s'\"-][^\s'\"]*$")]


def _price(value: Any) -> Any:
    if value is None:
        return None
    price = parse(str(value))
    if price > DEAREST:
        raise ValueError(f"{value} is more than {DEAREST // 1_000_000} per hour")
    return price


class Host(Model):
    """One computer. What is not said of it is said for all of them, at the head of the inventory."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    address: Word
    name: Name
    port: int = Field(default=22, ge=1, le=65_535)
    user: Word = "root"
    cpus: float = Field(ge=0.01, le=100_000)
    memory: ByteSize = Field(ge=1 << 26, le=1 << 50)
    slots: int = Field(default=1, ge=1, le=10_000)
    """Machines that it can be at the same time, each with the same share of it."""
    price: Annotated[int | None, BeforeValidator(_price)] = None
    """Per hour, of all of it."""
    arch: Arch = "x86_64"
    gpus: int = Field(default=0, ge=0, le=1000)
    gpu: str = Field(default="", pattern=r"^[a-z0-9-]*$", max_length=20)
    """Model of its GPUs."""
    type: Name | None = None
    """Name of its machine type; derived from what a slot has where it is not given."""
    host_key: Text = ""
    """Its public key, as in ``/etc/ssh/ssh_host_ed25519_key.pub``; without one, the first that it shows is kept."""

    @property
    def slot(self) -> Offer:
        """What one machine of it has, and costs."""
        cpus, memory, gpus = self.cpus / self.slots, int(self.memory) // self.slots, self.gpus // self.slots
        price = None if self.price is None else self.price // self.slots
        name = self.type or _type(cpus, memory, self.arch, gpus, self.gpu)
        return Offer(type=name, cpus=cpus, memory=memory, price=price, price_source="the location's inventory",
                     arch=self.arch, gpus=gpus, gpu=self.gpu if gpus else "")  # fmt: skip


class Inventory(Model):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    hosts: tuple[Host, ...] = Field(min_length=1)
    root: Text = ""
    """Directory on each host for all that is kept there."""
    variables: Variables = {}
    """Of the environment of everything that is started there."""

    def offers(self) -> list[Offer]:
        """One machine type for each size of slot."""
        return list({host.slot.type: host.slot for host in self.hosts}.values())

    def root_of(self, host: Host) -> str:
        return self.root or ("/var/lib/amasia" if host.user == "root" else "~/.amasia")


def read(place: Place) -> Inventory:
    """The inventory that a location's options describe.

    Raises
    ------
    InvalidRequest
        It names the host and the key that are wrong.
    """
    options = dict(place.options)
    hosts = options.pop("hosts", None)
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        raise InvalidRequest(
            f"The location {place.name!r} has no hosts.",
            cure="Write a table [[hosts]] with address, cpus and memory for each, and give the file by --hosts.",
        )
    common = {key: options.pop(key) for key in Host.model_fields if key in options}
    described = [{"name": str(host.get("address", "")).lower()} | common | host for host in hosts]
    try:
        inventory = Inventory.model_validate({"hosts": described, **options})
    except ValidationError as error:
        raise InvalidRequest(_told(error, described), cure=CURE) from None
    for problem in _problems(inventory):
        raise problem
    return inventory


def _problems(inventory: Inventory) -> Iterator[AmasiaError]:
    names: set[str] = set()
    ways: dict[tuple[str, int, str], str] = {}
    types: dict[str, Host] = {}
    for host in inventory.hosts:
        if host.name in names:
            yield InvalidRequest(f"Two hosts are named {host.name!r}.", cure=f"Name each one only once. {CURE}")
        names.add(host.name)
        first = ways.setdefault((host.address, host.port, host.user), host.name)
        if first != host.name:
            yield InvalidRequest(
                f"The hosts {first!r} and {host.name!r} are the same: {host.user}@{host.address}, port {host.port}.",
                cure=f"Name each one only once. {CURE}",
            )
        if host.gpus % host.slots:
            yield InvalidRequest(
                f"{host.gpus} GPUs of {host.name!r} cannot be shared by {host.slots} slots.",
                cure=f"Give it as many slots as divide them. {CURE}",
            )
        other = types.setdefault(host.slot.type, host)
        if other.slot != host.slot:
            yield InvalidRequest(
                f"The hosts {other.name!r} and {host.name!r} are of one machine type, {host.slot.type!r}, and differ "
                "in what a slot has or costs.",
                cure=f"Give one of them a `type` of its own. {CURE}",
            )


def _told(error: ValidationError, hosts: list[dict[str, Any]]) -> str:
    """The first thing that is wrong, by the host's name and the key."""
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    what = first["msg"].removeprefix("Value error, ")
    if where[:1] == ["hosts"] and len(where) > 2:
        number = int(where[1])
        name = hosts[number].get("name") or f"number {number + 1}"
        return f"The host {name} of the inventory has a wrong `{where[2]}`: {what}."
    return f"The inventory has a wrong `{'.'.join(where)}`: {what}."


def _short(gib: float) -> str:
    return f"{gib:.4g}" if gib < 1000 else f"{gib:.0f}"


def _type(cpus: float, memory: int, arch: str, gpus: int, gpu: str) -> str:
    parts = [f"c{cpus:g}-m{_short(memory / GIB)}"]
    if gpus:
        parts.append(f"{gpu or 'gpu'}x{gpus}")
    if arch != "x86_64":
        parts.append(arch)
    return "-".join(parts)
