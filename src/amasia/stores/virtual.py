"""References instead of copies: a group whose chunks are where the file is, by VirtualiZarr.

Icechunk reads such a chunk only from a prefix that the repository names and that whoever opens it allows. It compares
the time of the file's last change, so that a file that was overwritten since is refused and not read as something else.

Arrays that are joined share one description (dtype, chunks, codecs, fill value, scale, offset, units, calendar). A file
that differs in any of it would be read under the description of another, silently wrong: it is refused by name.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icechunk
import xarray as xr
import zarr

from amasia import errors
from amasia.stores import readers, sources, writing
from amasia.stores.ingest import Ingested, base_group

SMALL_CHUNK = 64 << 10
"""Bytes: reading many chunks that are smaller costs more in requests than in bytes."""
_HELD = 8 << 20
"""Bytes of a variable that is copied where all files must agree on it."""
_ATTRIBUTES = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units", "calendar")
_CURE = "Take it as a copy with --native, into a group of its own."


@dataclass(frozen=True)
class References:
    """A file as references."""

    source: str
    digest: str
    groups: Mapping[str, xr.Dataset]
    changed: datetime
    """When the file was last changed."""
    format: str

    @property
    def prefix(self) -> str:
        return prefix(self.source)


def prefix(source: str) -> str:
    """What a repository must name so that a file may be read: its bucket, or its directory."""
    url = _url(source)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/" if scheme != "file" else f"{url.rpartition('/')[0]}/"


def why_native(source: str) -> str:
    """Why a file is copied where nobody said what to do."""
    if not sources.is_remote(source):
        return "a file on this computer can be read by nobody elsewhere"
    return "its format or its chunks are not worth references"


def look(source: str, digest: str, append_dim: str | None = None) -> References:
    """A file as references.

    Raises
    ------
    DataRejected
        Its format cannot be referred to, or one of its filters is not known to Zarr; says which.
    """
    from virtualizarr import open_virtual_dataset  # noqa: PLC0415  a second to import, and for references only

    url = _url(source)
    try:
        registry, changed = _registry(url)
        format, parsers = _parsers(source)
        groups = {}
        for group, parser in parsers.items():
            bare = open_virtual_dataset(url, registry, parser, loadable_variables=[])
            copied = [str(name) for name, one in bare.variables.items() if _is_copied(bare, name, one, append_dim)]
            groups[group] = open_virtual_dataset(url, registry, parser, loadable_variables=copied)
    except errors.AmasiaError:
        raise
    except Exception as error:  # of VirtualiZarr: whatever it does not know
        said = str(error).partition("\n")[0][:200]
        raise errors.DataRejected(
            f"{source} cannot be taken as references ({type(error).__name__}: {said}).",
            cure="Take it as a copy with --native.",
        ) from error
    return References(source, digest, groups, changed, format)


def smallest_chunk(references: References) -> int:
    """Bytes of the typical chunk of its largest variable, before compression."""
    virtual = [v for ds in references.groups.values() for v in ds.variables.values() if _is_virtual(v)]
    if not virtual:
        return 0
    largest = max(virtual, key=lambda variable: variable.size * variable.dtype.itemsize)
    return int(math.prod(largest.data.metadata.chunks) * largest.dtype.itemsize)


def put(session: icechunk.Session, found: References, group: str | None, append_dim: str | None) -> Ingested:
    """Put references into a session.

    Raises
    ------
    DoesNotFit
        It cannot be joined to what is stored, and why; nothing was written.
    Conflict
    """
    base = base_group(found.source, group)
    appended = False
    targets = []
    for inner, ds in found.groups.items():
        target = "/".join(part for part in (base.strip("/"), inner.strip("/")) if part)
        targets.append(f"/{target}")
        try:
            appended |= _put(session, ds, target, append_dim, found.changed)
        except errors.AmasiaError as error:
            raise type(error)(f"{found.source}: {error.message}", cure=error.cure, **error.detail) from error
        except (ValueError, NotImplementedError) as error:
            said = str(error).partition("\n")[0][:300]
            raise errors.DoesNotFit(f"{found.source} cannot be joined as references ({said}).", cure=_CURE) from error
    names = tuple(str(name) for ds in found.groups.values() for name in ds.data_vars)
    nbytes = sum(ds.nbytes for ds in found.groups.values())
    note = f"Its bytes stay in {found.prefix}: do not move or change the file; who reads must allow that prefix."
    return Ingested(found.source, tuple(targets), names, nbytes, appended, format=found.format, how="virtual",
                    notes=(note,), digest=found.digest)  # fmt: skip


def name_prefixes(repo: icechunk.Repository, prefixes: Iterable[str]) -> icechunk.Repository:
    """The repository, with prefixes in its configuration for everybody, and allowed here."""
    config = repo.config
    known = set(config.virtual_chunk_containers or {})
    for one in set(prefixes) - known:
        config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(one, _store(one)))
    wanted = known | set(prefixes)
    named = repo.reopen(config, {one: _credentials(one) for one in wanted})
    if wanted - known:
        named.save_config()
    return named


def allow(repo: icechunk.Repository, allowed: Sequence[str]) -> icechunk.Repository:
    """The repository, with those of its prefixes allowed that begin as one of these."""
    named = [one for one in (repo.config.virtual_chunk_containers or {}) if one.startswith(tuple(allowed))]
    return repo.reopen(None, {one: _credentials(one) for one in named}) if named else repo


def _put(session: icechunk.Session, ds: xr.Dataset, target: str, dim: str | None, changed: datetime) -> bool:
    path = target or None
    if dim is None or not writing.exists(session, target):
        if writing.exists(session, target):
            raise errors.Conflict(f"Group {target!r} has data already.", cure="Append to it, or use another group.")
        ds.vz.to_icechunk(session.store, group=path, last_updated_at=changed)
        return False
    stored = zarr.open_group(session.store, path=path or "", mode="r")
    _check(stored, ds, dim)
    kept = [name for name, variable in ds.variables.items() if dim in variable.dims]
    decoded = xr.open_zarr(session.store, group=path, consolidated=False, chunks=None)
    _check_order(decoded, ds, dim)
    rest = ds.drop_vars([name for name in ds.variables if name not in kept])
    rest.vz.to_icechunk(session.store, group=path, append_dim=dim, last_updated_at=changed)
    return True


def _check(stored: zarr.Group, ds: xr.Dataset, dim: str) -> None:
    """Refuse what would be read under another file's description."""
    names = {name for name, _ in stored.arrays()}
    if names != set(map(str, ds.variables)):
        odd = ", ".join(sorted(names ^ set(map(str, ds.variables))))
        raise errors.DoesNotFit(f"Its variables differ from what is stored: {odd}.", cure=_CURE)
    for name, variable in ds.variables.items():
        array: Any = stored[str(name)]
        differs = [
            f"{what} is {was!r} in what is stored and {now!r} in it"
            for what, was, now in _descriptions(array, variable)
            if not _alike(was, now)
        ]
        if differs:
            raise errors.DoesNotFit(
                f"Variable {name!r} cannot be joined as references: its {'; its '.join(differs)}.",
                cure=_CURE,
                variable=str(name),
            )
        if dim in variable.dims and _is_virtual(variable):
            axis = variable.dims.index(dim)
            if array.shape[axis] % array.chunks[axis]:
                raise errors.DoesNotFit(
                    f"Variable {name!r} cannot be joined as references: the last chunk of what is stored along {dim!r} "
                    f"is not full ({array.shape[axis]} steps in chunks of {array.chunks[axis]}).",
                    cure=_CURE,
                )
    fixed = {str(name): variable for name, variable in ds.variables.items() if dim not in variable.dims}
    held = xr.open_zarr(stored.store, group=stored.path or None, consolidated=False, chunks=None)
    for name, variable in fixed.items():
        if not _is_virtual(variable) and not variable.equals(held.variables[name]):  # type: ignore[no-untyped-call]
            raise errors.DoesNotFit(f"Variable {name!r}: its values differ from those that are stored.", cure=_CURE)
        if _is_virtual(variable):
            raise errors.DoesNotFit(
                f"Variable {name!r} does not have {dim!r} and is too large to be compared with what is stored.",
                cure=_CURE,
            )


