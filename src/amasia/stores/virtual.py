"""References instead of copies: a group whose chunks are where the file is, by VirtualiZarr.

Icechunk reads such a chunk only from a prefix that the repository names and that whoever opens it allows. It compares
the time of the file's last change, so that a file that was overwritten since is refused and not read as something else.

What may be joined is in `stores.likeness`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import icechunk
import xarray as xr
import zarr

from amasia import errors
from amasia.stores import likeness, readers, sources, writing
from amasia.stores.ingest import Ingested, base_group, join
from amasia.stores.likeness import CURE, is_virtual
from amasia.stores.readers import radar, zarrs
from amasia.stores.reading import Wanted, check_steps, first

SMALL_CHUNK = 64 << 10
"""Bytes: reading many chunks that are smaller costs more in requests than in bytes."""
_HELD = 8 << 20
"""Bytes of a variable that is copied where all files must agree on it."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_KERCHUNK = ("KerchunkJSONParser", "KerchunkParquetParser")


@dataclass(frozen=True)
class References:
    """A file as references."""

    source: str
    digest: str
    groups: Mapping[str, xr.Dataset] = field(default_factory=dict)
    changed: datetime = _LONG_AGO
    """When the file was last changed."""
    format: str = ""
    first: tuple[str, Any] | None = None
    """As `reading.Found.first`."""
    prefixes: frozenset[str] = frozenset()
    """What a repository must name so that the chunks may be read."""


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


def look(wanted: Wanted) -> References:
    """A file as references, from one copy where it is not on this computer.

    Raises
    ------
    DataRejected
        Its format cannot be referred to, or one of its filters is not known to Zarr; says which.
    """
    if not sources.is_remote(wanted.source) and set("#?%") & set(str(sources.local(wanted.source).absolute())):
        raise errors.DataRejected(
            f"{wanted.source} cannot be referred to: a URL of it would end at its '#', '?' or '%'.",
            cure="Rename it, or take it as a copy with --native.",
        )
    changed = sources.changed(wanted.source)
    with sources.at_hand(wanted.source) as path:
        digest = sources.digest(path)
        if digest in wanted.skip:
            return References(wanted.source, digest)
        try:
            format, parsers = _parsers(path, wanted.source)
            groups = {group: _opened(path, wanted, parser) for group, parser in parsers.items()}
        except errors.AmasiaError:
            raise
        except Exception as error:  # of VirtualiZarr: whatever it does not know
            said = str(error).partition("\n")[0][:200]
            raise errors.DataRejected(
                f"{wanted.source} cannot be taken as references ({type(error).__name__}: {said}).",
                cure="Take it as a copy with --native.",
            ) from error
    check_steps(groups, wanted)
    places = {prefix(wanted.source)} if format != zarrs.KERCHUNK else set(map(prefix, _chunk_urls(groups)))
    return References(
        wanted.source, digest, groups, changed, format, first(groups, wanted.append_dim), frozenset(places)
    )


def smallest_chunk(references: References) -> int:
    """Bytes of the typical chunk of its largest variable, before compression."""
    virtual = [v for ds in references.groups.values() for v in ds.variables.values() if is_virtual(v)]
    if not virtual:
        return 0
    largest = max(virtual, key=lambda variable: variable.size * variable.dtype.itemsize)
    return int(math.prod(largest.data.metadata.chunks) * largest.dtype.itemsize)


