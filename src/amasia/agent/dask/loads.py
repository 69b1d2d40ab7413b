"""How many workers a load deserves: arithmetic alone, from known work and the time that a machine takes to come up."""

import math
from dataclasses import dataclass

SOON = 5.0
"""Seconds that the work may take at least before more workers are worth it; longer where machines come up slowly."""
ROOMY = 0.6
"""Part of the workers' memory above which there are to be more of them."""
SPARE = 2
"""So many times what is held must fit into the memory of those that stay."""


@dataclass(frozen=True)
class Worker:
    """What one worker that is here holds."""

    address: str
    tasks: int
    nbytes: int
    memory: int


@dataclass(frozen=True)
class Load:
    """What lies before one kind of worker.

    Attributes
    ----------
    seconds
        Of known work, on one thread.
    tasks
        In how many tasks.
    threads
        Of each worker.
    """

    seconds: float
    tasks: int
    threads: int
    workers: tuple[Worker, ...] = ()


def needed(load: Load, boot: float) -> int:
    """How many workers there should be, where another one begins to work after ``boot`` seconds.

    What those that are here do until then is not counted, so nothing is started for work that will be over. The rest is
    to take about as long as a machine takes to come up: it then works for at least as long as it was waited for.
    """
    here = len(load.workers)
    left = load.seconds - boot * here * load.threads
    wanted = math.ceil(min(load.tasks, max(0.0, left) / max(SOON, boot)) / load.threads)
    if load.tasks and not here:
        wanted = max(1, wanted)
    held, memory = sum(one.nbytes for one in load.workers), sum(one.memory for one in load.workers)
    if held > ROOMY * memory:
        wanted = max(wanted, 2 * here)
    return max(wanted, here - _idle(load.workers))


def dispensable(workers: tuple[Worker, ...], n: int) -> list[str]:
    """Addresses of so many that are missed least: with the fewest tasks, then with the least to carry away."""
    return [one.address for one in sorted(workers, key=lambda one: (one.tasks, one.nbytes))[: max(0, n)]]


def _idle(workers: tuple[Worker, ...]) -> int:
    """How many have nothing to do, as long as the others can hold all that is held."""
    held, memory = sum(one.nbytes for one in workers), sum(one.memory for one in workers)
    count = 0
    for one in sorted(workers, key=lambda one: one.nbytes):
        if one.tasks or (held and SPARE * held > memory - one.memory):
            continue
        memory -= one.memory
        count += 1
    return count
