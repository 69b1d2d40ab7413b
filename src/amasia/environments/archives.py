"""Zip files whose bytes depend on nothing but names and contents, and files kept under their hash."""

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from amasia import files
from amasia.errors import EnvironmentFailed
from amasia.models.environments import Artifact

_THEN = (1980, 1, 1, 0, 0, 0)
_AGAIN = "Start again from the client; if it stays so, clear the cache directory of Amasia there."
_MOST = 64 << 20
"""Bytes that a zip of loose code may unpack to."""


class File(NamedTuple):
    """A file in an archive."""

    data: bytes
    executable: bool = False


def pack(files: Mapping[str, File]) -> bytes:
    """A zip of these files: sorted, one fixed time, no metadata but whether one may be executed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _THEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | (0o755 if files[name].executable else 0o644)) << 16
            archive.writestr(info, files[name].data)
    return buffer.getvalue()


def contents(path: Path) -> dict[str, File]:
    """The files of a zip that was made here."""
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        return {
            member.filename: File(archive.read(member), bool(member.external_attr >> 16 & stat.S_IXUSR))
            for member in members
        }


def unpack(content: bytes, target: Path) -> None:
    """Unpack a zip of loose code; refuses names that lead out of the target, links, and bombs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive.infolist())
            archive.extractall(target)
    except zipfile.BadZipFile as error:
        raise EnvironmentFailed(f"The archive of loose code is no zip file ({error}).", cure=_AGAIN) from error


def _check(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        path = PurePosixPath(member.filename)
        link = stat.S_ISLNK(member.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0] or link:
            raise EnvironmentFailed(
                f"The archive of loose code holds {member.filename!r}, which leads out of its directory; "
                "nothing was unpacked.",
                cure=_AGAIN,
            )
    size = sum(member.file_size for member in members)
    if size > _MOST:
        raise EnvironmentFailed(
            f"The archive of loose code would unpack to {size:,} bytes; at most {_MOST:,} are accepted.", cure=_AGAIN
        )


def artifact(filename: str, content: bytes) -> Artifact:
    return Artifact(filename=filename, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def place(cache: Path, one: Artifact) -> Path:
    """Where an artifact is kept: its hash is in the path, so a cache by path can never mistake it."""
    return cache / "artifacts" / one.sha256 / one.filename


def keep(cache: Path, one: Artifact, content: Callable[[], bytes]) -> Path:
    """The file of an artifact, written first if it is not there."""
    path = place(cache, one)
    if not path.is_file() or path.stat().st_size != one.size:
        write_whole(path, content())
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, content)
