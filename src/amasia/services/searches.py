"""What people write into a search, as what the catalog takes; refused in words where it cannot be meant."""

from amasia import errors
from amasia.models.datasets import Box, seconds


def box(text: str) -> Box | None:
    """A box from ``west,south,east,north``, also with heights between, as GeoJSON has it."""
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    return corners(numbers, text)


def corners(numbers: list[float], said: object) -> Box:
    if len(numbers) == 6:
        numbers = [numbers[at] for at in (0, 1, 3, 4)]
    if len(numbers) != 4 or not all(-360 <= one <= 360 for one in numbers):
        raise errors.InvalidRequest(
            f"The box {said!r} is not understood.", cure="Write west,south,east,north in degrees, as -10,35,40,70."
        )
    west, south, east, north = numbers
    if south > north or abs(south) > 90 or abs(north) > 90:
        raise errors.InvalidRequest(
            f"The box {said!r} has its south at {south:g} and its north at {north:g}.",
            cure="Write west,south,east,north, with latitudes from -90 to 90.",
        )
    if east - west >= 360:
        west, east = -180.0, 180.0
    west, east = (one if -180 <= one <= 180 else (one + 180) % 360 - 180 for one in (west, east))
    return Box(west=west, south=south, east=east, north=north)


def moment(text: str, *, last: bool = False) -> int | None:
    if not text:
        return None
    try:
        return seconds(text, last=last)
    except ValueError as error:
        raise errors.InvalidRequest(f"{error}.", cure="For example: 2020-07.") from None


def offset(after: str) -> int:
    if not after:
        return 0
    if not after.isdecimal() or len(after) > 9:
        raise errors.InvalidRequest(f"{after!r} is the end of no page.", cure="Pass `next` of the page before.")
    return int(after)
