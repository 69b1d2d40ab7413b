"""Published repositories, opened: what the control plane says of each for seconds, datasets for as long as they fit."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import icechunk
import xarray as xr
import zarr

from amasia import errors
from amasia.client.transport import connect
from amasia.integrations.publishing.bounds import metered
from amasia.models.publications import Publication
from amasia.models.repositories import Lease
from amasia.stores import lineage
from amasia.stores import repositories as stores
from amasia.stores.failures import translated

FRESH = 5.0
"""Seconds: a repository that is no longer published, or a commit to it, is noticed within."""
BRANCH = "main"


@dataclass(frozen=True)
class PublishedSource:
    """Asks for the right to read one published repository."""

    workspace: str
    repository: str
    repository_id: str

    def __call__(self) -> Lease:
        return connect().post(f"/v1/publications/{self.workspace}/{self.repository}/credentials", None, Lease)


@dataclass
class Shelf:
    """Things by key, the least used ones forgotten; some for a while only."""

    most: int
    seconds: float = float("inf")
    _kept: OrderedDict[Hashable, tuple[float, Any]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get[T](self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            until, found = self._kept.get(key, (0.0, None))
            if until > time.monotonic():
                self._kept.move_to_end(key)
                return found  # type: ignore[no-any-return]
        made = make()  # without the lock: two may make the same, and one of them is kept
        with self._lock:
            self._kept[key] = time.monotonic() + self.seconds, made
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return made


class Shelves:
    """What is published, by name.

    Parameters
    ----------
    limit
        Bytes of a dataset's indexes, which are read when it is opened.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._publications = Shelf(10_000, FRESH)
        self._repositories = Shelf(256)
        self._snapshots = Shelf(10_000, FRESH)
        self._groups = Shelf(256)
        self._datasets = Shelf(64)

    def publication(self, workspace: str, name: str) -> Publication:
        """How it is published.

        Raises
        ------
        NotFound
            It is not, or there is none.
        """
        found = self._publications.get((workspace, name), lambda: _look(workspace, name))
        if isinstance(found, errors.NotFound):
            raise errors.NotFound(found.message, cure=found.cure)
        return found

    def snapshot(self, publication: Publication) -> str:
        def look() -> str:
            with translated(_source(publication)):
                return str(self._repository(publication).lookup_branch(BRANCH))

        return self._snapshots.get(publication.repository_id, look)

    def groups(self, publication: Publication) -> list[str]:
        """Paths of the groups that hold arrays; empty for the root."""
        snapshot = self.snapshot(publication)

        def look() -> list[str]:
            try:
                members = zarr.open_group(self._store(publication, snapshot), mode="r").members(max_depth=None)
            except zarr.errors.GroupNotFoundError:  # nothing was ever written
                return []
            return sorted({path.rpartition("/")[0] for path, node in members if isinstance(node, zarr.Array)})

        return self._groups.get((publication.repository_id, snapshot), look)

    def dataset(self, publication: Publication, group: str, *, raw: bool = False) -> xr.Dataset:
        """A group as it is now, lazily; ``raw`` as it is stored, with scales and times undecoded."""
        snapshot = self.snapshot(publication)
        known = self.groups(publication)
        if group not in known:
            raise errors.NotFound(
                f"{publication.full_name} has no group {group or '/'!r} with data.",
                cure=f"It has: {', '.join(each or '/' for each in known) or 'none yet'}.",
            )
        key = (publication.repository_id, snapshot, group, raw)
        found = self._datasets.get(key, lambda: self._open(publication, snapshot, group, raw))
        return found.copy()

    def _open(self, publication: Publication, snapshot: str, group: str, raw: bool) -> xr.Dataset:
        store: Any = self._store(publication, snapshot)  # which Xarray takes, and its types do not say
        options: dict[str, Any] = {"engine": "zarr", "group": group or "/", "consolidated": False, "cache": False}
        looked = xr.open_dataset(store, **options, decode_cf=False, create_default_indexes=False)
        indexes = sum(looked[dim].nbytes for dim in looked.dims if dim in looked.variables)
        if indexes > self._limit:
            raise errors.TooLarge(f"The indexes of {publication.full_name} alone have {indexes} bytes.")
        ds = metered(xr.open_dataset(store, **options, decode_cf=not raw))
        ds.attrs["_xpublish_id"] = "/".join(filter(None, (publication.full_name, group))) + f"@{snapshot}"
        return ds

    def _store(self, publication: Publication, snapshot: str) -> lineage.MarkedStore:
        source = _source(publication)
        with translated(source):
            session = self._repository(publication).readonly_session(snapshot_id=snapshot)
        return lineage.mark(session, publication.full_name, source)

    def _repository(self, publication: Publication) -> icechunk.Repository:
        return self._repositories.get(publication.repository_id, lambda: stores.open(_source(publication)))


def _source(publication: Publication) -> PublishedSource:
    return PublishedSource(publication.workspace, publication.repository, publication.repository_id)


def _look(workspace: str, name: str) -> Publication | errors.NotFound:
    """A no is kept as long as a yes, so that it costs the control plane as little."""
    try:
        return connect().get(f"/v1/publications/{workspace}/{name}", Publication)
    except errors.NotFound as error:
        return error
