"""What a bare machine needs to become one of ours: the agent's wheel, its few requirements, and uv.

The agent needs little of what Amasia needs on a laptop: its wheel is installed without its dependencies, and these
requirements beside it. All that a cluster computes with comes later, with the captured environment.
"""

import hashlib
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from amasia.environments import archives, inventory, wheels
from amasia.errors import EnvironmentFailed

ROOTS = ("httpx2", "pydantic", "pydantic-settings", "platformdirs", "psutil", "filelock", "packaging", "uv")
"""What `amasia.agent` imports from others; a test runs it with nothing else."""
REQUIREMENTS, UV = "requirements.txt", f"uv-{platform.machine()}"


@dataclass(frozen=True)
class Kit:
    """A directory of files, and the name that stands for all of them.

    Attributes
    ----------
    name
        16 hex digits of the hash of everything that is installed from it: machines keep what they installed under it.
    wheel
        File name of the agent's wheel.
    """

    home: Path
    name: str
    wheel: str

    @property
    def files(self) -> tuple[str, ...]:
        return self.wheel, REQUIREMENTS, UV


def make(home: Path, cache: Path, progress: Callable[[str], None] = lambda _: None) -> Kit:
    """Put the kit of this installation into ``home``, unless it is there.

    Raises
    ------
    EnvironmentFailed
        Amasia's own wheel cannot be built here.
    """
    own = next((one for one in inventory.installed(sys.path) if one.name == "amasia"), None)
    if own is None:
        raise EnvironmentFailed("Amasia is not installed here as a package.", cure="Install it with uv or pip.")
    made = wheels.wheel(own, cache, progress)
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(_closure().items()))
    name = hashlib.sha256(f"{made.sha256}\n{pins}".encode()).hexdigest()[:16]
    kit = Kit(home / name, name, made.filename)
    if not all((kit.home / file).exists() for file in kit.files):
        kit.home.mkdir(parents=True, exist_ok=True)
        archives.write_whole(kit.home / REQUIREMENTS, pins.encode())
        archives.write_whole(kit.home / UV, Path(uv.find_uv_bin()).read_bytes())
        archives.write_whole(kit.home / made.filename, archives.place(cache, made).read_bytes())
    for other in home.iterdir():
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)
    return kit


def _closure() -> dict[str, str]:
    """The roots and what they need on a machine like this, as it is installed here."""
    found: dict[str, str] = {}
    waiting = list(ROOTS)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        one = importlib.metadata.distribution(name)
        found[name] = one.version
        for text in one.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return found
