"""Master keys: they wrap the keys in the database, and are kept elsewhere: in a file, the environment, or a KMS.

Those of a file or of the environment are ours, `Local`. A service for keys is a `Wraps`: one that is built in, or the
entry point ``amasia.masters`` of a package. A database's own is `Masters`: the newest wraps, and all of them unwrap.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from cryptography.fernet import Fernet

from amasia import errors, files
from amasia.settings import ServerSettings

GROUP = "amasia.masters"
BUILT_IN = {"aws": "amasia.database.aws_kms:AwsKms"}
"""Named, not imported: its library takes a part of a second, and only those need it who use it."""
LOCAL = "local"
MAKE = "openssl rand -base64 32 | tr '+/' '-_'"


class Wraps(Protocol):
    """A service that keeps a key which never leaves it.

    It is made with what stands behind its name in ``AMASIA_KMS``, and raises `errors.Unavailable` where it does not
    answer, or does not let us.
    """

    def wrap(self, key: bytes) -> str:
        """A key of the database's, encrypted; without line feeds."""

    def unwrap(self, wrapped: str) -> bytes:
        """What `wrap` was given."""


class Local:
    """Keys that this computer knows, the newest first, and the file that they are in, if they are in one.

    Before it is changed the file is read again: another hand may have put a key there. Several databases may have one
    file: beside it, in `_uses`, is what each of them needs, and no other's key is dropped.
    """

    def __init__(self, keys: Sequence[bytes], path: Path | None = None) -> None:
        self.keys, self.path = tuple(keys), path

    def wrap(self, key: bytes) -> str:
        newest = self.keys[0]
        return f"{fingerprint(newest)}:{Fernet(newest).encrypt(key).decode()}"

    def unwrap(self, wrapped: str) -> bytes:
        name, _, token = wrapped.partition(":")
        if self.path and name not in map(fingerprint, self.keys):
            self.keys = tuple(_read(self.path))  # another process of this control plane has renewed it
        for key in self.keys:
            if fingerprint(key) == name:
                return Fernet(key).decrypt(token)
        raise errors.Unavailable(
            f"Secrets are sealed by the master key {name}, and this control plane has {self._names()}.",
            cure="Give it back, below the newest one: in AMASIA_KEY_FILE, or in AMASIA_KEYS.",
        )

    def enter(self, database: str, names: Iterable[str] | None) -> None:
        """Say which keys of a file a database needs; None for the newest, which it is about to be written with."""
        if not self.path:
            return
        with suppress(OSError), _held(self.path):  # where nothing can be written, nothing is renewed either
            self.keys = tuple(_read(self.path))
            _use(self.path, database, [fingerprint(self.keys[0])] if names is None else names)

    def renew(self, database: str) -> None:
        """A new key before all others, where they are in a file; whoever keeps them elsewhere does that there."""
        if not self.path:
            return
        with self._changing(self.path):
            keys = (Fernet.generate_key(), *_read(self.path))
            _use(self.path, database, {fingerprint(keys[0]), *_uses(self.path).get(database, ())})
            self._write(self.path, keys)

    def keep(self, database: str, names: Iterable[str]) -> None:
        """Only the newest, those of these names, and those that other databases need, where they are in a file."""
        if not self.path:
            return
        with self._changing(self.path):
            _use(self.path, database, names)
            wanted = {name for needed in _uses(self.path).values() for name in needed}
            newest, *rest = _read(self.path)
            kept = [newest, *(key for key in rest if fingerprint(key) in wanted)]
            if len(kept) <= len(rest):
                self._write(self.path, kept)

    @contextmanager
    def _changing(self, path: Path) -> Iterator[None]:
        try:
            with _held(path):
                yield
        except OSError as error:
            raise errors.Unavailable(
                f"The master key cannot be changed: {path} cannot be written ({error.strerror}).",
                cure="Permit it; or put a new key before the old one there yourself, and restart the control plane.",
            ) from error

    def _write(self, path: Path, keys: Sequence[bytes]) -> None:
        files.write(path, "".join(f"{key.decode()}\n" for key in keys), private=True, durable=True)
        self.keys = tuple(keys)

    def _names(self) -> str:
        return ", ".join(fingerprint(key) for key in self.keys) or "none"