def _descriptions(array: Any, variable: xr.Variable) -> Iterable[tuple[str, Any, Any]]:
    said = dict(variable.encoding) | dict(variable.attrs)
    yield "dimensions", tuple(array.metadata.dimension_names or ()), tuple(map(str, variable.dims))
    for key in _ATTRIBUTES:
        # What is copied is encoded anew; then only its meaning counts.
        if key not in {"units", "calendar"} and not _is_virtual(variable):
            continue
        yield key, array.attrs.get(key), said.get(key)
    if not _is_virtual(variable):
        return
    metadata = variable.data.metadata
    yield "dtype", str(array.metadata.data_type), str(metadata.data_type)
    yield "chunks", tuple(array.chunks), tuple(metadata.chunks)
    yield "codecs", str(array.metadata.codecs), str(metadata.codecs)
    yield "fill value", array.metadata.fill_value, metadata.fill_value


def _check_order(stored: xr.Dataset, offered: xr.Dataset, dim: str) -> None:
    ruler = writing.ruler(stored, dim)
    if ruler is not None and not _is_virtual(offered.variables[ruler]):
        writing.check_order(str(ruler), stored.variables[ruler], offered.variables[ruler])


def _alike(was: Any, now: Any) -> bool:
    if isinstance(was, str) and isinstance(now, str):
        return _meaning(was) == _meaning(now)
    try:
        return bool(was == now) or str(was) == str(now) == "nan"
    except ValueError:  # arrays
        return str(was) == str(now)


