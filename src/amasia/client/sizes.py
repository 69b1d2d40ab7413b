"""Sizes and times as people write them. Dask's own readers, so that they mean here what they mean there."""

from dask.utils import format_bytes, parse_bytes, parse_timedelta

from amasia.errors import InvalidRequest

__all__ = ["duration", "format_bytes", "memory", "seconds"]


def memory(value: str | int | float) -> int:
    """Bytes of ``"1 GiB"``, ``"500 MB"`` or a number, as `dask.utils.parse_bytes` reads them."""
    try:
        return int(parse_bytes(value))
    except (ValueError, TypeError, AttributeError):
        raise InvalidRequest(f"{value!r} is no size.", cure='Write it as "1 GiB", "500 MB" or bytes.') from None


def seconds(value: str | int | float | None) -> float:
    """Seconds of ``"20 minutes"``, ``"90s"`` or a number, as `dask.utils.parse_timedelta` reads them; None is 0."""
    if value is None:
        return 0.0
    try:
        return float(parse_timedelta(value, default="seconds"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidRequest(f"{value!r} is no length of time.", cure='Write it as "20 minutes" or seconds.') from None


def duration(length: float) -> str:
    """Seconds as ``20 min`` or ``90 s``: as people say what they have set."""
    return f"{length / 60:g} min" if length >= 60 and length % 60 == 0 else f"{length:g} s"
