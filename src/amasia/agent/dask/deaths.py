"""Why workers died, told to every client at the first death and in the last exception."""

from collections.abc import Callable
from typing import Any

from distributed.scheduler import KilledWorker

from amasia.errors import MachineLost

TOPIC = "amasia-death"
"""Event topic for {"address", "label", "reason", "keys", "over"}; over is False from a worker about to die."""
MORE_MEMORY = "Give workers more memory, Cluster(worker_memory=…), or make the chunks smaller."
SEE_LOG = "Its log tells more: `amasia cluster logs`."


class WorkerDied(MachineLost, KilledWorker):
    """A task was given up because every worker that ran it died; says why each one did."""

    def __init__(self, task: Any, last_worker: Any, allowed_failures: int, reasons: list[str]) -> None:
        Exception.__init__(self, task, last_worker, allowed_failures)
        self.reasons = reasons
        told = "; ".join(dict.fromkeys(reasons)) or f"the last one was {last_worker.name}, lost without a word"
        self.message = f"{allowed_failures + 1} workers died while running {str(task)!r}: {told}."
        self.cure = cure(" ".join(reasons))
        self.detail = {"task": str(task), "reasons": reasons}

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerDied, (*self.args, self.reasons)


def cure(reasons: str) -> str:
    return MORE_MEMORY if "iB of " in reasons else SEE_LOG


def raiser(reasons: Callable[[Any], list[str]]) -> Callable[..., WorkerDied]:
    """Stands where the scheduler makes its `KilledWorker`, and adds what is known."""

    def killed(task: Any, last_worker: Any, allowed_failures: int) -> WorkerDied:
        return WorkerDied(task, last_worker, allowed_failures, reasons(task))

    return killed