def put(
    session: icechunk.Session, found: Sequence[References], group: str | None, append_dim: str | None
) -> list[Ingested]:
    """Put references into a session: those of one file, or of several that continue each other along a dimension.

    Raises
    ------
    DoesNotFit
        They cannot be joined to each other or to what is stored, and why; nothing was written.
    Conflict
    """
    base = base_group(found[0].source, group)
    changed = max(one.changed for one in found)
    appended = False
    targets = []
    with _named(found):
        for inner in found[0].groups:
            target = "/".join(part for part in (base.strip("/"), inner.strip("/")) if part)
            targets.append(f"/{target}")
            joined = _joined(found, inner, append_dim)
            appended |= _put(session, joined, target, append_dim, changed, anywhere=any(one.prefixes for one in found))
    return [
        Ingested(
            one.source,
            tuple(targets),
            tuple(str(name) for ds in one.groups.values() for name in ds.data_vars),
            sum(ds.nbytes for ds in one.groups.values()),
            appended or index > 0,
            format=one.format,
            how="virtual",
            notes=tuple(
                f"Its bytes stay in {place}: do not move or change the file; who reads must allow that prefix."
                for place in sorted(one.prefixes)
            ),
            digest=one.digest,
        )
        for index, one in enumerate(found)
    ]


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


@contextmanager
def _named(found: Sequence[References]) -> Iterator[None]:
    name = found[0].source if len(found) == 1 else f"{found[0].source} … {found[-1].source}"
    try:
        yield
    except errors.AmasiaError as error:
        raise type(error)(f"{name}: {error.message}", cure=error.cure, **error.detail) from error
    except (ValueError, NotImplementedError) as error:
        if isinstance(error, icechunk.IcechunkError):
            raise
        said = str(error).partition("\n")[0][:300]
        raise errors.DoesNotFit(f"{name} cannot be joined as references ({said}).", cure=CURE) from error


def _joined(found: Sequence[References], inner: str, dim: str | None) -> xr.Dataset:
    """One group of several files."""
    datasets = [one.groups[inner] for one in found if inner in one.groups]
    if len(datasets) < len(found) or any(one.groups.keys() != found[0].groups.keys() for one in found):
        raise errors.DoesNotFit("Their groups differ.", cure=CURE)
    if dim is None or len(datasets) == 1:
        return datasets[0]
    if dim not in datasets[0].sizes:
        raise errors.DoesNotFit(f"There is no dimension {dim!r} to append along.", cure="Name one of them.")
    likeness.check_files(datasets, dim)
    return join(datasets, dim)


def _put(
    session: icechunk.Session, ds: xr.Dataset, target: str, dim: str | None, changed: datetime, anywhere: bool
) -> bool:
    """Whether it was appended; without ``anywhere`` the references hold all their bytes themselves."""
    path = target or None
    options = {"group": path, "last_updated_at": changed, "validate_containers": anywhere}
    if dim is None or not writing.exists(session, target):
        if writing.exists(session, target):
            raise errors.Conflict(f"Group {target!r} has data already.", cure="Append to it, or use another group.")
        writing.check_names(session, ds, target)
        ds.vz.to_icechunk(session.store, **options)
        return False
    stored = zarr.open_group(session.store, path=path or "", mode="r")
    likeness.check_stored(stored, ds, dim)
    kept = [name for name, variable in ds.variables.items() if dim in variable.dims]
    decoded = xr.open_zarr(session.store, group=path, consolidated=False, chunks=None)
    likeness.check_order(decoded, ds, dim)
    rest = ds.drop_vars([name for name in ds.variables if name not in kept])
    rest.vz.to_icechunk(session.store, append_dim=dim, **options)
    return True


def _is_copied(ds: xr.Dataset, name: Any, variable: xr.Variable, dim: str | None) -> bool:
    """Coordinates along a dimension, and what all files of a series must agree on."""
    nbytes = variable.size * variable.dtype.itemsize
    if name in ds.dims or (variable.ndim == 1 and (name in ds.coords or " since " in str(variable.attrs.get("units")))):
        return True
    return nbytes <= _HELD and (variable.ndim == 0 or (dim is not None and dim not in variable.dims))


