"""Shells on many hosts: one connection to each is kept, and one that does not answer delays no other.

asyncssh behind plain functions: its loop runs in a thread of its own, shared by all locations.
"""

import asyncio
import contextlib
import functools
import shlex
import socket
import threading
import time
import weakref
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from amasia.errors import AmasiaError, InvalidRequest, Unavailable
from amasia.providers.inventories import Host
from amasia.providers.ways import checked

CONNECT = 5.0
"""Seconds until a host has to let us in."""
KEEPALIVE = 5.0
"""Seconds between two questions to a host that says nothing; after two without an answer it is given up."""
RUN = 15.0
"""Seconds until it has to answer."""
FIRST, LONGEST = 1.0, 15.0
"""Seconds for which a host that did not answer is left alone: doubled each time, up to the longest."""
AT_ONCE = 6
"""Commands at the same time on one connection: a server's MaxSessions is 10."""


@dataclass(frozen=True)
class Trouble:
    """Why a host gave no answer."""

    error: AmasiaError
    sent: bool
    """Whether it may have begun what it was asked."""


Answer = str | Trouble


@dataclass
class _Link:
    host: Host
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    connection: asyncssh.SSHClientConnection | None = None
    trouble: AmasiaError | None = None
    failures: int = 0
    not_before: float = 0.0


class Shells:
    """Runs scripts on hosts.

    Parameters
    ----------
    key, passphrase
        The private key to be known by there; empty for the keys of the user who runs this process.
    known
        Directory for the public keys of hosts that were trusted on first use.
    private
        Whether hosts may be at private or loopback addresses.

    Raises
    ------
    InvalidRequest
        The key cannot be read.
    """

    def __init__(self, hosts: Iterable[Host], key: str, passphrase: str, known: Path, *, private: bool = False) -> None:
        self._known, self._private = known, private
        self._known.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys = [_read_key(key, passphrase)] if key else None
        self._links = {host.name: _Link(host) for host in hosts}
        self._close = weakref.finalize(self, _close, self._links)

    def run(self, host: str, script: str, *words: str) -> Answer:
        """What a POSIX shell says to a script with these arguments; one that ends with an error is a trouble."""
        return _wait(self._answer(self._links[host], script, words, force=False)).result()

    def run_all(
        self, scripts: Mapping[str, str], *words: str, patience: float = RUN, force: bool = False
    ) -> dict[str, Answer]:
        """The same on several hosts at once. Those that take longer than ``patience`` go on, and count as silent.

        Parameters
        ----------
        force
            Ask also those that did not answer a moment ago.
        """
        tasks = {name: self._answer(self._links[name], script, words, force=force) for name, script in scripts.items()}
        links = {name: self._links[name] for name in tasks}
        late = {
            name: Trouble(link.trouble or _silent(link.host, "no word yet"), sent=True) for name, link in links.items()
        }
        return late | _wait(_gather(tasks, patience)).result()

    def close(self) -> None:
        self._close()

    async def _answer(self, link: _Link, script: str, words: tuple[str, ...], *, force: bool) -> Answer:
        try:
            connection = await self._connected(link, force)
        except AmasiaError as error:
            return Trouble(error, sent=False)
        command = shlex.join(["/bin/sh", "-s", "--", *words])
        try:
            async with link.room:
                done = await connection.run(command, input=script, check=False, timeout=RUN, errors="replace")
        except (TimeoutError, asyncssh.Error, OSError) as error:
            silent = _silent(link.host, _said(error))
            if link.connection is connection:
                link.connection = None
                connection.abort()
                self._fail(link, silent)
            return Trouble(silent, sent=True)
        if done.exit_status != 0:
            told = str(done.stderr).strip().splitlines()[-1:] or [f"exit status {done.exit_status}"]
            return Trouble(Unavailable(f"The host {link.host.name!r} failed: {told[0][:300]}."), sent=True)
        return str(done.stdout)

    async def _connected(self, link: _Link, force: bool) -> asyncssh.SSHClientConnection:
        async with link.turn:
            if link.connection is not None and not link.connection.is_closed():
                return link.connection
            if link.trouble is not None and not force and time.monotonic() < link.not_before:
                raise link.trouble
            try:
                link.connection = await self._connect(link.host)
            except AmasiaError as error:
                self._fail(link, error)
                raise
            link.trouble, link.failures = None, 0
            return link.connection

    async def _connect(self, host: Host) -> asyncssh.SSHClientConnection:
        guard = _Guard(host, self._known / host.name)
        try:
            return await asyncio.wait_for(self._reach(host, guard), CONNECT)
        except asyncssh.HostKeyNotVerifiable as error:
            raise guard.refusal() from error
        except asyncssh.PermissionDenied as error:
            raise InvalidRequest(
                f"The host {host.name!r} refused the key for {host.user}@{host.address}.",
                cure="Append the public key to that user's ~/.ssh/authorized_keys, or give the right one: "
                '[secrets] key = "@path" in the inventory.',
            ) from error
        except (TimeoutError, asyncssh.Error, OSError) as error:
            raise _silent(host, _said(error)) from error

    async def _reach(self, host: Host, guard: "_Guard") -> asyncssh.SSHClientConnection:
        """By the first of its addresses that answers. Its name is looked up once: what was checked is dialled."""
        found = await asyncio.get_running_loop().getaddrinfo(host.address, host.port, type=socket.SOCK_STREAM)
        problem = OSError("its name has no address")
        for address in checked(f"host {host.name!r}", found, private=self._private):
            try:
                return await asyncssh.connect(
                    address,
                    host.port,
                    username=host.user,
                    client_factory=lambda: guard,
                    known_hosts=(guard.trusted, [], []),
                    client_keys=self._keys or (),
                    agent_path=None if self._keys else (),
                    preferred_auth="publickey",
                    config=None,
                    keepalive_interval=KEEPALIVE,
                    keepalive_count_max=2,
                )
            except OSError as error:
                problem = error
        raise problem

    @staticmethod
    def _fail(link: _Link, error: AmasiaError) -> None:
        link.trouble = error
        link.not_before = time.monotonic() + min(LONGEST, FIRST * 2**link.failures)
        link.failures = min(link.failures + 1, 10)


