"""Which files a local project consists of, and their content hash.

A project's files are what git tracks there plus what it does not ignore; without git, every file but those of
`is_junk`. Nothing else is left out: tests and data may end up in a wheel, and if they do not, a changed one costs one
build whose wheel, and so whose environment, is the same as before. Contents are read each time: a time stamp can lie.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_JUNK = {"__pycache__", "node_modules", "build", "dist"}


def content_hash(project: Path) -> str:
    """Hash of everything that a wheel built from this project depends on here, 64 hex digits."""
    total = hashlib.sha256(f"{platform.python_version()} {sys.platform} {platform.machine()}".encode())
    total.update(_commit(project).encode())
    for path in sorted(_files(project)):
        total.update(os.fsencode(path.relative_to(project)) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def is_junk(path: Path) -> bool:
    """Whether a directory never holds source: hidden, made by tools, or a virtual environment."""
    name = path.name
    return name in _JUNK or name.startswith(".") or name.endswith(".egg-info") or (path / "pyvenv.cfg").exists()


def walk(top: Path) -> Iterator[Path]:
    """Every file below, but not in junk directories; links to directories are not followed."""
    for entry in os.scandir(top):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if not is_junk(path):
                yield from walk(path)
        elif entry.is_file() and path.suffix != ".pyc":
            yield path


def _files(project: Path) -> Iterator[Path]:
    listed = _git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    if "pyproject.toml" not in listed and "setup.py" not in listed:
        # No repository, or one that ignores the project as a whole.
        yield from walk(project)
        return
    for path in {project / name for name in listed if name}:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from walk(path)  # a submodule


def _commit(project: Path) -> str:
    """The commit, for projects that may take their version from it."""
    try:
        text = (project / "pyproject.toml").read_text()
    except OSError:
        text = "dynamic"
    return _git(project, "describe", "--always", "--tags", "--dirty").strip() if "dynamic" in text else ""


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", project, *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