def _meaning(said: str) -> str:
    """Units and calendars have several spellings: midnight may be written or not, CF renamed gregorian."""
    return re.sub(r"[ T]0?0:00(:00(\.0+)?)?$", "", said) if said != "gregorian" else "standard"


def _is_virtual(variable: xr.Variable) -> bool:
    return type(variable._data).__name__ == "ManifestArray"


def _is_copied(ds: xr.Dataset, name: Any, variable: xr.Variable, dim: str | None) -> bool:
    """Coordinates along a dimension, and what all files of a series must agree on."""
    nbytes = variable.size * variable.dtype.itemsize
    if name in ds.dims or (variable.ndim == 1 and (name in ds.coords or " since " in str(variable.attrs.get("units")))):
        return True
    return nbytes <= _HELD and (variable.ndim == 0 or (dim is not None and dim not in variable.dims))


def _parsers(source: str) -> tuple[str, Mapping[str, Any]]:
    """The format, and a parser for each group of a file."""
    from virtualizarr.parsers import HDFParser, KerchunkJSONParser, NetCDF3Parser, ZarrParser  # noqa: PLC0415

    with sources.beginning(source) as (path, magic):
        if path is not None and path.is_dir():
            return "Zarr", {"/": ZarrParser()}
        if magic.startswith(readers.CLASSIC):
            return "NetCDF 3", {"/": NetCDF3Parser()}
        if magic.startswith(readers.HDF5):
            groups = _groups(source)
            return "NetCDF 4", {group: HDFParser(group=group.strip("/") or None) for group in groups}
        if magic.lstrip()[:1] == b"{":
            return "Kerchunk references", {"/": KerchunkJSONParser()}
    raise errors.DataRejected(
        f"{source} has a format that cannot be referred to; NetCDF, HDF5, Zarr and Kerchunk can.",
        cure="Take it as a copy with --native.",
    )


def _groups(source: str) -> list[str]:
    with sources.at_hand(source) as path, readers.read(path) as contents:
        return [group for group, ds in contents.groups.items() if ds.variables] or ["/"]


def _url(source: str) -> str:
    return source if "://" in source else Path(source).absolute().as_uri()


def _registry(url: str) -> tuple[Any, datetime]:
    """Where VirtualiZarr reads a file, and when that was last changed."""
    from obspec_utils.registry import ObjectStoreRegistry  # noqa: PLC0415
    from obstore.store import LocalStore, from_url  # noqa: PLC0415

    if url.startswith("file://"):
        changed = datetime.fromtimestamp(math.ceil(Path(url.removeprefix("file://")).stat().st_mtime), UTC)
        return ObjectStoreRegistry({"file://": LocalStore()}), changed
    place = prefix(url).rstrip("/")
    store = from_url(place)
    return ObjectStoreRegistry({place: store}), store.head(url.removeprefix(place).lstrip("/"))["last_modified"]


def _store(one: str) -> Any:
    if one.startswith("file://"):
        return icechunk.local_filesystem_store(one.removeprefix("file://"))
    if one.startswith("s3://"):
        place = sources.s3_settings()
        endpoint = place.get("endpoint_url")
        return icechunk.s3_store(region=place.get("region", "us-east-1"), endpoint_url=endpoint,
                                 allow_http=bool(endpoint and endpoint.startswith("http://")),
                                 s3_compatible=bool(endpoint), force_path_style=bool(endpoint))  # fmt: skip
    if one.startswith(("http://", "https://")):
        return icechunk.http_store()
    raise errors.InvalidRequest(f"References into {one} are not known here.", cure="Use file://, s3:// or https://.")


def _credentials(one: str) -> Any:
    if one.startswith("file://"):
        return icechunk.Credentials.LocalFileSystemAccess()
    if one.startswith("s3://"):
        return icechunk.containers_credentials({one: icechunk.s3_credentials(from_env=True)})[one]
    return icechunk.Credentials.HttpAccess()
