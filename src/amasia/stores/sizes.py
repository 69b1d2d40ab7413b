"""What one commit adds to a repository's objects. Icechunk never writes an object twice, so that sums are exact."""

import asyncio
from dataclasses import dataclass

import icechunk

from amasia.stores import objects
from amasia.stores.failures import translated
from amasia.stores.leases import Source, current


@dataclass(frozen=True)
class Added:
    """What a snapshot has and its parent has not."""

    chunks_nbytes: int
    """Its own chunks, as stored; not those that are references to files elsewhere."""
    nbytes: int
    """With its manifests, its description, and its list of changes."""


def added(source: Source, repository: icechunk.Repository, snapshot: str, parent: str) -> Added:
    """What a commit added to the repository.

    Parameters
    ----------
    source
        Of the repository.
    repository
        Open for reading.
    snapshot, parent
        Ids; no parent for the empty repository that all begin with.

    Raises
    ------
    NotFound
        One of them has expired.
    """
    with translated(source):
        chunks = asyncio.run(_chunks(repository, snapshot, parent)) if parent else 0
        before = {one.id for one in repository.list_manifest_files(parent)} if parent else set()
        manifests = [one.size_bytes for one in repository.list_manifest_files(snapshot) if one.id not in before]
    rest = objects.total(current(source), (f"snapshots/{snapshot}", f"transactions/{snapshot}"))
    return Added(chunks, chunks + sum(manifests) + rest)


async def _chunks(repository: icechunk.Repository, snapshot: str, parent: str) -> int:
    """The manifests know the length of each chunk: none is read."""
    changed = await repository.diff_async(from_snapshot_id=parent, to_snapshot_id=snapshot)
    session = await repository.readonly_session_async(snapshot_id=snapshot)
    nbytes = 0
    for path, places in changed.updated_chunks.items():
        for place in places:
            if await session.chunk_type_async(path, place) == icechunk.ChunkType.native:
                nbytes += await session.store.getsize("/".join([path.strip("/"), "c", *map(str, place)]).lstrip("/"))
    return nbytes
