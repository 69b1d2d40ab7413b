"""What every reader gives, and what it says when it cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from amasia import errors


@dataclass(frozen=True)
class Contents:
    """A file as datasets; lazy, and closed when its reader ends."""

    format: str
    """As people call it, such as ``NetCDF 4``."""
    groups: Mapping[str, xr.Dataset]
    """By path, ``"/"`` for the root; parents come before their children."""
    notes: tuple[str, ...] = ()
    """What is not kept as the file has it."""


@dataclass(frozen=True)
class Options:
    """How to read."""

    decode_times: bool = True
    """False keeps times as the numbers in the file, with their units."""


DEFAULT = Options()


def corrupt(path: Path, why: object, cure: str = "Fetch the file again.") -> errors.CorruptFile:
    """The refusal of a file that is damaged or was cut short."""
    if isinstance(why, BaseException):
        lines = str(why).splitlines() or [""]
        why = f"{type(why).__name__}: {lines[0][:200]}"
    return errors.CorruptFile(f"{path} is damaged or was cut short ({why}).", cure=cure)
