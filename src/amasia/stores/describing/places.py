"""Where the cells of a variable are: longitudes and latitudes, by CF's signs or by a projection."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import xarray as xr
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError

from amasia.models.datasets import Box
from amasia.stores.describing import reads

type Numbers = NDArray[np.float64]

_LAT = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
_LON = {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"}
_LAT_NAMES = {"lat", "latitude", "nav_lat", "lats", "tlat", "xlat", "yc_lat", "rlat_true", "clat", "latitudes"}
_LON_NAMES = {"lon", "longitude", "nav_lon", "lons", "tlon", "xlong", "tlong", "clon", "longitudes"}
_GLOBE = 15.0
"""Degrees of longitude: no region leaves out as little."""


@dataclass(frozen=True)
class Grid:
    """Longitudes and latitudes of cells; or x and y with a projection."""

    x: xr.Variable
    y: xr.Variable
    crs: pyproj.CRS | None = None

    @property
    def dims(self) -> tuple[Hashable, ...]:
        return tuple(dict.fromkeys([*self.y.dims, *self.x.dims]))

    @property
    def name(self) -> str:
        """Of the projection."""
        if self.crs is None:
            return ""
        operation = self.crs.coordinate_operation
        return str(operation.method_name if self.crs.name == "undefined" and operation else self.crs.name)

    def at(self, index: Mapping[Hashable, Any]) -> tuple[Numbers, Numbers]:
        """(lon, lat) of the cells that an index of `reads.coarse` takes, both over all of `dims`."""
        x, y = (_taken(one, index) for one in (self.x, self.y))
        sizes = {dim: one.sizes[dim] for one in (x, y) for dim in one.dims}
        x, y = (one.set_dims({dim: sizes[dim] for dim in self.dims}) for one in (x, y))  # type: ignore[no-untyped-call]
        lon, lat = np.asarray(x.values, np.float64), np.asarray(y.values, np.float64)
        if self.crs is None:
            return _degrees(lon, self.x), _degrees(lat, self.y)
        turn = pyproj.Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        lon, lat = (np.asarray(one, np.float64) for one in turn.transform(lon, lat))
        return np.where(np.isfinite(lon), lon, np.nan), np.where(np.isfinite(lat), lat, np.nan)

    def spread(self) -> bool:
        """Whether its cells make a map: not along one meridian or parallel, nor all at one station."""
        lon, lat = self.at(reads.coarse(self.sizes, most=50))
        return all(len(np.unique(np.round(one[np.isfinite(one)], 3))) >= 3 for one in (lon, lat))

    @property
    def sizes(self) -> dict[Hashable, int]:
        return {dim: one.sizes[dim] for one in (self.x, self.y) for dim in one.dims}

    def box(self) -> Box | None:
        """The smallest box around all cells' centres; around many of them, where there are very many."""
        separable = self.crs is None and not set(self.x.dims) & set(self.y.dims)
        if separable:
            lon, lat = (_degrees(np.asarray(one.values, np.float64), one) for one in (self.x, self.y))
        else:
            lon, lat = self.at(reads.coarse(self.sizes, most=2000))
        return box(lon.ravel(), lat.ravel())


def box(lon: Numbers, lat: Numbers) -> Box | None:
    """The smallest box around points; None where none of them is on Earth."""
    lon, lat = (np.asarray(one, np.float64).ravel() for one in (lon, lat))
    lat = lat[np.isfinite(lat) & (np.abs(lat) <= 90.0001)]
    lon = lon[np.isfinite(lon) & (np.abs(lon) <= 720.001)]
    if not lat.size or not lon.size:
        return None
    south, north = (float(round(np.clip(one, -90, 90), 4)) for one in (lat.min(), lat.max()))
    east = np.unique(np.round(lon % 360, 4))
    gaps = np.diff(np.append(east, east[0] + 360))
    widest = int(gaps.argmax())
    if len(east) > 4 and gaps[widest] < _GLOBE:
        return Box(west=-180, south=south, east=180, north=north)
    first, last = east[(widest + 1) % len(east)], east[widest]
    return Box(west=_signed(float(first)), south=south, east=_signed(float(last)), north=north)


