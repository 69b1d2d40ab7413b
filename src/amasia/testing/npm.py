"""Servers that are npm packages: installed once, each in a folder of its own."""

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock


def missing(package: str, version: str, cache: Path) -> str:
    """Why there is no such package in ``cache``; empty where there is. The first call installs it."""
    if not shutil.which("node") or not shutil.which("npm"):
        return f"{package} needs node and npm"
    if folder(package, version, cache).exists():
        return ""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "install.lock"):
        return "" if folder(package, version, cache).exists() else _install(package, version, cache)


def folder(package: str, version: str, cache: Path) -> Path:
    """Where the package itself is."""
    return cache / version / "node_modules" / package


def _install(package: str, version: str, cache: Path) -> str:
    """Beside its place, and there only when it is whole: an installation may be killed."""
    draft = cache / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    command = ["npm", "install", "--prefix", str(draft), "--no-audit", "--no-fund", f"{package}@{version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    except subprocess.TimeoutExpired:
        return f"npm did not install {package} within 100 s"
    if done.returncode != 0:
        return f"npm cannot install {package}: {done.stderr.strip()[-200:]}"
    draft.rename(cache / version)
    return ""
