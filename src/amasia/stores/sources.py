"""Where files are: paths, globs, and URLs of object stores and web servers."""

import hashlib
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec

from amasia import errors

_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PIECE = 1 << 20


def expand(patterns: Iterable[str | Path]) -> list[str]:
    """Paths and URLs that patterns stand for, each once: patterns in the order given, matches by name.

    Raises
    ------
    NotFound
        A pattern that matches nothing.
    """
    found: dict[str, None] = {}
    for pattern in map(str, patterns):
        matches = _matches(pattern)
        if not matches:
            raise errors.NotFound(
                f"Nothing matches {pattern!r}.",
                cure="Check the path; quote the pattern if the shell must not expand it.",
            )
        found |= dict.fromkeys(matches)
    return list(found)


def is_remote(source: str) -> bool:
    return bool(_REMOTE.match(source)) and not source.startswith("file://")


def local(source: str) -> Path:
    """The path that a path or a ``file://`` URL means; a URL may have percent signs for what is odd in it."""
    if not source.startswith("file://"):
        return Path(source)
    path = source.removeprefix("file://")
    return Path(path) if Path(path).exists() else Path(unquote(path))


@contextmanager
def at_hand(source: str) -> Iterator[Path]:
    """A path on this computer; what is elsewhere is copied, and the copy removed at the end."""
    if not is_remote(source):
        yield local(source)
        return
    with tempfile.TemporaryDirectory(prefix="amasia-source-") as folder:
        copy = Path(folder) / source.rstrip("/").rpartition("/")[2]
        system, path = _system(source)
        try:
            _copy(system, path, copy)
        except Exception as error:
            raise _unreachable(source, error) from error
        yield copy


def changed(source: str) -> datetime:
    """When a file was last changed, or the newest of the files in a directory.

    Raises
    ------
    NotFound, Unavailable
    """
    if not is_remote(source):
        path = local(source)
        files = path.rglob("*") if path.is_dir() else [path]
        try:
            latest = max((file.stat().st_mtime for file in files if file.is_file()), default=path.stat().st_mtime)
        except FileNotFoundError as error:
            raise errors.NotFound(f"There is no file {path}.", cure="Check its path.") from error
        return datetime.fromtimestamp(math.ceil(latest), UTC)
    system, path_there = _system(source)
    try:
        info = system.info(path_there)
        found = system.find(path_there, detail=True).values() if info["type"] == "directory" else [info]
        return max(_stamp(one) for one in found)
    except Exception as error:
        raise _unreachable(source, error) from error


def s3_settings() -> dict[str, str]:
    """Endpoint and region of S3 as the environment names them, for what is not in the bucket of a repository."""
    names = {
        "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    }
    found = {
        key: next((os.environ[name] for name in known if os.environ.get(name)), "") for key, known in names.items()
    }
    return {key: value for key, value in found.items() if value}


def digest(path: Path) -> str:
    """SHA-256 of a file's content; of a directory, that of the names and contents of all files in it."""
    total = hashlib.sha256()
    if not path.is_dir():
        _feed(total, path)
        return total.hexdigest()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        _feed(total, file)
    return total.hexdigest()


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts ``file2`` before ``file10``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _matches(pattern: str) -> list[str]:
    if is_remote(pattern):
        if not has_magic(pattern):
            return [pattern]
        system, path = _system(pattern)
        try:
            return [system.unstrip_protocol(one) for one in sorted(system.glob(path), key=natural)]
        except Exception as error:
            raise _unreachable(pattern, error) from error
    path = str(local(pattern))
    if not has_magic(path) or Path(path).exists():
        return [path]
    return sorted(glob(path, recursive=True), key=natural)


def _system(source: str) -> tuple[Any, str]:
    """The file system of a URL. S3, GCS, Azure and HTTP go by obstore, with the credentials of the environment."""
    try:
        import obstore.fsspec  # noqa: PLC0415  only for what is not on this computer

        protocol = source.partition("://")[0]
        if protocol in {"s3", "gs", "gcs", "az", "abfs", "abfss", "http", "https"}:
            obstore.fsspec.register(protocol, asynchronous=False)
        system, path = fsspec.url_to_fs(source)
    except (ImportError, ValueError, OSError) as error:
        raise _unreachable(source, error) from error
    return system, str(path)


def _copy(system: Any, path: str, copy: Path) -> None:
    """A file, or all files below a directory."""
    if not system.isdir(path):
        system.get_file(path, str(copy))
        return
    for name in system.find(path):
        file = copy / name.removeprefix(path).lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(name, str(file))


def _stamp(info: Mapping[str, Any]) -> datetime:
    """Web servers may not say when a file was changed: it was before now."""
    found: datetime = info.get("last_modified") or info.get("LastModified") or datetime.now(UTC)
    return found


def _unreachable(source: str, error: Exception) -> errors.AmasiaError:
    kind = errors.NotFound if isinstance(error, FileNotFoundError) else errors.Unavailable
    said = str(error).partition("\n")[0][:200]
    return kind(
        f"{source} cannot be read ({type(error).__name__}: {said}).",
        cure="Check the address, and the credentials in the environment (such as AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL).",
    )


def _feed(total: Any, path: Path) -> None:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                total.update(piece)
    except FileNotFoundError as error:
        raise errors.NotFound(f"There is no file {path}.", cure="Check its path.") from error
    except OSError as error:
        raise errors.DataRejected(f"{path} cannot be read ({error.strerror}).", cure="May you read it?") from error
