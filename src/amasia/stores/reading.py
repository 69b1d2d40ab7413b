"""Reading one file completely, in whatever process. `main` is that of the processes which `stores.processes` starts.

What comes back is small enough to be held, or was put on disk as Zarr.
"""

import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr

from amasia import errors
from amasia.stores import readers, sources, writing
from amasia.stores.readers import grib
from amasia.stores.readers.contents import DEFAULT, Contents, Options, corrupt

HELD = 256 << 20
"""Bytes that a file may have, decoded, to be handed over in memory."""
SMALL = 8 << 20
"""As above, for files that are kept while others are looked at."""
_CURE = "Fetch it again; if it holds references, are the files that it refers to where they were?"
_PIECE = 16
"""Steps of the first dimension that are decoded at a time when a file goes to disk."""


@dataclass(frozen=True)
class Wanted:
    """One file to be read."""

    source: str
    options: Options = DEFAULT
    append_dim: str | None = None
    skip: frozenset[str] = frozenset()
    """Digests of files that need not be read."""
    held: int = HELD
    spill: str = ""
    """A directory for GRIB that is larger. Other files that are larger are only looked at, for others to open."""


@dataclass(frozen=True)
class Found:
    """A file that was read, or only looked at."""

    source: str
    digest: str
    """SHA-256 of its content."""
    contents: Contents | None = None
    """In memory."""
    spilled: str = ""
    """Where it is as Zarr instead."""
    format: str = ""
    notes: tuple[str, ...] = ()
    first: tuple[str, Any] | None = None
    """Kind and first value of the coordinate that orders the dimension that is appended along."""
    nbytes: int = 0


type Keep = Callable[[Wanted, Found, Contents], Found]
"""What becomes of an open file: it is closed afterwards."""


def look(wanted: Wanted) -> Found:
    """Read a file.

    Raises
    ------
    NotFound, DataRejected
        It cannot be read; it is named.
    """
    return looked(wanted, _held)


def looked(wanted: Wanted, keep: Keep) -> Found:
    """A file as something makes of it what is handed over."""
    with sources.at_hand(wanted.source) as path:
        digest = sources.digest(path)
        if digest in wanted.skip:
            return Found(wanted.source, digest)
        with named(path, wanted.source), readers.read(path, wanted.options) as contents:
            check_steps(contents.groups, wanted)
            found = Found(
                wanted.source,
                digest,
                format=contents.format,
                notes=contents.notes,
                first=first(contents.groups, wanted.append_dim),
                nbytes=sum(ds.nbytes for ds in contents.groups.values()),
            )
            return keep(wanted, found, contents)


@contextmanager
def named(path: Path, source: str) -> Iterator[None]:
    """Errors with the name of what was asked for: ``path`` may be a copy."""
    try:
        yield
    except errors.AmasiaError as error:
        raise _renamed(error, path, source) from None
    except (OSError, RuntimeError) as error:
        # The header was whole and what it points to is not.
        raise corrupt(Path(source), error, _CURE) from error


def is_apart(source: str) -> bool:
    """Whether a file must be read in another process; unknown for what is not on this computer, and then it should."""
    try:
        return sources.is_remote(source) or readers.is_grib(Path(source.removeprefix("file://")))
    except errors.AmasiaError:
        return False


def _held(wanted: Wanted, found: Found, contents: Contents) -> Found:
    """In memory when it is small enough, or on disk as Zarr."""
    if found.nbytes <= wanted.held:
        loaded = {group: ds.load() for group, ds in contents.groups.items()}
        return replace(found, contents=replace(contents, groups=loaded))
    if wanted.spill and contents.format == grib.FORMAT:
        return replace(found, spilled=_spill(contents, wanted.spill))
    return found


def check_steps(groups: Mapping[str, xr.Dataset], wanted: Wanted) -> None:
    """Raise `DoesNotFit` for what has the dimension that is appended along, and no step of it."""
    steps = [ds.sizes[wanted.append_dim] for ds in groups.values() if wanted.append_dim in ds.sizes]
    if steps and not any(steps):
        raise errors.DoesNotFit(
            f"{wanted.source} has no steps along {wanted.append_dim!r}: there is nothing to append.",
            cure="Leave it out; or ingest it by itself, without --append-dim.",
        )


def first(groups: Mapping[str, xr.Dataset], dim: str | None) -> tuple[str, Any] | None:
    """Kind and value of the first step along a dimension, by which files of a series are put in order."""
    for ds in groups.values() if dim else ():
        ruler = writing.ruler(ds, dim) if ds.sizes.get(dim) else None
        if ruler is not None:
            value = ds.variables[ruler][:1].values[0]
            if isinstance(value, np.datetime64):
                return "time", int(value.astype("datetime64[ns]").astype("int64"))
            if hasattr(value, "timetuple"):
                return f"time {value.calendar}", (*value.timetuple()[:6], value.microsecond)
            return ("number", float(value)) if isinstance(value, np.number) else ("text", str(value))
    return None


def _spill(contents: Contents, directory: str) -> str:
    place = tempfile.mkdtemp(dir=directory)
    for group, ds in contents.groups.items():
        pieces = ds.chunk(dict.fromkeys(list(ds.dims)[:1], _PIECE)).drop_encoding()
        pieces.to_zarr(place, group=group.strip("/") or None, mode="a", zarr_format=3, consolidated=False)
    return place


def _renamed(error: errors.AmasiaError, path: Path, source: str) -> errors.AmasiaError:
    """The error of a copy, with the name of what was copied."""
    if str(path) == source or str(path) not in error.message:
        return error
    told = type(error)(error.message.replace(str(path), source), cure=error.cure)
    told.detail = error.detail
    return told


def answered(function: Callable[[Wanted], Any], wanted: Wanted) -> Any:
    """What a function gives, or its error: alone, since its causes may not be picklable."""
    try:
        return function(wanted)
    except errors.AmasiaError as error:
        return errors.from_wire(errors.to_wire(error))
    except Exception as error:  # of any library, for a file that nobody thought of
        return corrupt(Path(wanted.source), error, _CURE)


def main() -> None:
    """Answer pickled functions with pickled answers or errors, until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    with redirect_stdout(sys.stderr):
        while (question := _question(sys.stdin.buffer)) is not None:
            pickle.dump(answered(*question), answers, protocol=5)
            answers.flush()
    os._exit(0)  # ecCodes aborts in an orderly exit


def _question(questions: BinaryIO) -> Any:
    try:
        return pickle.load(questions)  # noqa: S301  from the process that started this one
    except EOFError:
        return None
