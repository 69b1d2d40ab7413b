"""Egress: what a cloud's own bill says that data cost on its way out of a machine or a bucket."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from amasia.models.base import Day, Model

MOST = 10**17
"""Micro-units of one bill; more is no money."""


def check_resource(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a resource's name has signs that cannot be printed")
    return value


Resource = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(check_resource)]
Amount = Annotated[int, Field(ge=0)]
"""A credit is none: it would make budgets larger than their limits."""


class EgressRequest(Model):
    """What leaves, as a bill tells it. Days and resources that were told before are replaced."""

    currency: str = Field(max_length=10)
    amounts: dict[Resource, dict[Day, Amount]]
    """Micro-units by day, of each resource: an instance's id or name, a bucket's name, a storage account."""

    @model_validator(mode="after")
    def bounded(self) -> "EgressRequest":
        if sum(amount for days in self.amounts.values() for amount in days.values()) > MOST:
            raise ValueError("so much is no money")
        return self


class EgressTaken(Model):
    """What of it is the workspace's own, and is in its bill from now on."""

    currency: str
    resources: int
    """How many."""
    amount: int
    """Micro-units, of all their days that were told."""
    change: int
    """How much more that is than what was known of those days before."""
    unknown: tuple[str, ...]
    """Resources that are no machine and no bucket of the workspace; nothing of them was taken."""
    passed: tuple[str, ...] = ()
    """Hard budgets that it took past their limits of today: nothing that they count starts or goes on."""
