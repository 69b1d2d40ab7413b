"""The contract of a provider: four repeatable verbs that return fast, and small extras for those that have them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from amasia.models.locations import Finding, Offer, Place
from amasia.models.machines import Boot, Found, Machine


class Provider(Protocol):
    """Makes machines at one location. Every verb may be repeated at any time, also after a crash half-way.

    Only reconcilers call a provider, from several threads. `amasia.testing.providers.ProviderTests` is the contract as
    tests.
    """

    name: str

    def offers(self) -> Sequence[Offer]:
        """Machine types that can be had here, with prices in micro-units per hour.

        Raises
        ------
        Unavailable
            Whoever knows them does not answer.
        """
        ...

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        """Begin a machine, or find the earlier try with the same ``machine.id``; there is never a second one.

        Where ``machine.machine_type`` cannot be had just now, one of ``machine.alternatives`` may be taken, which cost
        no more.

        Returns
        -------
        dict
            The handle: plain data that is kept with the machine. The keys ``machine_type``, ``zone`` and ``spot``,
            where it has them, say what was made in the end.

        Raises
        ------
        InvalidRequest
            This can never be had here (`TooLarge`, a type that the region does not have, a key that is refused).
        Unavailable
            Not now; it is tried again.
        """
        ...

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        """What the provider knows of these machines, by id; of every machine that carries our tag for None.

        A machine that never existed, or is long gone and forgotten, is missing from the answer.

        Raises
        ------
        Unavailable
            Nobody can tell just now: that is no word on any machine.
        """
        ...

    def stop(self, machine_id: str) -> None:
        """Begin to end a machine, with everything that runs on it. A machine that is gone or never was is no error.

        A start that is still under way for this id must not outlive it.
        """
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """Can say what is missing before anything is started."""

    def check(self) -> Sequence[Finding]:
        """Everything that was looked at. What is wrong with the subject of the location's own name forbids its use;
        what is wrong with another subject (a host, a partition) only that one's."""
        ...


@runtime_checkable
class SupportsConsole(Protocol):
    """Keeps what a machine printed before it joined."""

    def console(self, machine: Machine) -> str:
        """The last lines of it, or why it never began; empty where nothing is known."""
        ...


@runtime_checkable
class SupportsStrays(Protocol):
    """Can see what was asked for here and lost its marks, so that no sweep by tag finds it."""

    def strays(self) -> Sequence[Finding]:
        """One finding for each, with how to end it: it may be somebody else's after all."""
        ...


Open = Callable[[Place], Provider]
"""What a provider is registered as: a location in, the provider for it out.

Raises `InvalidRequest` where options or secrets are missing or wrong.
"""
