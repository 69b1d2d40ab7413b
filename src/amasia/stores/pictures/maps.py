"""A map of one field: cells on a sphere resampled to a plain grid, with coastlines."""

import json
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from amasia.stores.pictures import frames, rasters

type Numbers = NDArray[np.float64]

_PIXELS = 300
"""Along the longer side of the resampled picture."""
_FARTHEST = 3.0
"""A pixel further from any cell than this many typical distances between cells stays empty."""
_TALLEST, _FLATTEST = 0.75, 0.25
"""Height beside width."""
_MARGIN = 0.04


def draw(lon: Numbers, lat: Numbers, values: Numbers, label: str = "", units: str = "", note: str = "") -> str:
    """Draw a field.

    Parameters
    ----------
    lon, lat
        Degrees of each cell's centre, in the shape of ``values``: rectilinear, curvilinear or a list of cells.
    values
        Cells without a number stay empty.
    label
        What it shows, for those who cannot see it.
    units
        Beside the scale.
    note
        Right of the scale, such as the time.

    Returns
    -------
    str
        An SVG; empty where no cell has both a place and a number.
    """
    lon, lat, values = (np.asarray(one, np.float64).ravel() for one in (lon, lat, values))
    placed = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0001)
    lon, lat, values = lon[placed], lat[placed], values[placed]
    found = rasters.scale(values)
    if found is None:
        return ""
    west, width = _across(lon)
    south, north = float(lat.min()), float(lat.max())
    west, width, south, north = _room(west, width, south, north)
    shape = _shape(width, south, north)
    grid = _resample(lon, lat, values, (west, width, south, north), shape)
    height = frames.WIDTH * shape[0] / shape[1]
    picture = rasters.png(found.indices(grid), found.palette())
    inner = (
        f'<rect width="{frames.WIDTH}" height="{height:.0f}" opacity=".06"/>'
        f'<image href="{picture}" width="{frames.WIDTH}" height="{height:.0f}" preserveAspectRatio="none" '
        'image-rendering="pixelated"/>'
        f'<path d="{_coast(west, width, south, north, height)}" fill="none" stroke="#6b7280" '
        'stroke-width=".9"/>'
        f"{frames.legend(found, height, units, note)}"
    )
    return frames.frame(inner, height + frames.BAR, label)


def _across(lon: Numbers) -> tuple[float, float]:
    """West end and width of the smallest stretch of longitudes that holds all; the whole circle where it nearly is."""
    east = np.unique(np.round(lon % 360, 3))
    gaps = np.diff(np.append(east, east[0] + 360))
    widest = int(gaps.argmax())
    if gaps[widest] < 15:  # no region leaves out as little
        return -180.0, 360.0
    west = float(east[(widest + 1) % len(east)])
    return (west - 360 if west >= 180 else west), 360 - float(gaps[widest])


def _room(west: float, width: float, south: float, north: float) -> tuple[float, float, float, float]:
    """The box with a margin, wider or taller where it would be too narrow a picture."""
    pad = max(_MARGIN * max(width, north - south), 0.02)
    south, north = max(-90.0, south - pad), min(90.0, north + pad)
    wished = min(360.0, max(width + 2 * pad, (north - south) / (_TALLEST * _shrink(south, north))))
    west, width = (-180.0, 360.0) if width >= 360 else (west - (wished - width) / 2, wished)
    missing = _FLATTEST * width * _shrink(south, north) - (north - south)
    if missing > 0:
        south, north = max(-90.0, south - missing / 2), min(90.0, north + missing / 2)
    return west, width, south, north


def _shrink(south: float, north: float) -> float:
    """A degree of longitude beside one of latitude in the middle of the map."""
    return max(float(np.cos(np.radians((south + north) / 2))), 0.2)


def _shape(width: float, south: float, north: float) -> tuple[int, int]:
    """Rows and columns, so that the middle of the map has its true proportions."""
    ratio = (north - south) / max(width * _shrink(south, north), 1e-9)
    return max(2, round(_PIXELS * min(_TALLEST, max(_FLATTEST, ratio)))), _PIXELS


