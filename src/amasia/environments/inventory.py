"""What is installed in the live interpreter, and where each of it came from."""

import importlib.metadata
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from amasia.errors import EnvironmentFailed

_SITES = ("site-packages", "dist-packages")
_LEFT_OUT = {"pip"}
"""Seeded into environments by their maker; nothing on a machine imports it."""


class Origin(StrEnum):
    indexed = "indexed"
    """Name and version say it all: a package index has it."""
    editable = "editable"
    """Its source is worked on; a wheel is built from it."""
    files = "files"
    """From git, an archive or a local directory: only the installed files say what it is."""


@dataclass(frozen=True)
class Installed:
    """One installed distribution."""

    name: str
    """Normalized."""
    version: str
    path: Path
    """Its metadata directory."""
    origin: Origin = Origin.indexed
    project: Path | None = None
    """Source directory of an editable one."""


def installed(paths: Sequence[str]) -> list[Installed]:
    """Every distribution on these import paths, sorted by name; the first of a name wins, as it does for imports.

    Only directory names and `direct_url.json` are read, which takes milliseconds; a file of metadata that is missing
    raises `EnvironmentFailed`.
    """
    found: dict[str, Installed] = {}
    for path in _metadata_directories(paths):
        one = _installed(path)
        if one.name not in found and one.name not in _LEFT_OUT:
            found[one.name] = one
    return [_with_origin(found[name]) for name in sorted(found)]


def site_directories(paths: Sequence[str]) -> list[Path]:
    """Those of the import paths that installers write to."""
    return [Path(path) for path in dict.fromkeys(paths) if Path(path).name in _SITES and Path(path).is_dir()]


def _metadata_directories(paths: Sequence[str]) -> Iterator[Path]:
    for site in site_directories(paths):
        for entry in sorted(os.scandir(site), key=lambda entry: entry.name):
            # An installer renames what it is about to remove to ~name, and a crash leaves it there.
            if entry.name.endswith((".dist-info", ".egg-info")) and not entry.name.startswith("~"):
                yield Path(entry.path)


def _installed(path: Path) -> Installed:
    if path.suffix == ".egg-info":
        old = importlib.metadata.PathDistribution(path)
        if not old.metadata["Name"]:
            raise _broken(path)
        return Installed(canonicalize_name(old.metadata["Name"]), old.version, path)
    name, _, version = path.stem.partition("-")
    if not version or not (path / "METADATA").is_file():
        raise _broken(path)
    return Installed(canonicalize_name(name), version, path)


def _with_origin(one: Installed) -> Installed:
    try:
        url = json.loads((one.path / "direct_url.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return one
    except ValueError as error:
        raise _broken(one.path) from error
    if _installer(one.path) == "conda":
        # Conda writes where its own build farm had the source; that says nothing here.
        return one
    if not url.get("dir_info", {}).get("editable"):
        return Installed(one.name, one.version, one.path, Origin.files)
    project = Path(unquote(urlsplit(url["url"]).path))
    if not project.is_dir():
        raise EnvironmentFailed(
            f"{one.name} {one.version} is installed as editable from {project}, and that directory is gone.",
            cure=f"Bring it back, or remove the package: uv pip uninstall {one.name}",
        )
    return Installed(one.name, one.version, one.path, Origin.editable, project)


def _installer(path: Path) -> str:
    try:
        return (path / "INSTALLER").read_text().strip()
    except OSError:
        return ""


def _broken(path: Path) -> EnvironmentFailed:
    name = path.stem.partition("-")[0]
    return EnvironmentFailed(
        f"The installed package {name!r} is broken: {path} lacks the metadata that says what it is.",
        cure=f"Install it again (uv pip install --reinstall {name}), or delete that directory if it is a leftover.",
        path=str(path),
    )
