"""Build a captured environment on a machine.

Directories under the cache::

    uv/                          uv's own cache, on the same file system, so that installing is hard links
    artifacts/<sha256>/          wheels and zips, verified
    bases/<base hash>/           a virtual environment of the index packages
    environments/<hash>/         one with the local wheels, that finds the base's packages too; loose code
    locks/                       one file lock per hash

A base is shared by all environments that differ in local code only, with the bytecode that its first imports left: an
edited package costs one small virtual environment, and no compiling of what did not change. Each try works in a
directory of its own and ``ready.json``, renamed into place last, points to the one that ended well. So neither a build
that was killed nor a uv process that outlived it can spoil the next.
"""

import hashlib
import json
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from amasia.environments import archives, commands
from amasia.errors import EnvironmentFailed
from amasia.models.environments import Artifact, Environment


def _silent(message: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Built:
    """An environment that is ready to run.

    Attributes
    ----------
    python
        Its interpreter.
    code
        Directory of loose code, to be put first on ``PYTHONPATH``; None if there is none.
    seconds
        What each stage of its build took: ``base``, ``fetch``, ``wheels``, ``code``. Of the build that made it, also
        when nothing was left to do.
    notices
        Sentences for the user, such as that the Python is another patch version.
    fresh
        Whether this call built it.
    """

    python: Path
    code: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    fresh: bool = False


def build(
    environment: Environment,
    fetch: Callable[[Artifact], bytes],
    cache: Path,
    *,
    uv_cache: Path | None = None,
    progress: Callable[[str], None] = _silent,
) -> Built:
    """Make a captured environment on this machine, or find it made.

    May be called by many processes at once; one builds and the others wait for it. An environment that is ready is
    found without starting a process, in about a millisecond.

    Parameters
    ----------
    environment
        As captured.
    fetch
        Gives the bytes of an artifact; called only for those that are not in the cache.
    cache
        Directory of all that is built; made if missing. Best on a disk with room for the packages twice.
    uv_cache
        Cache directory of uv on the same file system; None for ``cache/uv``.
    progress
        Called with a short phrase before each step that takes longer than a moment.

    Returns
    -------
    Built

    Raises
    ------
    EnvironmentFailed
        No fitting Python is here, a package cannot be installed, an artifact is not what its hash says, or the disk
        is full. Nothing half made is ever used.
    """
    cache = cache.resolve()
    home = cache / "environments" / environment.hash
    ready = _ready(home)
    if ready:
        return ready
    builder = _Builder(environment, fetch, cache, uv_cache or cache / "uv", progress)
    try:
        with _alone(cache, environment.hash, progress):
            return _ready(home) or builder.environment(home)
    except OSError as error:
        commands.check_space(error, _existing(cache))
        raise EnvironmentFailed(
            f"The environment could not be built in {cache}: {error}.",
            cure="Is that directory writable for the user who runs this?",
        ) from error


@dataclass(frozen=True)
class _Builder:
    wanted: Environment
    fetch: Callable[[Artifact], bytes]
    cache: Path
    uv_cache: Path
    progress: Callable[[str], None]

    def environment(self, home: Path) -> Built:
        seconds: dict[str, float] = {}
        with _timed(seconds, "base"):
            base = self._base()
        with _timed(seconds, "fetch"):
            files = {one.sha256: self._artifact(one) for one in self.wanted.artifacts()}
        target = _fresh(home)
        python = base.python
        with _timed(seconds, "wheels"):
            if self.wanted.wheels:
                python = self._derived(base, target, [files[one.sha256] for one in self.wanted.wheels])
        code = None
        with _timed(seconds, "code"):
            if self.wanted.code:
                code = target / "code"
                archives.unpack(files[self.wanted.code.sha256].read_bytes(), code)
        return _finish(home, Built(python, code, seconds, base.notices, fresh=True), base.python)

    def _base(self) -> Built:
        home = self.cache / "bases" / self.wanted.base_hash
        ready = _ready(home)
        if ready:
            return ready
        with _alone(self.cache, self.wanted.base_hash, self.progress):
            return _ready(home) or self._build_base(home)

    def _build_base(self, home: Path) -> Built:
        target = _fresh(home)
        interpreter, notices = self._interpreter(target)
        self.progress("installing packages")
        python = self._venv(target / "venv", interpreter)
        lock = target / "pylock.toml"
        lock.write_text(self.wanted.pylock)
        self._uv("pip", "sync", "--allow-empty-requirements", "--python", python, lock, cwd=target, network=True)
        return _finish(home, Built(python, None, {}, notices, fresh=True))

    def _derived(self, base: Built, target: Path, local: list[Path]) -> Path:
        self.progress(f"installing {len(local)} local packages")
        python = self._venv(target / "venv", str(base.python))
        self._uv("pip", "install", "--no-deps", "--no-index", "--python", python, *local, cwd=target)
        below, above = _site(base.python), _site(python)
        # Not a plain path: the base has .pth files of its own, which `addsitedir` reads and a plain path would not.
        (above / "_amasia_base.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")
        for name in ("share", "etc"):
            shared, own = base.python.parents[1] / name, python.parents[1] / name
            if shared.exists() and not own.exists():
                own.symlink_to(shared)
        return python

    def _venv(self, path: Path, interpreter: str) -> Path:
        self._uv("venv", "--no-project", "--python", interpreter, path, cwd=path.parent)
        return path / "bin" / "python"

    def _interpreter(self, directory: Path) -> tuple[str, tuple[str, ...]]:
        """A Python of the wished version, or of another patch of the same minor version, with a notice."""
        wanted = self.wanted.python
        minor = ".".join(wanted.split(".")[:2])
        own = platform.python_version()
        if own == wanted:
            return sys.executable, ()
        exact = self._find(wanted, directory)
        if exact:
            return exact, ()
        if own.startswith(f"{minor}."):
            return sys.executable, (_other_patch(wanted, own),)
        near = self._find(minor, directory)
        if not near:
            self.progress(f"looking for Python {minor}")
            commands.run("python", "install", "--no-bin", minor, "--cache-dir", self.uv_cache, cwd=directory)
            near = self._find(minor, directory)
        if near:
            return near, (_other_patch(wanted, f"another {minor}"),)
        raise EnvironmentFailed(
            f"The environment needs Python {wanted}; this machine has {own}, and no other {minor} could be had.",
            cure=f"Install Python {minor} on the machine (uv python install {minor}), or use {own} on the client.",
            wanted=wanted,
            found=own,
        )

    def _find(self, version: str, directory: Path) -> str:
        arguments = ("python", "find", "--no-project", "--no-python-downloads", "--offline", version)
        done = commands.run(*arguments, cwd=directory)
        return "" if done.failed else done.output.strip()

    def _artifact(self, one: Artifact) -> Path:
        path = archives.place(self.cache, one)
        if path.is_file() and _same(path.read_bytes(), one):
            return path
        self.progress(f"fetching {one.filename}")
        content = self.fetch(one)
        if not _same(content, one):
            raise EnvironmentFailed(
                f"{one.filename} is not what was captured: expected {one.size} bytes with SHA-256 {one.sha256[:12]}…, "
                f"got {len(content)} bytes with {hashlib.sha256(content).hexdigest()[:12]}….",
                cure="Start again from the client, which sends it anew.",
            )
        archives.write_whole(path, content)
        return path

    def _uv(self, *arguments: str | Path, cwd: Path, network: bool = False) -> None:
        words = (*arguments, "--quiet", "--cache-dir", self.uv_cache)
        done = commands.run_offline_first(*words, cwd=cwd) if network else commands.run(*words, "--offline", cwd=cwd)
        if not done.failed:
            return
        commands.check_space(done, _existing(self.cache))
        raise EnvironmentFailed(
            f"uv could not build the environment on this machine ({arguments[0]} {arguments[1]}):\n{done.tail}\n",
            cure="If a download failed, is the package index reachable from the machine? If a package cannot be "
            "installed on it, replace it in the client's environment.",
        )


def _ready(home: Path) -> Built | None:
    """What an earlier build left, if it ended well and what it stands on is still there."""
    try:
        saved = json.loads((home / "ready.json").read_bytes())
        python, code = Path(saved["python"]), Path(saved["code"]) if saved["code"] else None
        notices, base = tuple(saved["notices"]), Path(saved["base"])
    except (OSError, ValueError, KeyError):
        return None
    if not python.exists() or not base.exists() or (code and not code.is_dir()):
        return None
    return Built(python, code, saved["seconds"], notices)


def _finish(home: Path, built: Built, base: Path | None = None) -> Built:
    saved = asdict(built) | {"base": base or built.python}
    archives.write_whole(home / "ready.json", json.dumps(saved, default=str).encode())
    return built


def _fresh(home: Path) -> Path:
    """An empty directory for this try; what earlier ones left is removed."""
    shutil.rmtree(home, ignore_errors=True)
    target = home / secrets.token_hex(4)
    target.mkdir(parents=True)
    return target


@contextmanager
def _alone(cache: Path, name: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a hash; the system lets go of it if this process is killed."""
    path = cache / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress("waiting for the same environment, which is being built")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _same(content: bytes, one: Artifact) -> bool:
    return len(content) == one.size and hashlib.sha256(content).hexdigest() == one.sha256


def _site(python: Path) -> Path:
    return next((python.parents[1] / "lib").glob("python*/site-packages"))


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _other_patch(wanted: str, found: str) -> str:
    return f"Python is {wanted} on the client and {found} on the machine; that patch version was not to be had."


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)
