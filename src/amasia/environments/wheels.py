"""Wheels of what no package index has: built from source, or packed from the installed files.

A wheel's version carries the hash of its contents as local segment (`versions.stamp`) and its bytes depend on its
contents only. So the same contents give the same environment everywhere, and other contents another.
"""

import base64
import csv
import hashlib
import importlib.metadata
import io
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from amasia.environments import archives, commands, sources
from amasia.environments.archives import File
from amasia.environments.inventory import Installed, Origin
from amasia.environments.versions import stamp, without_stamp
from amasia.errors import EnvironmentFailed
from amasia.models.environments import Artifact

MOST = 200 << 20
"""Bytes of installed files up to which a package is packed."""
_OWN = {
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "RECORD.jws",
    "RECORD.p7s",
    "uv_cache.json",
    "uv_build.json",
}
"""Files of a metadata directory that the installer wrote, or that name hashes which no longer hold."""


def wheel(one: Installed, cache: Path, progress: Callable[[str], None]) -> Artifact:
    """The wheel of an installed package, kept in `cache`; made only if its contents changed since the last time."""
    key = _key(one)
    note = cache / "wheels" / f"{one.name}-{key[:32]}.json"
    try:
        known = Artifact.model_validate_json(note.read_bytes())
        if archives.place(cache, known).stat().st_size == known.size:
            return known
    except (OSError, ValueError):
        pass
    filename, content = _made(one, progress)
    made = archives.artifact(filename, content)
    archives.keep(cache, made, lambda: content)
    archives.write_whole(note, made.model_dump_json().encode())
    return made


def top_level(path: Path) -> set[str]:
    """Names that a wheel makes importable."""
    with zipfile.ZipFile(path) as archive:
        firsts = {name.split("/")[0] for name in archive.namelist()}
    return {first.split(".")[0] for first in firsts if not first.endswith((".dist-info", ".data"))}


def check_packable(one: Installed) -> None:
    """Raise `EnvironmentFailed` if `wheel` could not pack this package from its installed files."""
    size = sum(path.stat().st_size for _, path in _recorded(one))
    if size > MOST:
        raise EnvironmentFailed(
            f"{one.name} {one.version} is on no package index that uv knows, and with {size >> 20} MiB it is too "
            f"large to be sent from here (at most {MOST >> 20} MiB).",
            cure="Name the index that it came from, in UV_INDEX or in uv.toml.",
        )


def _key(one: Installed) -> str:
    if one.origin is Origin.editable and one.project:
        return sources.content_hash(one.project)
    total = hashlib.sha256(str(one.path).encode())
    for name, path in _recorded(one):
        state = path.stat()
        total.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return total.hexdigest()


def _made(one: Installed, progress: Callable[[str], None]) -> tuple[str, bytes]:
    if one.origin is Origin.editable and one.project:
        progress(f"building a wheel of {one.name} from {one.project}")
        return _stamped(*_built(one, one.project))
    progress(f"packing {one.name} {one.version} as it is installed")
    check_packable(one)
    return _stamped(*_packed(one))


def _built(one: Installed, project: Path) -> tuple[str, dict[str, File]]:
    """The filename and contents of a wheel built from source."""
    with tempfile.TemporaryDirectory(prefix="amasia-wheel-") as target:
        arguments = ("build", "--wheel", "--python", sys.executable, "--out-dir", target, project)
        done = commands.run_offline_first(*arguments, cwd=project)
        made = sorted(Path(target).glob("*.whl"))
        if done.failed or not made:
            commands.check_space(done, Path(target))
            raise EnvironmentFailed(
                f"The local package {one.name} could not be built into a wheel from {project}:\n{done.tail}\n",
                cure=f"See it whole with: uv build --wheel {project}",
            )
        return made[0].name, archives.contents(made[0])


def _packed(one: Installed) -> tuple[str, dict[str, File]]:
    """The filename and contents of a wheel made from installed files: exactly what runs here."""
    stem = one.path.name.removesuffix(".dist-info")
    scripts = {entry.name for entry in importlib.metadata.PathDistribution(one.path).entry_points}
    files: dict[str, File] = {}
    for name, path in _recorded(one):
        target = _target(name, path, one, stem)
        script = target.startswith(f"{stem}.data/scripts/")
        if not target or (script and path.name in scripts):
            continue
        data = path.read_bytes()
        if script:
            data = re.sub(rb"\A#![^\n]*python[^\n]*", b"#!python", data)
        files[target] = File(data, os.access(path, os.X_OK))
    return f"{stem}-{_tags(one)}.whl", files


