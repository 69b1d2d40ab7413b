"""A lock (PEP 751) of the installed index packages: their versions are taken as they are, nothing is resolved."""

import hashlib
import importlib.metadata
import json
import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from amasia.environments import archives, commands, wheels
from amasia.environments.inventory import Installed
from amasia.errors import EnvironmentFailed

_FORMAT = 1
"""Part of the cache's keys; raise it when the same inventory gives another lock."""
_MACHINES = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "platform_machine": "x86_64",
}
"""What machines are, in the words of markers, when the client is something else."""
_LINUX = ("any", "manylinux", "musllinux", "linux")
_CREDENTIALS = re.compile(r"(://)[^/@\s\"']+@")
_WHEEL_LINE = re.compile(r"""url = "[^"]*/([^"/]+\.whl)(?:[?#][^"]*)?\"""")


@dataclass(frozen=True)
class Lock:
    """The lock, and what it could not hold."""

    pylock: str
    unlocked: tuple[str, ...] = ()
    """Names of packages that no index has; they are taken as they are installed."""
    warnings: tuple[str, ...] = ()


def lock(packages: Sequence[Installed], cache: Path, progress: Callable[[str], None]) -> Lock:
    """The lock of these packages, kept in `cache` by their names and versions."""
    pins = [f"{one.name}=={one.version}" for one in packages]
    words = [_FORMAT, platform.python_version(), sys.platform, platform.machine(), pins]
    path = cache / "locks" / f"{hashlib.sha256(json.dumps(words).encode()).hexdigest()}.json"
    try:
        saved = json.loads(path.read_bytes())
        return Lock(saved["pylock"], tuple(saved["unlocked"]), tuple(saved["warnings"]))
    except (OSError, ValueError, KeyError):
        pass
    progress(f"locking {len(packages)} packages")
    made = _lock(packages)
    # Checked before it is kept, so that a cured index setting is looked at again.
    for one in packages:
        if one.name in made.unlocked:
            wheels.check_packable(one)
    archives.write_whole(path, json.dumps(asdict(made)).encode())
    return made


def requirements(packages: Sequence[Installed], here: Mapping[str, str] | None = None) -> dict[str, str]:
    """A requirement line for each package, by name.

    On Linux each is its pin. Elsewhere, a package that others need on this platform only (appnope on a Mac) gets a
    marker that says so, and one that they need on Linux only is added, in the version that suits them.
    """
    pins = {str(one.name): f"{one.name}=={one.version}" for one in packages}
    ours = {str(key): str(value) for key, value in (here or default_environment()).items()}
    if ours["sys_platform"] == "linux":
        return pins
    needed: dict[str, list[tuple[bool, bool]]] = {}
    added: dict[str, str] = {}
    for one in packages:
        distribution = importlib.metadata.PathDistribution(one.path)
        extras = ["", *(distribution.metadata.get_all("Provides-Extra") or [])]
        for wanted in _parsed(distribution.requires or []):
            name = str(canonicalize_name(wanted.name))
            both = _holds(wanted, ours, extras), _holds(wanted, ours | _MACHINES, extras)
            needed.setdefault(name, []).append(both)
            if name not in pins and _holds(wanted, ours | _MACHINES, [""]) and not _holds(wanted, ours, [""]):
                added[name] = f"{name}{wanted.specifier} ; {wanted.marker}"
    for name in pins:
        demands = needed.get(name, [])
        if any(local for local, _ in demands) and not any(remote for _, remote in demands):
            pins[name] += f" ; sys_platform == '{ours['sys_platform']}'"
    return pins | added


def _parsed(texts: Iterable[str]) -> list[Requirement]:
    parsed = []
    for text in texts:
        try:
            parsed.append(Requirement(text))
        except InvalidRequirement:
            continue  # Metadata of old packages; uv ignores what it cannot read as well.
    return parsed


def _holds(wanted: Requirement, environment: dict[str, str], extras: Sequence[str]) -> bool:
    marker = wanted.marker
    return marker is None or any(marker.evaluate(environment | {"extra": extra}) for extra in extras)


def _lock(packages: Sequence[Installed]) -> Lock:
    lines = requirements(packages)
    unlocked: list[str] = []
    while True:
        text, refused = _compile({name: line for name, line in lines.items() if name not in unlocked})
        if not refused:
            break
        unlocked += refused
    warnings = [
        f"{lines[name]} is on no package index that uv knows; it is taken as it is installed here." for name in unlocked
    ]
    clean = _CREDENTIALS.sub(r"\1", text)
    if clean != text:
        warnings.append(
            "The addresses of some packages hold a password; it was taken out, so machines that cannot fetch them "
            "without one will say so."
        )
    return Lock(_pruned(clean), tuple(unlocked), tuple(warnings))


def _compile(lines: Mapping[str, str]) -> tuple[str, list[str]]:
    """The lock of these requirements, or nothing and the packages that no index has."""
    done = commands.run_offline_first(
        *("pip", "compile", "--no-deps", "--universal", "--format", "pylock.toml", "--no-header", "--no-annotate"),
        *("--quiet", "--python", sys.executable, "-"),
        text="\n".join(lines.values()),
    )
    if not done.failed:
        return done.output, _local(tomllib.loads(done.output))
    for name in re.findall(r"you require ([a-z0-9._-]+)[=<>~! ]", " ".join(done.errors.split())):
        if canonicalize_name(name) in lines:
            return "", [canonicalize_name(name)]
    raise EnvironmentFailed(
        f"The {len(lines)} packages installed here could not be locked; uv said:\n{done.tail}\n",
        cure="Is the package index reachable from here? uv reads its address from UV_DEFAULT_INDEX or uv.toml.",
    )


def _local(pylock: dict[str, Any]) -> list[str]:
    """Packages whose files are on this computer only, such as in a directory of --find-links."""
    return [package["name"] for package in pylock.get("packages", []) if not _remote(package)]


def _remote(package: dict[str, Any]) -> bool:
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    return bool(files) and all(str(one.get("url", "")).startswith(("https://", "http://")) for one in files)


def _pruned(pylock: str) -> str:
    """The lock without the wheels that neither this Python on Linux nor this platform takes: a quarter of the size."""
    kept = [line for line in pylock.splitlines() if not line.startswith("    {") or _usable(line)]
    pruned = "\n".join(kept) + "\n"
    names = [package["name"] for package in tomllib.loads(pruned).get("packages", []) if _remote(package)]
    everything = [package["name"] for package in tomllib.loads(pylock).get("packages", [])]
    return pruned if names == everything else pylock


def _usable(line: str) -> bool:
    match = _WHEEL_LINE.search(line)
    if not match:
        return True
    try:
        tags = parse_wheel_filename(match[1])[3]
    except InvalidWheelFilename:
        return True
    return any(_fits(tag.interpreter, tag.abi, tag.platform) for tag in tags)


def _fits(interpreter: str, abi: str, system: str) -> bool:
    systems = {"linux": _LINUX, "darwin": (*_LINUX, "macosx")}
    if not system.startswith(systems.get(sys.platform, ("",))):
        return False
    if interpreter.startswith("py"):
        return True
    own = f"cp3{sys.version_info.minor}"
    return (interpreter == own and abi in {own, "none"}) or abi == "abi3"