def _opened(path: Path, wanted: Wanted, parser: Any) -> xr.Dataset:
    """One group: small coordinates in memory, all else as references to where the file is."""
    from obspec_utils.registry import ObjectStoreRegistry  # noqa: PLC0415  with what reads references, and only then
    from obstore.store import LocalStore  # noqa: PLC0415

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    here = _url(str(path))
    store = parser(url=here, registry=registry)
    if type(parser).__name__ in _KERCHUNK:
        bare = store.to_virtual_dataset(loadable_variables=[])
        for place in set(map(prefix, _chunk_urls({"/": bare}))):
            _register(registry, place)
    ds: xr.Dataset = store.to_virtual_dataset()
    copied = [str(name) for name, one in ds.variables.items() if _is_copied(ds, name, one, wanted.append_dim)]
    if any(is_virtual(ds.variables[name]) for name in copied):
        ds = store.to_virtual_dataset(loadable_variables=copied)
    for name in copied:
        ds.variables[name].load()
    if radar.is_cfradial(ds):
        raise _no_references(wanted.source, "a radar volume")
    there = _url(wanted.source)
    if there == here:
        return ds
    # Of references that point elsewhere the path is right already.
    moved: xr.Dataset = ds.vz.rename_paths(lambda url: there + url.removeprefix(here) if url.startswith(here) else url)
    return moved


def _register(registry: Any, place: str) -> None:
    from obstore.store import from_url  # noqa: PLC0415  as above

    if not place.startswith("file://"):
        registry.register(place.rstrip("/"), from_url(place.rstrip("/")))


def _chunk_urls(groups: Mapping[str, xr.Dataset]) -> set[str]:
    """Of the files that references point to."""
    return {
        entry["path"]
        for ds in groups.values()
        for variable in ds.variables.values()
        if is_virtual(variable)
        for entry in variable.data.manifest.dict().values()
        if "://" in entry["path"]  # not of what the references hold themselves
    }


def _parsers(path: Path, source: str) -> tuple[str, Mapping[str, Any]]:
    """The format, and a parser for each group of a file."""
    from virtualizarr.parsers import (  # noqa: PLC0415  a second to import, and for references only
        HDFParser,
        KerchunkJSONParser,
        KerchunkParquetParser,
        NetCDF3Parser,
        ZarrParser,
    )

    if path.is_dir():
        return (
            (zarrs.KERCHUNK, {"/": KerchunkParquetParser()})
            if zarrs.is_parquet(path)
            else ("Zarr", {"/": ZarrParser()})
        )
    with path.open("rb") as opened:
        magic = opened.read(16)
    if magic.startswith(readers.CLASSIC):
        return "NetCDF 3", {"/": NetCDF3Parser()}
    if magic.startswith(readers.HDF5):
        return "NetCDF 4", {group: HDFParser(group=group.strip("/") or None) for group in _hdf_groups(path, source)}
    if magic.lstrip()[:1] == b"{":
        return zarrs.KERCHUNK, {"/": KerchunkJSONParser()}
    raise errors.DataRejected(
        f"{source} has a format that cannot be referred to; NetCDF, HDF5, Zarr and Kerchunk can.",
        cure="Take it as a copy with --native.",
    )


def _hdf_groups(path: Path, source: str) -> list[str]:
    """Groups with arrays, parents first."""
    if radar.is_odim(path):
        raise _no_references(source, "a radar volume")
    with h5py.File(path) as opened:
        if "HDFEOS INFORMATION" in opened:
            raise _no_references(source, "HDF-EOS5")
        names: list[str] = []
        opened.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    return sorted({f"/{name.rpartition('/')[0]}" for name in names}) or ["/"]


def _no_references(source: str, what: str) -> errors.DataRejected:
    return errors.DataRejected(
        f"{source} is {what}: its reader names dimensions and times that references would not have.",
        cure="Take it as a copy with --native.",
    )


def _url(source: str) -> str:
    """Of a path as it is: neither VirtualiZarr nor Icechunk undo percent signs."""
    return source if sources.is_remote(source) else f"file://{sources.local(source).absolute()}"


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
