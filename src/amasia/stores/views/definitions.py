"""What a view is: a function from a dataset to a dataset, and the dimension along which its source grows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amasia import errors
from amasia.models.views import ViewKind

type Depends = Callable[[int, int], tuple[int, int]]
"""From output rows [start, stop) to the input rows that they depend on."""


@dataclass(frozen=True)
class Definition:
    """A view, as its author wrote it; `define` makes one. It travels by cloudpickle."""

    function: Callable[[Any], Any]
    along: str
    kind: ViewKind | None = None
    source_group: str = "/"
    target_group: str = "/"
    chunks: Mapping[str, int] | None = None
    """Stored chunk lengths of the target, by dimension; others are chosen."""
    halo: tuple[int, int] | None = None
    depends: Depends | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "view")

    @property
    def declared(self) -> bool:
        """Whether its author says what depends on what, so that nothing has to be recognised."""
        return self.halo is not None or self.depends is not None


def define(
    function: Callable[[Any], Any],
    *,
    along: str,
    kind: ViewKind | None = None,
    source_group: str = "/",
    target_group: str = "/",
    chunks: Mapping[str, int] | None = None,
    **declared: Any,
) -> Definition:
    """Describe a view.

    Parameters
    ----------
    function
        Takes the source's dataset and gives a dataset, a named array, or a dict of arrays by name.
    along
        The dimension that the source grows along.
    kind
        None to have it recognised. Where it is given, `plan` refuses a function that it recognises as another.
    chunks
        Stored chunk lengths of the target by dimension.
    **declared
        For functions that cannot be recognised: ``halo=(before, after)``, the input rows before and after an output
        row that it depends on, or ``depends``, a function from output rows (start, stop) to input rows (start, stop).
        The function is then called with those rows, and must give one row for each.

    Raises
    ------
    InvalidRequest
        Something else was declared.
    """
    unknown = sorted(declared.keys() - {"halo", "depends"})
    if unknown:
        raise errors.InvalidRequest(
            f"A view cannot declare {', '.join(unknown)}.", cure="Declare halo=(before, after) or depends=function."
        )
    halo, depends = declared.get("halo"), declared.get("depends")
    if halo is not None and depends is not None:
        raise errors.InvalidRequest("halo and depends were both declared.", cure="Declare one of them.")
    if halo is not None:
        halo = _halo(halo)
    if depends is not None and not callable(depends):
        raise errors.InvalidRequest(f"depends is {depends!r}.", cure="Give a function (start, stop) -> (start, stop).")
    kind = ViewKind(kind) if kind is not None else None
    return Definition(function, along, kind, source_group, target_group, chunks, halo, depends)


def _halo(given: Any) -> tuple[int, int]:
    try:
        before, after = (int(one) for one in given)
    except (TypeError, ValueError) as error:
        raise errors.InvalidRequest(f"halo is {given!r}.", cure="Give two numbers, (before, after).") from error
    if before < 0 or after < 0:
        raise errors.InvalidRequest(f"halo is {given!r}.", cure="Neither number may be negative.")
    return before, after
