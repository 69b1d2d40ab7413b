"""``zarr.open("amasia://demo/reanalysis@v1.zarr")``, ``xr.open_zarr(...)``: read-only, for what knows only fsspec."""

import io
from typing import Any

from fsspec import AbstractFileSystem
from icechunk import IcechunkStore
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from amasia.client.arrays import open_repo
from amasia.client.refs import named
from amasia.errors import InvalidRequest, PermissionDenied

ENDING = ".zarr"


class AmasiaFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Repositories as folders of Zarr's keys: ``workspace/repository[@ref].zarr/key``.

    The snapshot of an address is looked up once: what is committed later does not change what was opened.
    """

    protocol = "amasia"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._stores: dict[str, IcechunkStore] = {}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        store, key = self._at(path)
        found = sync(store.get(key, default_buffer_prototype(), _range(start, end)))
        if found is None:
            raise FileNotFoundError(path)
        content = found.to_bytes()
        return content if start is None or end is not None else content[start:]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        store, key = self._at(path)
        name = self._strip_protocol(path)
        if key and sync(store.exists(key)):
            return {"name": name, "size": sync(store.getsize(key)), "type": "file"}
        if not key or self.ls(path):
            return {"name": name, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        store, key = self._at(path)
        name = self._strip_protocol(path).rstrip("/")
        found = [f"{name}/{one.rstrip('/')}" for one in sync(_listed(store, key))]
        return [self.info(one) for one in found] if detail else found

    def open(self, path: str, mode: str = "rb", *arguments: Any, **options: Any) -> Any:
        if mode not in ("r", "rb"):
            raise _read_only(path)
        return io.BytesIO(self.cat_file(path))

    def pipe_file(self, path: str, value: bytes, *arguments: Any, **options: Any) -> None:
        raise _read_only(path)

    def rm_file(self, path: str) -> None:
        raise _read_only(path)

    def _at(self, path: str) -> tuple[IcechunkStore, str]:
        """The store of an address, and the key in it."""
        address, ending, key = self._strip_protocol(path).partition(ENDING)
        if not ending or (key and not key.startswith("/")):
            raise InvalidRequest(
                f"amasia://{address} does not end in .zarr, by which other tools know what it is.",
                cure=f"Write amasia://{address}.zarr, or open it with engine='amasia'.",
            )
        if address not in self._stores:
            name, ref = named(address)
            repo = open_repo(name)
            self._stores[address] = repo.repo.readonly_session(snapshot_id=repo.snapshot(ref)).store
        return self._stores[address], key.strip("/")


def _read_only(path: str) -> PermissionDenied:
    return PermissionDenied(
        f"{path} is read-only by this address: a commit is all or nothing, and single keys are neither.",
        cure="Write with amasia.open_repo(..., mode='write').",
    )


async def _listed(store: IcechunkStore, key: str) -> list[str]:
    return [one async for one in store.list_dir(key)]


def _range(start: int | None, end: int | None) -> RangeByteRequest | None:
    if end is None:
        return None
    return RangeByteRequest(start or 0, end)
