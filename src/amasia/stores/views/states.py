"""What a view remembers, in a hidden group of its target: committed with the result, so the two never disagree."""

from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import zarr

from amasia.stores.repositories import HIDDEN
from amasia.stores.views.reductions import State

_CHUNK = 256 << 10
"""Bytes of the states of some groups in one chunk."""
_SMALL = 4 << 20
"""Bytes of states that are read at once: a read costs more than what it reads."""


class Memory:
    """The hidden group of one view in one session."""

    def __init__(self, session: icechunk.Session, view: str, writable: bool = True) -> None:
        self.path = f"{HIDDEN}/{view}"
        self.group: zarr.Group | None = None
        try:
            self.group = zarr.open_group(session.store, path=self.path, mode="r+" if writable else "r")
        except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.NodeNotFoundError):
            if writable:
                self.group = zarr.open_group(session.store, path=self.path, mode="a")
        self.facts: dict[str, Any] = dict(self.group.attrs) if self.group is not None else {}
        """Plain data: the source's snapshot, what was computed, groups by label."""
        self.arrays: dict[str, zarr.Array[Any]] = dict(self.group.arrays()) if self.group is not None else {}
        self._read: dict[str, npt.NDArray[Any]] = {}
        self._kept: dict[tuple[str, int], State] = {}

    @property
    def snapshot(self) -> str:
        """The source snapshot that the target holds; empty when there is none."""
        return str(self.facts.get("snapshot", ""))

    def clear(self) -> None:
        for name in self.arrays:
            del self._group[name]
        self.arrays, self.facts, self._read, self._kept = {}, {}, {}, {}

    def save(self) -> None:
        self._group.attrs.put(self.facts)

    def edges(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.arrays["edges"][...]) if "edges" in self.arrays else np.zeros(1, "int64")

    def keep_edges(self, edges: npt.NDArray[np.int64], unchanged: int) -> None:
        """Write the edges of bins from the first that is another."""
        array = self._array("edges", edges.shape, edges.dtype, 4096)
        array.resize(edges.shape)
        if unchanged < len(edges):
            array[unchanged:] = edges[unchanged:]

    def read(self, key: str, slot: int) -> State | None:
        """The state of one group."""
        if (key, slot) in self._kept:
            return self._kept[key, slot]
        prefix = f"{key}."
        return {
            name.removeprefix(prefix): self._slot(name, array, slot)
            for name, array in self.arrays.items()
            if name.startswith(prefix) and slot < array.shape[0]
        } or None

    def _slot(self, name: str, array: zarr.Array[Any], slot: int) -> npt.NDArray[Any]:
        if array.nbytes > _SMALL:
            return np.asarray(array[slot])
        if name not in self._read:
            self._read[name] = np.asarray(array[...])
        return np.asarray(self._read[name][slot])

    def keep(self, key: str, slots: int, states: dict[int, State]) -> None:
        """Write the states of some groups; there are so many in all."""
        self._kept |= {(key, slot): state for slot, state in states.items()}
        for part in next(iter(states.values()), {}):
            each = {slot: np.asarray(state[part]) for slot, state in states.items()}
            first = next(iter(each.values()))
            chunk = max(1, min(slots, _CHUNK // max(first.nbytes, 1)))
            array = self._array(f"{key}.{part}", (slots, *first.shape), first.dtype, chunk)
            if array.shape[0] < slots:
                array.resize((slots, *array.shape[1:]))
            if len(each) == slots:
                array[...] = np.stack([each[slot] for slot in range(slots)])
                continue
            for slot, values in each.items():
                array[slot] = values

    @property
    def _group(self) -> zarr.Group:
        assert self.group is not None
        return self.group

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], chunk: int) -> zarr.Array[Any]:
        stored = self.arrays.get(name)
        if stored is not None and stored.shape[1:] == shape[1:] and stored.dtype == dtype:
            return stored
        chunks = (max(1, min(chunk, 4096)), *(max(one, 1) for one in shape[1:]))
        made = self._group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=0, overwrite=True)
        self.arrays[name] = made
        return made