class _Guard(asyncssh.SSHClient):
    """Knows a host by its key: the one of the inventory, else the first that it showed."""

    def __init__(self, host: Host, kept: Path) -> None:
        self.host, self.kept = host, kept
        own = host.host_key or (kept.read_text() if kept.exists() else "")
        self.trusted = [_read_public(own, host)] if own else []

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        if self.trusted:
            return False
        with contextlib.suppress(FileExistsError), self.kept.open("x") as file:
            file.write(key.export_public_key().decode())
        return _read_public(self.kept.read_text(), self.host) == key

    def refusal(self) -> AmasiaError:
        name, address = self.host.name, self.host.address
        if self.host.host_key:
            return InvalidRequest(
                f"The host {name!r} at {address} shows another key than the one in the inventory: it was set up anew, "
                "or somebody stands in between.",
                cure=f"Compare with `cat /etc/ssh/ssh_host_*_key.pub` on {name} itself, and write its `host_key`.",
            )
        return InvalidRequest(
            f"The host {name!r} at {address} shows another key than at first: it was set up anew, or somebody stands "
            "in between.",
            cure=f"Compare with `cat /etc/ssh/ssh_host_*_key.pub` on {name} itself. If it is right, give it as "
            f"`host_key` in the inventory, or on the control plane's computer: rm {self.kept}",
        )


def _read_key(key: str, passphrase: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(key, passphrase or None)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        raise InvalidRequest(
            f"The private key of the location cannot be read ({error}).",
            cure='In the inventory: [secrets], then key = "@~/.ssh/id_ed25519" and, if need be, passphrase = "…".',
        ) from None


def _read_public(text: str, host: Host) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise InvalidRequest(
            f"The `host_key` of {host.name!r} cannot be read ({error}).",
            cure="It is a line of /etc/ssh/ssh_host_ed25519_key.pub on that host.",
        ) from None


def check_host_keys(hosts: Iterable[Host]) -> None:
    """Refuse an inventory with a public key that is none."""
    for host in hosts:
        if host.host_key:
            _read_public(host.host_key, host)


def _silent(host: Host, why: str) -> AmasiaError:
    return Unavailable(
        f"The host {host.name!r} at {host.address} does not answer ({why}).",
        cure=f"See whether it is on and can be reached: ssh -p {host.port} {host.user}@{host.address}",
    )


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no word within its time"
    return str(error) or type(error).__name__


async def _gather(tasks: Mapping[str, Coroutine[Any, Any, Answer]], patience: float) -> dict[str, Answer]:
    running = {name: asyncio.ensure_future(task) for name, task in tasks.items()}
    if running:
        await asyncio.wait(running.values(), timeout=patience)
    return {name: task.result() for name, task in running.items() if task.done()}


def _wait[T](task: Coroutine[Any, Any, T]) -> Future[T]:
    return asyncio.run_coroutine_threadsafe(task, _loop())


def _loop() -> asyncio.AbstractEventLoop:
    with _beginning:
        return _begun()


_beginning = threading.Lock()


@functools.cache
def _begun() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ssh", daemon=True).start()
    return loop


def _close(links: Mapping[str, _Link]) -> None:
    def close() -> None:
        for link in links.values():
            if link.connection is not None:
                link.connection.close()

    with contextlib.suppress(RuntimeError):
        _loop().call_soon_threadsafe(close)