def grid(ds: xr.Dataset, variable: xr.Variable) -> Grid | None:
    """The grid of a variable: of those that lie along its dimensions the one that uses most of them."""
    found = [one for one in grids(ds) if set(one.dims) <= set(variable.dims)]
    wished = str(variable.attrs.get("coordinates", variable.encoding.get("coordinates", ""))).split()
    named = {str(key): value for key, value in ds.variables.items()}

    def fits(one: Grid) -> tuple[bool, int, bool]:
        said = any(named.get(name) is one.y for name in wished)
        return said, len(one.dims), one.crs is None

    return max(found, key=fits, default=None)


def grids(ds: xr.Dataset) -> list[Grid]:
    """Every pair of longitudes and latitudes, and every projected pair of axes without them."""
    names = [name for name in ds.variables if not is_bounds(ds, name)]
    lats = [ds.variables[name] for name in names if _is(ds, name, "latitude", _LAT, _LAT_NAMES)]
    lons = [ds.variables[name] for name in names if _is(ds, name, "longitude", _LON, _LON_NAMES)]
    pairs = [Grid(lon, lat) for lat in lats for lon in lons if _fit(lon, lat)]
    covered = {frozenset(one.dims) for one in pairs}
    return pairs + [one for one in _projected(ds) if frozenset(one.dims) not in covered]


def _fit(lon: xr.Variable, lat: xr.Variable) -> bool:
    """Two axes, or two arrays over the same dimensions."""
    if lon.ndim == lat.ndim == 1:
        return True
    return lon.dims == lat.dims


def _is(ds: xr.Dataset, name: Hashable, standard: str, units: set[str], names: set[str]) -> bool:
    variable = ds.variables[name]
    if variable.dtype.kind not in "fiu":
        return False
    said = variable.attrs.get("standard_name")
    if said in ("latitude", "longitude"):
        return bool(said == standard)
    if said:
        return False
    if str(variable.attrs.get("units", "")).lower() in units:
        return True
    return str(name).lower() in names


def is_place(ds: xr.Dataset, name: Hashable) -> bool:
    """Whether a variable is a longitude or latitude itself."""
    return _is(ds, name, "latitude", _LAT, _LAT_NAMES) or _is(ds, name, "longitude", _LON, _LON_NAMES)


def is_bounds(ds: xr.Dataset, name: Hashable) -> bool:
    """Whether it holds the corners of another one's cells."""
    return any(name in (one.attrs.get("bounds"), one.encoding.get("bounds")) for one in ds.variables.values())


def _projected(ds: xr.Dataset) -> list[Grid]:
    crs = _crs(ds)
    if crs is None:
        return []
    x = next((ds.variables[name] for name in ds.variables if _is_axis(ds, name, "x")), None)
    y = next((ds.variables[name] for name in ds.variables if _is_axis(ds, name, "y")), None)
    if x is None or y is None or x.ndim != 1 or y.ndim != 1 or (crs.is_geographic and not crs.is_derived):
        return []
    return [Grid(x, y, crs)]


def _is_axis(ds: xr.Dataset, name: Hashable, letter: str) -> bool:
    variable = ds.variables[name]
    said = variable.attrs.get("standard_name", "")
    if said in (f"projection_{letter}_coordinate", {"x": "grid_longitude", "y": "grid_latitude"}[letter]):
        return True
    return variable.dims == (name,) and (str(name).lower() == letter or variable.attrs.get("axis") == letter.upper())


def _crs(ds: xr.Dataset) -> pyproj.CRS | None:
    """From the first variable that describes a grid mapping in a way that can be read."""
    for variable in ds.variables.values():
        attributes = variable.attrs
        if not {"grid_mapping_name", "crs_wkt", "spatial_ref"} & set(attributes):
            continue
        try:
            return pyproj.CRS.from_cf(attributes)
        except (CRSError, ProjError, KeyError, ValueError, TypeError):
            pass
        try:
            return pyproj.CRS.from_user_input(attributes.get("crs_wkt") or attributes.get("spatial_ref"))
        except (CRSError, ProjError, ValueError, TypeError):
            continue
    return None


def _degrees(values: Numbers, variable: xr.Variable) -> Numbers:
    return np.degrees(values) if str(variable.attrs.get("units", "")).lower().startswith("rad") else values


def _taken(variable: xr.Variable, index: Mapping[Hashable, Any]) -> xr.Variable:
    return variable.isel({dim: index[dim] for dim in variable.dims if dim in index})


def _signed(lon: float) -> float:
    return round(lon - 360 if lon > 180 else lon, 4)
