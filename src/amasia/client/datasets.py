"""The catalog: what data there is, found by words, variables, place and time."""

from collections.abc import Iterable, Sequence
from itertools import islice

from amasia.client import pictures
from amasia.client.repositories import path
from amasia.client.transport import connect
from amasia.errors import InvalidRequest
from amasia.models.base import split_repository
from amasia.models.datasets import Dataset, Details

_PAGE = 200


class Found(list[Dataset]):
    """Datasets, as a list; in a notebook as cards with pictures."""

    def _repr_html_(self) -> str:
        return pictures.datasets(self)


def search(
    text: str = "",
    *,
    variable: str = "",
    standard_name: str = "",
    bbox: Sequence[float] | None = None,
    since: str = "",
    until: str = "",
    workspace: str = "",
    limit: int = 20,
    thumbnails: bool = True,
) -> Found:
    """Find datasets among those that you may read; all that is given must hold.

    Parameters
    ----------
    text
        Words, or beginnings of words, of titles, names and attributes.
    variable
        Name of a variable, in upper or lower case.
    standard_name
        CF standard name of a variable.
    bbox
        West, south, east, north in degrees; west is greater than east across the 180th meridian.
    since, until
        ``2020``, ``2020-07``, ``2020-07-31`` or ``2020-07-31T12:00:00Z``; both ends count.
    workspace
        Empty for all of yours.
    limit
        How many at most, the best first; without ``text`` the newest first.
    thumbnails
        With a picture of each, for notebooks.

    Returns
    -------
    list of Dataset

    Raises
    ------
    InvalidRequest
        A box or a time that cannot be understood.

    Examples
    --------
    >>> amasia.search("sea surface", bbox=(-30, 40, 10, 60), since="2010")
    """
    if limit < 1:
        raise InvalidRequest(f"A limit of {limit} finds nothing.", cure="Give 1 or more.")
    found = connect().items(
        "/v1/datasets",
        Dataset,
        q=text,
        variable=variable,
        standard_name=standard_name,
        bbox=_box(bbox),
        since=since,
        until=until,
        workspace=workspace,
        limit=min(limit, _PAGE),
        thumbnails=thumbnails,
    )
    return Found(islice(found, limit))


def find(repository: str) -> Found:
    """The datasets of one repository: one per group that holds arrays, at the head of main."""
    return Found(connect().items(f"{path(*split_repository(repository))}/datasets", Dataset))


def get(repository: str, group: str = "/") -> Details:
    """One dataset with its variables and attributes.

    Raises
    ------
    NotFound
        A commit is in the catalog some seconds after it.
    """
    return connect().get(f"{path(*split_repository(repository))}/dataset", Details, group=group)


def preview(repository: str, group: str = "/", variable: str = "") -> str:
    """A map or line of one variable as a self-contained SVG; of the first one where none is named."""
    query = {"group": group, "variable": variable}
    return connect().send("GET", f"{path(*split_repository(repository))}/preview", query=query).text


def _box(bbox: Iterable[float] | None) -> str | None:
    return None if bbox is None else ",".join(f"{one:g}" for one in bbox)