class Masters:
    """All that may have wrapped a key of a database: a KMS if there is one, which then wraps; and local keys."""

    def __init__(self, local: Local, kms: Wraps | None = None, name: str = "") -> None:
        self._local, self._kms, self._name = local, kms, name

    @property
    def kind(self) -> str:
        """What wraps: ``file``, ``environment``, or the name of a KMS."""
        return self._name or ("file" if self._local.path else "environment")

    @property
    def first(self) -> bytes:
        """The oldest local one, which databases of older versions are sealed with."""
        if not self._local.keys:
            raise errors.Unavailable(
                "This database is sealed with a key of its own file, and there is none here.",
                cure="Name that file: AMASIA_KEY_FILE.",
            )
        return self._local.keys[-1]

    def wrap(self, key: bytes) -> str:
        if self._kms:
            return f"{self._name}:{self._kms.wrap(key)}"
        return f"{LOCAL}:{self._local.wrap(key)}"

    def unwrap(self, wrapped: str) -> bytes:
        name, _, rest = wrapped.partition(":")
        if name == LOCAL:
            return self._local.unwrap(rest)
        if self._kms and name == self._name:
            return self._kms.unwrap(rest)
        raise errors.Unavailable(
            f"Secrets are sealed by a key that {name!r} keeps.", cure=f"Name it again: AMASIA_KMS={name}:…"
        )

    def enter(self, database: str, wrapped: Iterable[str] | None = None) -> None:
        """Say what a database needs to unwrap what it has; nothing yet where it is about to have it wrapped."""
        if self._local.keys and not (self._kms and wrapped is None):
            self._local.enter(database, None if wrapped is None else _names(wrapped))

    def renew(self, database: str) -> None:
        """Have a new key to wrap with, where that is ours to make; a KMS renews its own."""
        if not self._kms:
            self._local.renew(database)

    def keep(self, database: str, wrapped: Iterable[str]) -> None:
        """Forget local keys that none of these is wrapped with, but the newest, and what other databases need."""
        if self._local.keys:
            self._local.keep(database, _names(wrapped))


def open_masters(settings: ServerSettings) -> Masters:
    """As the settings say; the file in the home directory is made where nothing else is named.

    Raises
    ------
    InvalidRequest
        A key is none, or there is no such KMS.
    Unavailable
        The file cannot be read.
    """
    name, _, where = settings.kms.partition(":")
    kms = _load(name)(where) if name else None
    keys = settings.keys.get_secret_value().split()
    if keys:
        return Masters(Local([_checked(key, "AMASIA_KEYS") for key in keys]), kms, name)
    path = settings.key_file or settings.home / "key"
    if not path.exists() and (kms or settings.key_file):
        if kms and not settings.key_file:
            return Masters(Local([]), kms, name)
        raise errors.Unavailable(f"The file of keys {path} is not there.", cure=f"Make one: {MAKE} > {path}")
    if not path.exists():
        files.write(path, Fernet.generate_key().decode(), private=True, durable=True)
    return Masters(Local(_read(path), path), kms, name)


def _names(wrapped: Iterable[str]) -> list[str]:
    """Of the local keys that these were wrapped with."""
    return [one.split(":")[1] for one in wrapped if one.startswith(f"{LOCAL}:")]


def _users(path: Path) -> Path:
    """Beside a file of keys: of each database that needs some, a line with their names and what it is called."""
    return path.with_name(path.name + ".databases")


def _uses(path: Path) -> dict[str, list[str]]:
    if not _users(path).exists():
        return {}
    try:
        lines = [line.split(" ", 1) for line in _users(path).read_text().splitlines()]
        found = {database: names.split(",") for names, database in lines}
        bytes.fromhex("".join(name for names in found.values() for name in names))  # as `fingerprint` writes them
        return found
    except (OSError, ValueError) as error:  # UnicodeDecodeError is one
        raise errors.Unavailable(
            f"{_users(path)} is no list of the databases that use {path} ({error}).",
            cure="Stop every control plane that uses that file of keys, remove the list, and start them again.",
        ) from None


def _use(path: Path, database: str, names: Iterable[str]) -> None:
    before, needed = _uses(path), sorted(set(names))
    after = {name: kept for name, kept in before.items() if name != database} | ({database: needed} if needed else {})
    if after != before:
        files.write(
            _users(path),
            "".join(f"{','.join(kept)} {name}\n" for name, kept in after.items()),
            private=True,
            durable=True,
        )


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """One process at a time changes a file of keys."""
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint(key: bytes) -> str:
    """What a master key is called, which tells nothing of it."""
    return hashlib.sha256(key).hexdigest()[:12]


def _read(path: Path) -> list[bytes]:
    try:
        lines = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Unavailable(
            f"The file of keys {path} cannot be read ({error}).", cure="Let the control plane's user read it."
        ) from None
    if not lines:
        raise errors.InvalidRequest(f"The file of keys {path} is empty.", cure=f"Put one there: {MAKE} > {path}")
    return [_checked(line, str(path)) for line in lines]


def _checked(key: str, where: str) -> bytes:
    try:
        Fernet(key)
    except ValueError:
        raise errors.InvalidRequest(
            f"{where} holds something that is no key: one is 32 random bytes in URL-safe base64.",
            cure=f"Make one: {MAKE}",
        ) from None
    return key.encode()


def _load(name: str) -> Callable[[str], Wraps]:
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if name in BUILT_IN:
        points = [EntryPoint(name, BUILT_IN[name], GROUP)]
    if not points:
        names = ", ".join(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))
        raise errors.InvalidRequest(f"AMASIA_KMS names {name!r}, and there is no such KMS.", cure=f"One of: {names}.")
    try:
        made: Callable[[str], Wraps] = points[0].load()
    except ImportError as error:
        raise errors.InvalidRequest(
            f"The KMS {name!r} cannot be loaded ({error}).", cure=f"Repair {points[0].value}."
        ) from error
    return made
