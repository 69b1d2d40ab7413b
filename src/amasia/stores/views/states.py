"""What a view remembers, in a hidden group of its target: committed with the result, so the two never disagree."""

from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from amasia.stores.repositories import HIDDEN
from amasia.stores.views.outputs import Otherwise
from amasia.stores.views.reductions import State, alike

FORMAT = 2
"""Of what is remembered. Of another one everything is computed anew."""
_CHUNK = 256 << 10
"""Bytes of the states of some groups in one chunk."""

_PACKED = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")


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
        self._kept: dict[tuple[str, int], State] = {}

    @property
    def snapshot(self) -> str:
        """The source snapshot that the target holds; empty when there is none."""
        return str(self.facts.get("snapshot", ""))

    def clear(self) -> None:
        for name in self.arrays:
            del self._group[name]
        self.arrays, self.facts, self._kept = {}, {}, {}

    def save(self) -> None:
        self._group.attrs.put(self.facts)

    def edges(self) -> npt.NDArray[np.int64]:
        """First rows of the bins, and the end of the last."""
        firsts = np.asarray(self.arrays["bins"][...]) if "bins" in self.arrays else np.zeros(0, "int64")
        return np.append(firsts, int(self.facts.get("rows", 0)))

    def keep_edges(self, edges: npt.NDArray[np.int64], unchanged: int) -> None:
        """Write where bins begin, from the first that may be another; where the last ends is the number of rows."""
        firsts = edges[:-1]
        array = self._array("bins", firsts.shape, firsts.dtype, 4096)
        array.resize(firsts.shape)
        array[unchanged:] = firsts[unchanged:]

    def read(self, key: str, slot: int) -> State | None:
        """The state of one group."""
        if (key, slot) not in self._kept:
            found: State = {}
            for name, array in self.arrays.items():
                if name.startswith(f"{key}.") and slot < array.shape[0]:
                    record = np.asarray(array[slot])
                    found |= {part: record[part] for part in record.dtype.names or ()}
            if not found:
                return None
            self._kept[key, slot] = found
        return self._kept[key, slot]

    def keep(self, key: str, slots: int, states: dict[int, State]) -> None:
        """Write the states of some groups; there are so many in all."""
        states = dict(zip(states, alike(list(states.values())), strict=True))
        self._kept |= {(key, slot): state for slot, state in states.items()}
        known = {name for name in self.arrays if name.startswith(f"{key}.")}
        for parts in _shaped(next(iter(states.values()), {})):
            name = f"{key}.{'+'.join(parts)}"
            records = _records(states, parts)
            first = next(iter(records.values()))
            fits = name in known and (self.arrays[name].shape[1:], self.arrays[name].dtype) == (
                first.shape,
                first.dtype,
            )
            if known and not fits and (name not in known or len(records) < slots):
                raise Otherwise("what is remembered is of another dtype")
            chunk = max(1, min(slots, _CHUNK // max(first.nbytes, 1)))
            array = self._array(name, (slots, *first.shape), first.dtype, chunk)
            if array.shape[0] < slots:
                array.resize((slots, *array.shape[1:]))
            if len(records) == slots:
                array[...] = np.stack([records[slot] for slot in range(slots)])
                continue
            for slot, record in records.items():
                array[slot] = record

    @property
    def _group(self) -> zarr.Group:
        assert self.group is not None
        return self.group

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], chunk: int) -> zarr.Array[Any]:
        stored = self.arrays.get(name)
        if stored is not None and stored.shape[1:] == shape[1:] and stored.dtype == dtype:
            return stored
        chunks = (max(1, min(chunk, 4096)), *(max(one, 1) for one in shape[1:]))
        made = self._group.create_array(
            name, shape=shape, chunks=chunks, dtype=dtype, compressors=_PACKED, overwrite=True
        )
        self.arrays[name] = made
        return made


def _shaped(state: State) -> list[list[str]]:
    """Parts of a state that are of one shape: they are read and written together."""
    found: dict[tuple[int, ...], list[str]] = {}
    for part in sorted(state):
        found.setdefault(np.shape(state[part]), []).append(part)
    return list(found.values())


def _records(states: dict[int, State], parts: list[str]) -> dict[int, npt.NDArray[Any]]:
    dtype = np.dtype([(part, np.result_type(*(state[part] for state in states.values()))) for part in parts])
    found = {}
    for slot, state in states.items():
        found[slot] = np.empty(np.shape(state[parts[0]]), dtype)
        for part in parts:
            found[slot][part] = state[part]
    return found
