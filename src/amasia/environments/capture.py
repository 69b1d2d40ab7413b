"""Capture the environment of the running interpreter, so that `environments.build` can make it again elsewhere."""

import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from amasia.environments import archives, inventory, locks, loose, versions, wheels
from amasia.environments.inventory import Installed, Origin
from amasia.errors import EnvironmentFailed
from amasia.models.environments import Artifact, Environment


def _silent(message: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Captured:
    """An environment and the files that only this computer has.

    Attributes
    ----------
    environment
        What machines need to know; its ``hash`` is its name.
    files
        Wheels and the zip of loose code, by SHA-256.
    warnings
        Sentences about what machines will not have, for the user to read.
    seconds
        What each stage took: ``inventory``, ``wheels``, ``lock``, ``code``.
    """

    environment: Environment
    files: dict[str, Path]
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict, compare=False)


def capture(*, cache: Path, script: Path | None = None, progress: Callable[[str], None] = _silent) -> Captured:
    """Capture the environment of the running interpreter.

    Index packages become a hashed lock without resolving anything. Editable packages are built into wheels; packages
    from git, archives and local directories are packed as they are installed, and so is what no index has. Modules
    beside the script become a zip. Everything is kept in `cache` by the hash of what it is made from, so that an
    unchanged environment costs some 50 ms and starts neither uv nor a network connection.

    Parameters
    ----------
    cache
        Directory for locks, wheels and zips; made if missing. Processes may share it.
    script
        The user's script; None for the running one, or the working directory of a notebook.
    progress
        Called with a short phrase before each step that takes longer than a moment.

    Returns
    -------
    Captured

    Raises
    ------
    EnvironmentFailed
        An installed package is broken, cannot be built, or is too large to send and on no index; or there is more
        loose code than `loose.MOST` bytes. The message names it and the cure.
    """
    if sys.implementation.name != "cpython":
        raise EnvironmentFailed(
            f"This Python is {platform.python_implementation()}; machines run CPython.", cure="Use CPython here too."
        )
    seconds: dict[str, float] = {}
    with _timed(seconds, "inventory"):
        packages = inventory.installed(sys.path)
    with _timed(seconds, "lock"):
        lock = locks.lock([one for one in packages if one.origin is Origin.indexed], cache, progress)
    with _timed(seconds, "wheels"):
        local = [one for one in packages if one.origin is not Origin.indexed or one.name in lock.unlocked]
        made = {one.name: wheels.wheel(one, cache, progress) for one in local}
    with _timed(seconds, "code"):
        code, warnings = _code(cache, script, [one for one in local if one.origin is Origin.editable], made)
    environment = Environment(
        python=platform.python_version(),
        pylock=lock.pylock,
        wheels=tuple(made.values()),
        code=code,
        versions=_versions(packages),
    )
    files = {one.sha256: archives.place(cache, one) for one in environment.artifacts()}
    return Captured(environment, files, lock.warnings + tuple(warnings), seconds)


def _code(
    cache: Path, script: Path | None, editables: list[Installed], made: dict[str, Artifact]
) -> tuple[Artifact | None, list[str]]:
    """The zip of loose code, and warnings about modules that are in neither it nor a wheel."""
    projects = [one.project for one in editables if one.project]
    top = loose.home(script)
    if top is None:
        return None, loose.strays(projects)
    around = [one for one in editables if one.project and top.is_relative_to(one.project.resolve())]
    shipped = {name for one in around for name in wheels.top_level(archives.place(cache, made[one.name]))}
    files = loose.gather(top, script, shipped)
    warnings = loose.strays([*projects, top])
    if not files:
        return None, warnings
    content = archives.pack(files)
    one = archives.artifact("code.zip", content)
    archives.keep(cache, one, lambda: content)
    return one, warnings


def _versions(packages: list[Installed]) -> dict[str, str]:
    named = {one.name: versions.without_stamp(one.version) for one in packages if one.name in versions.NAMES}
    return {"python": platform.python_version()} | named


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)