def _target(name: str, path: Path, one: Installed, stem: str) -> str:
    """Where an installed file belongs in a wheel; empty for one outside of the environment."""
    if not name.startswith("../"):
        return name
    prefix = one.path.parents[3]  # <prefix>/lib/pythonX.Y/site-packages/<metadata directory>
    if not path.resolve().is_relative_to(prefix.resolve()):
        return ""
    inside = path.resolve().relative_to(prefix.resolve())
    if inside.parts[0] == "bin":
        return f"{stem}.data/scripts/{inside.name}"
    return f"{stem}.data/data/{inside.as_posix()}"


def _recorded(one: Installed) -> Iterator[tuple[str, Path]]:
    """Name in RECORD and path of each installed file that belongs into a wheel."""
    try:
        rows = list(csv.reader((one.path / "RECORD").read_text().splitlines()))
    except OSError as error:
        raise EnvironmentFailed(
            f"{one.name} {one.version} is on no package index that uv knows, and {one.path} has no list of its files "
            "(it may belong to the operating system), so it cannot be taken along.",
            cure=f"Work in a virtual environment (uv venv), or install it there from its source: {one.name}",
        ) from error
    for row in rows:
        name = row[0]
        path = one.path.parent / name
        if Path(name).is_absolute() or name.endswith(".pyc") or (path.parent == one.path and path.name in _OWN):
            continue
        if not path.is_file():
            raise EnvironmentFailed(
                f"The installed package {one.name} {one.version} is broken: its file {path} is missing.",
                cure=f"Install it again: uv pip install --reinstall {one.name}",
            )
        yield name, path


def _tags(one: Installed) -> str:
    try:
        text = (one.path / "WHEEL").read_text()
    except OSError:
        text = ""
    tags = [line.partition(":")[2].strip().split("-") for line in text.splitlines() if line.startswith("Tag:")]
    if not tags:
        raise EnvironmentFailed(
            f"{one.name} {one.version} was not installed from a wheel, so it cannot be taken along.",
            cure=f"Install it again: uv pip install --reinstall {one.name}",
        )
    return "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))


def _stamped(filename: str, files: dict[str, File]) -> tuple[str, bytes]:
    """The same wheel with its content hash in its version, and its bytes a function of its contents."""
    name, version, tags = filename.removesuffix(".whl").split("-", 2)
    metadata = next(path for path in files if re.fullmatch(r"[^/]+\.dist-info/METADATA", path))
    stem = metadata.removesuffix(".dist-info/METADATA")
    plain = _renamed(files, stem, name, without_stamp(version))
    total = hashlib.sha256()
    for path in sorted(plain):
        total.update(path.encode() + b"\0" + hashlib.sha256(plain[path].data).digest())
    final = stamp(without_stamp(version), total.hexdigest())
    stamped = _renamed(plain, f"{name}-{without_stamp(version)}", name, final)
    record = f"{name}-{final}.dist-info/RECORD"
    stamped[record] = File(_record(stamped, record))
    return f"{name}-{final}-{tags}.whl", archives.pack(stamped)


def _renamed(files: dict[str, File], stem: str, name: str, version: str) -> dict[str, File]:
    """The files of a wheel under another version, without what an installer wrote."""
    renamed = {}
    for path, file in files.items():
        first, _, rest = path.partition("/")
        if first == f"{stem}.dist-info" and rest in _OWN:
            continue
        versioned = first in {f"{stem}.dist-info", f"{stem}.data"}
        renamed[f"{name}-{version}{first.removeprefix(stem)}/{rest}" if versioned else path] = file
    metadata = f"{name}-{version}.dist-info/METADATA"
    text = re.sub(rb"(?m)^Version:[^\r\n]*", f"Version: {version}".encode(), renamed[metadata].data, count=1)
    return renamed | {metadata: File(text)}


def _record(files: dict[str, File], own: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for path in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[path].data).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"sha256={digest}", len(files[path].data)])
    writer.writerow([own, "", ""])
    return out.getvalue().encode()
