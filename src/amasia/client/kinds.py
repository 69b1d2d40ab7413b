"""Kinds of workers as people write them, and as they read them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from amasia.client.inputs import request
from amasia.client.sizes import format_bytes, memory
from amasia.errors import InvalidRequest
from amasia.models.clusters import Cluster, WorkerGroup
from amasia.models.placements import Spot

MaySpot = bool | Literal["fallback"]


def read(name: str, given: Mapping[str, Any]) -> WorkerGroup:
    """A worker group, by the words of `Cluster`'s parameters. One that goes by the load begins with its minimum."""
    if unknown := [key for key in given if key not in WorkerGroup.model_fields]:
        words = ", ".join(WorkerGroup.model_fields)
        raise InvalidRequest(f"The worker group {name!r} has no {unknown[0]!r}.", cure=f"It may have: {words}.")
    if "minimum" in given:
        given = {"n_workers": given["minimum"], **given}
    readers: dict[str, Callable[[Any], Any]] = {"worker_memory": memory, "machine_type": types, "spot": spot}
    return request(WorkerGroup, **{key: readers.get(key, _same)(value) for key, value in given.items()})


def parse(text: str) -> tuple[str, WorkerGroup]:
    """A worker group in one line: ``big: n_workers=2, worker_memory=64 GiB``. Several types are separated by ``+``."""
    name, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part.strip()]
    given: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    if "machine_type" in given:
        given["machine_type"] = given["machine_type"].split("+")
    return name.strip(), read(name.strip(), given)


def sized(n_workers: int | None, *, beside: bool) -> dict[str, int]:
    """How many workers are in no named group: none, where nobody says so and there are named ones ``beside``."""
    if n_workers is not None:
        return {"n_workers": n_workers}
    return {"n_workers": 0} if beside else {}


def types(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def spot(value: bool | str) -> Spot | str:
    return value if isinstance(value, str) else ("yes" if value else "no")


def describe(cluster: Cluster, group: str) -> str:
    """``big: 2 with 4 cores and 64.00 GiB, 0 to 8 by load``."""
    kind = cluster.spec.groups[group]
    parts = [f"{cluster.wanted(group)} with {kind.worker_cpu:g} cores and {format_bytes(kind.worker_memory)}"]
    parts += [f"{kind.worker_gpu} GPUs"] if kind.worker_gpu else []
    parts += ["spot" if kind.spot == "yes" else "spot where there is any"] if kind.spot != "no" else []
    parts += [] if kind.minimum is None else [f"{kind.minimum} to {kind.maximum} by load"]
    return (f"{group}: " if group else "") + ", ".join(parts)


def _same(value: Any) -> Any:
    return value
