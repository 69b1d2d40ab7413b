"""What one request may cost: bytes, seconds, and how many at the same time."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from xarray.backends import BackendArray
from xarray.core import indexing

from amasia import errors

QUEUE = 16
"""Requests that may wait, for each that is worked on."""
CHUNKS = 16
"""Chunks are read whole: so many times the bytes of an answer may be read for it."""

type Answer = Callable[[errors.AmasiaError], ASGIApp]


@dataclass
class Allowance:
    """What a request may still take. It remembers a refusal, which libraries in between may swallow."""

    bytes: int
    taken: int = 0
    read: int = 0
    refusal: errors.AmasiaError | None = None

    def take(self, size: int, read: int, name: str) -> None:
        self.taken += size
        self.read += read
        if self.taken > self.bytes:
            self._refuse(f"This request needs {_mib(self.taken)} of {name!r}, and one may take {_mib(self.bytes)}.")
        if self.read > self.bytes * CHUNKS:
            self._refuse(
                f"For this request chunks of {_mib(self.read)} would be read, of {name!r} among others, and one may "
                f"read {_mib(self.bytes * CHUNKS)}."
            )

    def _refuse(self, message: str) -> None:
        self.refusal = errors.TooLarge(message, cure="Ask for less: fewer variables, a smaller area, a shorter time.")
        raise self.refusal

    @contextmanager
    def remembering(self) -> Iterator[None]:
        try:
            yield
        except errors.AmasiaError as error:
            self.refusal = self.refusal or error
            raise


_allowance: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def allowance() -> Allowance | None:
    """Of the request that is being worked on."""
    return _allowance.get()


class Metered(BackendArray):
    """An array that asks the request's allowance before it is read."""

    def __init__(self, name: str, variable: xr.Variable) -> None:
        self.name = name
        self.variable = variable
        self.shape = variable.shape
        self.dtype = variable.dtype
        self.chunks = tuple(variable.encoding.get("chunks") or variable.shape)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> Any:
        return await asyncio.to_thread(self.__getitem__, key)

    def _read(self, key: tuple[Any, ...]) -> Any:
        """What was failed to read is remembered, too."""
        found = _allowance.get()
        with found.remembering() if found else nullcontext():
            if found:
                found.take(*self._costs(key), self.name)
            return np.asarray(self.variable[key].values)

    def _costs(self, key: tuple[Any, ...]) -> tuple[int, int]:
        """Bytes of a part, and of all chunks that it is in."""
        taken = read = self.dtype.itemsize
        for one, length, chunk in zip(key, self.shape, self.chunks, strict=False):
            size, touched = _touched(one, length, max(chunk, 1))
            taken *= size
            read *= touched * chunk
        return taken, read


def _touched(key: Any, length: int, chunk: int) -> tuple[int, int]:
    """How many places of a dimension, and how many chunks, an index means."""
    if isinstance(key, np.ndarray):
        return key.size, len(np.unique(key % max(length, 1) // chunk))
    if not isinstance(key, slice):
        return 1, 1
    places = range(length)[key]
    if not places:
        return 0, 0
    return len(places), min(len(places), abs(places[-1] // chunk - places[0] // chunk) + 1)


def metered(ds: xr.Dataset) -> xr.Dataset:
    """The same dataset, read by allowance. What is in memory already, as indexes are, is free."""
    swapped = {
        name: xr.Variable(
            variable.dims,
            indexing.LazilyIndexedArray(Metered(str(name), variable)),
            variable.attrs,
            variable.encoding,
            fastpath=True,
        )
        for name, variable in ds.variables.items()
        if name not in ds.xindexes
    }
    coords = {name: swapped.pop(name) for name in list(swapped) if name in ds.coords}
    return ds.assign_coords(coords).assign(swapped)


class Bounded:
    """An application whose requests wait for their turn, have an allowance, and an end.

    A thread cannot be ended: a request that is over in time for its asker keeps its turn until its work ends.
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float, bytes: int, answer: Answer) -> None:
        self.app = app
        self.most = most
        self.seconds = seconds
        self.bytes = bytes
        self.answer = answer
        self._turns = asyncio.Semaphore(most)
        self._held: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if len(self._held) >= self.most * (1 + QUEUE):
            busy = errors.Unavailable("Too many requests at once.", cure="Try again in a moment.")
            return await self.answer(busy)(scope, receive, send)
        gate = _Gate(send)
        task = asyncio.create_task(self._work(scope, receive, gate))
        self._held.add(task)
        task.add_done_callback(self._held.discard)
        done, _ = await asyncio.wait({task}, timeout=self.seconds)
        if done:
            return task.result()
        gate.open = False
        task.add_done_callback(_forgotten)
        if gate.begun:
            return None
        late = errors.TimedOut(f"This took longer than {self.seconds:g} s.", cure="Ask for less, or again: parts of "
                               "it may be ready by then.")  # fmt: skip
        return await self.answer(late)(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive, gate: "_Gate") -> None:
        async with self._turns:
            if not gate.open:  # nobody waits for it any more
                return
            _allowance.set(Allowance(self.bytes))
            await self.app(scope, receive, gate)


class _Gate:
    """Passes an answer on until its time is over."""

    def __init__(self, send: Send) -> None:
        self.open = True
        self.begun = False
        self._send = send

    async def __call__(self, message: Message) -> None:
        if self.open:
            self.begun = True
            await self._send(message)


def _forgotten(task: asyncio.Task[None]) -> None:
    """Its asker was answered already: what came of it is nobody's."""
    if not task.cancelled():
        task.exception()


def _mib(size: int) -> str:
    return f"{math.ceil(size / 2**20)} MiB"