def _resample(
    lon: Numbers, lat: Numbers, values: Numbers, box: tuple[float, float, float, float], shape: tuple[int, int]
) -> Numbers:
    """The nearest cell on the sphere, so that poles, seams and folded grids need no case of their own."""
    west, width, south, north = box
    rows, columns = shape
    at_lon = west + (np.arange(columns) + 0.5) * width / columns
    at_lat = north - (np.arange(rows) + 0.5) * (north - south) / rows
    tree = cKDTree(_sphere(lon, lat))
    pixels = _sphere(*(one.ravel() for one in np.meshgrid(at_lon, at_lat)))
    sample = tree.data[:: max(1, len(tree.data) // 2000)]
    between = tree.query(sample, k=2)[0][:, 1] if len(tree.data) > 1 else np.array([0.02])
    pixel = np.radians(max(width / columns, (north - south) / rows))
    # Cells may be far longer than wide, and a few lie on one another.
    near = _FARTHEST * max(float(np.quantile(between, 0.95)), float(pixel))
    _, nearest = tree.query(pixels, distance_upper_bound=near)
    found: Numbers = np.append(values, np.nan)[nearest].reshape(shape)
    return found  # one past the end: nothing is that near


def _sphere(lon: Numbers, lat: Numbers) -> Numbers:
    east, up = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(up) * np.cos(east), np.cos(up) * np.sin(east), np.sin(up)], axis=-1)


def _coast(west: float, width: float, south: float, north: float, height: float) -> str:
    """The coast within the box as a path of whole numbers; points closer than one unit are left out."""
    parts: list[str] = []
    for line in coastlines():
        for turn in (-360.0, 0.0, 360.0):
            x = (line[:, 0] + turn - west) / width * frames.WIDTH
            if x.max() < 0 or x.min() > frames.WIDTH:
                continue
            y = (north - line[:, 1]) / max(north - south, 1e-9) * height
            parts.extend(_path(x, y, height))
    return "".join(parts)


def _path(x: Numbers, y: Numbers, height: float) -> list[str]:
    """Pieces of one line that touch the picture. What lies outside is cut at its edge, segment by segment."""
    parts: list[str] = []
    pen: tuple[int, int] | None = None
    for x0, y0, x1, y1 in zip(x[:-1], y[:-1], x[1:], y[1:], strict=True):
        cut = _cut(x0, y0, x1, y1, height)
        if cut is None:
            pen = None
            continue
        a, b = (round(cut[0]), round(cut[1])), (round(cut[2]), round(cut[3]))
        if pen != a:
            parts.append(f"M{a[0]} {a[1]}")
        if a != b:
            parts.append(f"l{b[0] - a[0]} {b[1] - a[1]}")
        pen = b
    return parts


def _cut(x0: float, y0: float, x1: float, y1: float, height: float) -> tuple[float, float, float, float] | None:
    """The part of a segment inside the picture, by Liang and Barsky."""
    dx, dy = x1 - x0, y1 - y0
    begin, end = 0.0, 1.0
    for step, room in ((-dx, x0), (dx, frames.WIDTH - x0), (-dy, y0), (dy, height - y0)):
        if step == 0:
            if room < 0:
                return None
            continue
        at = room / step
        if step < 0:
            begin = max(begin, at)
        else:
            end = min(end, at)
    if begin > end:
        return None
    return x0 + begin * dx, y0 + begin * dy, x0 + end * dx, y0 + end * dy


@cache
def coastlines() -> tuple[Numbers, ...]:
    """Lines of longitude and latitude, in degrees."""
    text = (resources.files(__package__) / "coastlines.json").read_text()
    lines = (np.array(line, np.float64).reshape(-1, 2) / 10 for line in json.loads(text)["lines"])
    return tuple(piece for line in lines for piece in _open(line))


def _open(line: Numbers) -> list[Numbers]:
    """A line without the frame of the map that closes Antarctica, cut where it goes round the back."""
    frame = (np.abs(line[:, 0]) >= 179.9) | (line[:, 1] <= -85.5)
    seam = np.abs(np.diff(line[:, 0])) > 180
    cuts = np.flatnonzero((frame[:-1] & frame[1:]) | seam) + 1
    return [piece for piece in np.split(line, cuts) if len(piece) > 1]
