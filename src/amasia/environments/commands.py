"""The one place that starts uv."""

import errno
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import uv

from amasia.errors import EnvironmentFailed

_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    output: str
    errors: str

    @property
    def failed(self) -> bool:
        return self.code != 0

    @property
    def tail(self) -> str:
        """The last lines that uv said, for an error message."""
        return "\n".join(self.errors.strip().splitlines()[-12:])


def run(*arguments: str | Path, cwd: Path | None = None, text: str = "") -> Finished:
    """Run uv to its end with `text` on its standard input; a failure is in the answer, not raised."""
    command = [_uv(), "--no-progress", "--color", "never", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def run_offline_first(*arguments: str | Path, cwd: Path | None = None, text: str = "") -> Finished:
    """Run uv from its cache alone, which is fast and needs no network; only if that fails, with the network."""
    done = run(*arguments, "--offline", cwd=cwd, text=text)
    return run(*arguments, cwd=cwd, text=text) if done.failed else done


def shared_cache(beside: Path) -> Path | None:
    """The cache of uv's own choice, if it is on the file system of ``beside``: then installing is hard links."""
    found = Path(run("cache", "dir").output.strip())
    try:
        found.mkdir(parents=True, exist_ok=True)
        return found if found.stat().st_dev == beside.stat().st_dev else None
    except OSError:
        return None


def check_space(failure: OSError | Finished, path: Path) -> None:
    """Raise the error of a full disk if that is what happened; return otherwise."""
    if isinstance(failure, OSError):
        full = failure.errno in (errno.ENOSPC, errno.EDQUOT)
    else:
        full = any(sign in failure.errors for sign in _FULL)
    if not full:
        return
    free = shutil.disk_usage(path).free
    raise EnvironmentFailed(
        f"The disk that holds {path} is full: {free:,} bytes are free, and the environment needs more.",
        cure="Make room there, or choose a cache directory on a larger disk.",
        path=str(path),
        free=free,
    )


def _uv() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise EnvironmentFailed(
            "The uv program, which locks and builds environments, is not beside this Python.",
            cure="Install it here: python -m pip install uv",
        ) from error
