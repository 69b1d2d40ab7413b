"""Datasets: what the catalog knows of a group of a repository, and how it is asked for."""

import json
import re
from calendar import monthrange
from typing import Any

from pydantic import Field

from amasia.models.base import Model, Time
from amasia.models.sizes import volume

_DATE = re.compile(r"(-?\d{1,6})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?)?)?Z?")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})$")


class Box(Model):
    """Degrees. Of the cells' centres; ``west > east`` where it crosses the 180th meridian."""

    west: float
    south: float
    east: float
    north: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        return self.west, self.south, self.east, self.north


class Variable(Model):
    name: str
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    """As stored."""
    dtype: str = ""
    """As Xarray decodes it."""
    standard_name: str = ""
    long_name: str = ""
    units: str = ""
    size: int = 0
    """Bytes, uncompressed."""
    coordinate: bool = False
    attributes: dict[str, Any] = {}


class Summary(Model):
    """What a list shows of a dataset, and what it is found by."""

    group: str = "/"
    title: str
    summary: str = ""
    dims: dict[str, int] = {}
    names: tuple[str, ...] = ()
    """Of the data variables."""
    standard_names: tuple[str, ...] = ()
    size: int = 0
    """Bytes, uncompressed."""
    begin: str = ""
    """ISO 8601 in the dataset's own calendar; empty where it has no time."""
    end: str = ""
    calendar: str = ""
    begin_at: int | None = None
    """The same in seconds since 1970, as if the calendar were the proleptic Gregorian one: to search by."""
    end_at: int | None = None
    box: Box | None = None
    crs: str = ""
    """Name of the projection; empty where coordinates are longitude and latitude."""
    notes: tuple[str, ...] = ()
    """What could not be found out, and why."""


class Content(Summary):
    """All that was found in one group."""

    variables: tuple[Variable, ...] = ()
    attributes: dict[str, Any] = {}
    html: str = ""
    """Xarray's own picture of it, without its style sheet."""
    previews: dict[str, str] = {}
    """A self-contained SVG by the name of a variable."""


class Contents(Model):
    """All that was found in a repository at the head of a branch."""

    snapshot: str
    groups: tuple[Content, ...] = ()
    notes: tuple[str, ...] = ()


class Dataset(Summary):
    """One group of a repository at the head of its main branch."""

    repository: str
    """``workspace/name``."""
    branch: str = "main"
    snapshot: str
    committed_at: Time
    thumbnail: str = ""
    """SVG; only where it was asked for."""

    @property
    def workspace(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def volume(self) -> str:
        """``1.5 GiB``, uncompressed."""
        return volume(self.size)

    @property
    def when(self) -> str:
        """``1982-01-16 to 1992-12-17``; empty where it has no time."""
        first, last = (one.removesuffix("T00:00:00").replace("T", " ") for one in (self.begin, self.end))
        days = [one[: one.index(" ")] if " " in one else one for one in (first, last)]
        if days[0] != days[1]:
            first, last = days
        return first if first == last else f"{first} to {last}"

    @property
    def where(self) -> str:
        """``10.5°W to 2°E, 50°N to 58°N``; empty where it has no place."""
        if self.box is None:
            return ""
        west, south, east, north = self.box.bounds
        across = _stretch(_lon(west), _lon(east)) if (west, east) != (-180, 180) else "all longitudes"
        along = _stretch(_lat(south), _lat(north)) if (south, north) != (-90, 90) else "pole to pole"
        return "global" if across[0] == "a" and north - south > 150 else f"{across}, {along}"

    @property
    def address(self) -> str:
        """What Xarray's engine takes."""
        return f"amasia://{self.repository}"

    @property
    def code(self) -> str:
        """How to open it."""
        group = "" if self.group == "/" else f", group={json.dumps(self.group)}"
        return f'import xarray as xr\nds = xr.open_dataset("{self.address}", engine="amasia"{group}, chunks={{}})'


class Details(Dataset):
    """A dataset with all that the catalog has of it, but for the previews themselves."""

    created_by: str = ""
    variables: tuple[Variable, ...] = ()
    attributes: dict[str, Any] = {}
    html: str = ""
    previews: tuple[str, ...] = ()
    """Names of the variables that have one."""


class Query(Model):
    """What to look for; all that is given must hold."""

    text: str = Field(default="", max_length=500)
    """Words, or beginnings of words."""
    variable: str = ""
    standard_name: str = ""
    box: Box | None = None
    """Overlaps."""
    since: int | None = None
    """Seconds since 1970; overlaps with the time from here …"""
    until: int | None = None
    """… to here."""
    workspace: str = ""
    repositories: tuple[str, ...] = ()
    """``workspace/name``; empty for all."""
    groups: tuple[str, ...] = ()


class Slice(Model):
    """A part of one variable: a number takes one place of a dimension, two numbers a stretch, three one with a step."""

    group: str = "/"
    variable: str
    index: dict[str, int | tuple[int, int] | tuple[int, int, int]] = {}


class Values(Model):
    """A part of one variable, with the coordinates of its dimensions."""

    variable: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    units: str = ""
    values: Any
    """Nested lists; null where there is no number; times as text."""
    coordinates: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


def seconds(text: str, *, last: bool = False) -> int:
    """Seconds since 1970 of ``2020``, ``2020-07``, ``2020-07-31`` or ``2020-07-31T12:00:00Z``.

    Parameters
    ----------
    last
        The last second of a year, month or day rather than its first.

    Raises
    ------
    ValueError
    """
    bare, offset = _OFFSET.sub("", text.strip()), _OFFSET.search(text.strip())
    timed = offset is not None and "T" in text.upper()
    found = _DATE.fullmatch(bare if timed else text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time: write 2020, 2020-07, 2020-07-31 or 2020-07-31T12:00:00Z")
    year, *rest = (None if part is None else int(part) for part in found.groups())
    assert year is not None
    month, day, hour, minute, second = rest
    last_day = _days_in(year, month or 12)
    if not (1 <= (month or 1) <= 12 and 1 <= (day or 1) <= last_day and (hour or 0) < 24 and (minute or 0) < 60):
        raise ValueError(f"{text!r} is no time: there is no such day or hour")
    if last:
        whole = (month or 12, last_day if day is None else day, 23 if hour is None else hour,
                 59 if minute is None else minute, 59 if second is None else second)  # fmt: skip
    else:
        whole = (month or 1, day or 1, hour or 0, minute or 0, second or 0)
    shift = 0
    if timed and offset is not None:
        shift = (int(offset[2]) * 3600 + int(offset[3]) * 60) * (1 if offset[1] == "+" else -1)
    return days(year, whole[0], whole[1]) * 86400 + whole[2] * 3600 + whole[3] * 60 + whole[4] - shift


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for any year."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _stretch(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _lon(degrees: float) -> str:
    side = "" if abs(degrees) in (0, 180) else "E" if degrees > 0 else "W"
    return f"{round(abs(degrees), 1):g}°{side}"


def _lat(degrees: float) -> str:
    side = "" if degrees == 0 else "N" if degrees > 0 else "S"
    return f"{round(abs(degrees), 1):g}°{side}"


def _days_in(year: int, month: int) -> int:
    # Gregorian leap years repeat after 400 years, and the library's calendar begins in year 1.
    return monthrange(year % 400 + 2000, month)[1] if 1 <= month <= 12 else 31
