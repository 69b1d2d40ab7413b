"""Pools that read files, and the one of this computer. Light to import: processes start before Xarray is loaded here.

Not `multiprocessing`: its spawned processes run the caller's script again, and a fork after Icechunk was used hangs.
A process that dies costs the file that it read, and is replaced.
"""

import os
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import local
from typing import Any, Protocol, Self

from amasia import errors


class Answer(Protocol):
    """What will be read."""

    def result(self) -> Any: ...


class Pool(ABC):
    """Runs functions somewhere else, several side by side."""

    count: int
    """Of functions that run at one time."""
    lazy: bool = False
    """Whether values stay there, and what comes back is tasks that read them."""
    scheduler: Any = "threads"
    """Of Dask: where such tasks run."""
    batch_bytes: int = 128 << 20
    """Of a series, decoded, that one commit holds."""

    @abstractmethod
    def submit(self, function: Callable[[Any], Any], wanted: Any) -> Answer:
        """What a function of a module gives for one `reading.Wanted`; an error of Amasia is raised by its result."""

    def map(self, function: Callable[[Any], Any], wanted: Iterable[Any]) -> Iterator[tuple[Any, Answer]]:
        """In order; only a few are begun ahead of what was taken, so that little is held."""
        waiting: list[tuple[Any, Answer]] = []
        for one in wanted:
            waiting.append((one, self.submit(function, one)))
            if len(waiting) > 2 * self.count:
                yield waiting.pop(0)
        yield from waiting


def died(source: str, how: str) -> errors.CorruptFile:
    """The refusal of a file whose reading ended a process."""
    return errors.CorruptFile(
        f"{source}: the process that read it died ({how}).",
        cure="Is the file damaged, or is memory short? Try it alone, and others without it.",
    )


class Readers(Pool):
    """A few processes that run `amasia.stores.reading`; use it in a ``with``.

    Parameters
    ----------
    count
        Of processes; by default one for each CPU that this process may use, at most 8. They start when needed.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8)
        self._own = local()
        self._started: list[subprocess.Popen[bytes]] = []
        self._spare: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="amasia-read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to start one process now: its imports take a second or two."""
        self._spare.append(self._begin())

    def submit(self, function: Callable[[Any], Any], wanted: Any) -> Answer:
        return self._threads.submit(self._ask, function, wanted)

    def close(self) -> None:
        """End all processes; what they still read is forgotten."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._started:
            process.kill()
        self._threads.shutdown(wait=True)
        for process in self._started:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream and stream.close()

    def _ask(self, function: Callable[[Any], Any], wanted: Any) -> Any:
        process = self._process()
        assert process.stdin
        assert process.stdout
        try:
            pickle.dump((function, wanted), process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)  # noqa: S301  from our own process
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._own.process = None
            process.kill()
            raise died(wanted.source, f"exit status {process.wait()}") from error
        if isinstance(answer, errors.AmasiaError):
            raise answer
        return answer

    def _process(self) -> subprocess.Popen[bytes]:
        """This thread's own."""
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            process = self._own.process = self._spare.pop() if self._spare else self._begin()
        return process

    def _begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from amasia.stores import reading; reading.main()"]
        # One thread each: the processes are what runs side by side.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        # Ctrl-C is for who asked, who may want the answers still; without them the process ends.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process
