"""Differences between snapshots: what the control plane knows of each commit, and how a notebook shows them."""

from amasia.client import grids
from amasia.client.repositories import path
from amasia.client.transport import connect
from amasia.models.base import split_repository
from amasia.models.diffs import Diff


class Difference(Diff):
    """A difference as people look at it: printed as words, shown in a notebook with a picture."""

    @classmethod
    def of(cls, diff: Diff, repository: str) -> "Difference":
        return cls.model_validate({**diff.__dict__, "repository": repository})

    def __str__(self) -> str:
        return "\n".join(self.words) or "Nothing differs."

    @property
    def svg(self) -> str:
        """A self-contained picture of the chunks that changed."""
        return grids.svg(self)

    def _repr_html_(self) -> str:
        return grids.html(self)


def get(name: str, snapshot: str) -> Difference:
    """What a commit changed since its parent, as the control plane has it; no store is opened.

    Raises
    ------
    NotFound
        No such commit, or it is not yet compared: that takes a few seconds.
    """
    where = f"{path(*split_repository(name))}/commits/{snapshot}/changes"
    return Difference.of(connect().get(where, Diff), name)
