# mypy: allow-untyped-calls
"""Files read on the workers of a Dask cluster, which write what they read: values never come to this process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from distributed import CancelledError, Client, KilledWorker
from distributed.comm.core import CommClosedError

from amasia import errors
from amasia.stores.processes import Pool, died
from amasia.stores.reading import answered
from amasia.stores.sources import is_remote, local


class Workers(Pool):
    """The workers of a cluster, as a pool that `client.ingests` reads with.

    Parameters
    ----------
    cluster
        An `amasia.Cluster`, another cluster of Dask's, or a client of one.
    """

    lazy = True
    batch_bytes = 16 << 30

    def __init__(self, cluster: Any) -> None:
        self._client: Any = cluster if isinstance(cluster, Client) else cluster.get_client()
        self.name = str(getattr(self._client.cluster, "name", "") or self._client.id)
        self.count = max(1, sum(self._client.nthreads().values()))

    def submit(self, function: Callable[[Any], Any], wanted: Any) -> "Asked":
        # Workers have another current directory.
        there = wanted if is_remote(wanted.source) else replace(wanted, source=str(local(wanted.source).absolute()))
        return Asked(self, wanted.source, self._client.submit(answered, function, there, pure=False))

    def scheduler(self, graph: Any, keys: Any, **options: Any) -> Any:
        """Dask's, with errors in our words."""
        try:
            return self._client.get(graph, keys, **options)
        except KilledWorker as error:
            raise died("One of these files", f"a worker of the cluster ended with it, at {error.task}") from error
        except (CancelledError, CommClosedError) as error:
            raise self.gone(error) from error

    def gone(self, error: BaseException) -> errors.MachineLost:
        return errors.MachineLost(
            f"The cluster {self.name} ended, or cannot be reached any more ({type(error).__name__}).",
            cure="What was committed stays. Start a cluster, and run it again: what is there is skipped.",
        )


@dataclass(frozen=True)
class Asked:
    """A file that a worker looks at."""

    pool: Workers
    source: str
    future: Any

    def result(self) -> Any:
        try:
            answer = self.future.result()
        except KilledWorker as error:
            raise died(self.source, "a worker of the cluster ended with it") from error
        except (CancelledError, CommClosedError) as error:
            raise self.pool.gone(error) from error
        if isinstance(answer, errors.NotFound) and not is_remote(self.source):
            _check_seen(self.source, self.pool.name)
        if isinstance(answer, errors.AmasiaError):
            raise answer
        return replace(answer, source=self.source)


def _check_seen(source: str, cluster: str) -> None:
    """One clear error, and not one for each of a thousand files."""
    if local(source).exists():
        raise errors.InvalidRequest(
            f"{source} is on this computer, and the workers of cluster {cluster} do not have it.",
            cure="Put the files where the workers see them too (a shared path, an object store), or ingest without "
            "the cluster.",
        )
