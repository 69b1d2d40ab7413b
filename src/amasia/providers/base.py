"""The contract of a provider: four repeatable verbs that return fast."""

from collections.abc import Sequence
from typing import Any, Protocol

from amasia.models.locations import Offer
from amasia.models.machines import Boot, Found, Machine


class Provider(Protocol):
    """Makes machines somewhere. Every verb may be repeated at any time, also after a crash half-way.

    Only `amasia.reconcilers.machines` calls a provider. `amasia.testing.providers.ProviderTests` is the contract as
    tests.
    """

    name: str

    def offers(self) -> Sequence[Offer]:
        """Machine types that can be had here, with prices in micro-units per hour."""
        ...

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        """Begin a machine, or find the earlier try with the same ``machine.id``; there is never a second one.

        Returns
        -------
        dict
            The handle: plain data that is kept with the machine.

        Raises
        ------
        TooLarge
            No machine of this type can ever be had here.
        Unavailable
            Not now; it is tried again.
        """
        ...

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        """What the provider knows of these machines, by id; of every machine that carries our tag for None.

        A machine that never existed, or is long gone and forgotten, is missing from the answer.
        """
        ...

    def stop(self, machine_id: str) -> None:
        """Begin to end a machine, with everything that runs on it. A machine that is gone or never was is no error.

        A start that is still under way for this id must not outlive it.
        """
        ...
