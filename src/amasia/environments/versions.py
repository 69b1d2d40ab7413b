"""Versions that client, scheduler and workers must agree on."""

import importlib.metadata
import platform
import re
from collections.abc import Mapping

NAMES = (
    "amasia", "blosc", "cloudpickle", "dask", "distributed", "icechunk", "lz4", "msgpack", "numpy", "pandas",
    "toolz", "tornado", "xarray", "zarr",
)  # fmt: skip
_STAMP = re.compile(r"[+.]amasia\.x[0-9a-f]{12}$")


def here() -> dict[str, str]:
    """Versions in the running interpreter, by package and ``python``; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in NAMES:
        try:
            found[name] = without_stamp(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def differences(ours: Mapping[str, str], theirs: Mapping[str, str], where: str = "on the workers") -> list[str]:
    """How two sets of versions differ, one sentence each.

    Parameters
    ----------
    ours, theirs
        As from `here` or `Environment.versions`.
    where
        What `theirs` is called in the sentences.

    Returns
    -------
    list of str
        Such as ``numpy is 2.3.1 here and 2.2.0 on the workers``; empty if they agree.
    """
    names = sorted(ours.keys() | theirs.keys())
    return [
        _sentence(name, ours.get(name), theirs.get(name), where) for name in names if ours.get(name) != theirs.get(name)
    ]


def without_stamp(version: str) -> str:
    """The version as its author wrote it, without the content hash that wheels of local packages carry."""
    return _STAMP.sub("", version)


def stamp(version: str, digest: str) -> str:
    """The version with a content hash as its local segment, so that no cache by name and version can mistake it."""
    return f"{version}{'.' if '+' in version else '+'}amasia.x{digest[:12]}"


def _sentence(name: str, ours: str | None, theirs: str | None, where: str) -> str:
    if ours is None:
        return f"{name} is not installed here and is {theirs} {where}"
    if theirs is None:
        return f"{name} is {ours} here and is not installed {where}"
    return f"{name} is {ours} here and {theirs} {where}"
