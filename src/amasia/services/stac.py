"""Datasets and repositories as STAC has them: pure functions from our models to its JSON.

A repository is a collection, a dataset an item. Item ids carry the group's path with ``:`` for ``/``; the root is
``_root``. What has no time carries that of its commit, because STAC demands one.
"""

from datetime import UTC, datetime
from typing import Any

from amasia.models.datasets import Box, Dataset, Details, Variable
from amasia.models.repositories import Bucket, BucketKind, Repository

VERSION = "1.1.0"
CONFORMS = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
ITEM_EXTENSIONS = (
    "https://stac-extensions.github.io/datacube/v2.2.0/schema.json",
    "https://stac-extensions.github.io/storage/v2.0.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
    "https://stac-extensions.github.io/xarray-assets/v1.0.0/schema.json",
)
ROOT = "_root"
_X, _Y = ("longitude", "projection_x_coordinate", "grid_longitude"), ("latitude", "projection_y_coordinate",
                                                                      "grid_latitude")  # fmt: skip
_UNKNOWN_LICENSE = "other"


def collection_id(repository: str) -> str:
    """``demo:reanalysis`` of ``demo/reanalysis``."""
    return repository.replace("/", ":", 1)


def repository_of(collection: str) -> tuple[str, str]:
    """(workspace, name); of an id that is none, what no repository is called."""
    workspace, _, name = collection.partition(":")
    return workspace, name


def item_id(group: str) -> str:
    return group.strip("/").replace("/", ":") or ROOT


def groups_of(item: str) -> tuple[str, ...]:
    """The ways in which a group may be written that has this id."""
    path = item.replace(":", "/")
    return ("/",) if item == ROOT else (path, f"/{path}")


def landing(url: str, version: str) -> dict[str, Any]:
    links = [_link("self", url), _link("root", url), _link("conformance", f"{url}/conformance"),
             _link("data", f"{url}/collections"), _link("search", f"{url}/search", "application/geo+json", "GET"),
             _link("search", f"{url}/search", "application/geo+json", "POST"),
             _link("service-desc", f"{url.removesuffix('/stac')}/v1/openapi.json",
                   "application/vnd.oai.openapi+json;version=3.1")]  # fmt: skip
    return {
        "type": "Catalog", "stac_version": VERSION, "id": "amasia", "title": f"Amasia {version}",
        "description": "Every dataset of the repositories that you may read.", "conformsTo": list(CONFORMS),
        "links": links,
    }  # fmt: skip


def collection(repository: Repository, datasets: list[Dataset], url: str) -> dict[str, Any]:
    """A repository, with the extent of all its datasets."""
    me = f"{url}/collections/{collection_id(repository.full_name)}"
    boxes = [one.box for one in datasets if one.box is not None]
    begins = [one.begin_at for one in datasets if one.begin_at is not None]
    ends = [one.end_at for one in datasets if one.end_at is not None]
    made = _rfc(repository.created_at)
    interval = [moment(min(begins)) or made, moment(max(ends)) or None] if begins and ends else [made, None]
    links = [_link("self", me), _link("root", url), _link("parent", url),
             _link("items", f"{me}/items", "application/geo+json")]  # fmt: skip
    return {
        "type": "Collection", "stac_version": VERSION, "id": collection_id(repository.full_name),
        "title": repository.full_name, "description": repository.description or f"Repository {repository.full_name}.",
        "license": _UNKNOWN_LICENSE,
        "extent": {"spatial": {"bbox": [_around(boxes)]}, "temporal": {"interval": [interval]}},
        "links": links,
    }  # fmt: skip


def item(found: Dataset, repository: Repository, bucket: Bucket, url: str) -> dict[str, Any]:
    """A dataset. Of a `Details` also its dimensions and variables."""
    home = f"{url}/collections/{collection_id(found.repository)}"
    me = f"{home}/items/{item_id(found.group)}"
    api = f"{url.removesuffix('/stac')}/v1/workspaces/{found.workspace}/repositories/{repository.name}"
    links = [_link("self", me, "application/geo+json"), _link("root", url), _link("parent", home),
             _link("collection", home)]  # fmt: skip
    made: dict[str, Any] = {
        "type": "Feature", "stac_version": VERSION, "stac_extensions": list(ITEM_EXTENSIONS),
        "id": item_id(found.group), "collection": collection_id(found.repository),
        "geometry": geometry(found.box),
        "properties": {
            **_when(found), "title": found.title or found.repository, "description": found.summary or None,
            "version": found.snapshot, "created": _rfc(repository.created_at), "updated": _rfc(found.committed_at),
            "cube:dimensions": _dimensions(found), "cube:variables": _variables(found),
            "storage:schemes": {"store": _scheme(bucket)},
        },
        "links": links,
        "assets": {
            "data": {
                "href": _place(bucket, repository),
                "type": "application/vnd.zarr+icechunk", "roles": ["data", "references"],
                "title": "The Icechunk repository; credentials are lent by Amasia", "version": found.snapshot,
                "storage:refs": ["store"],
            },
            "xarray": {
                "href": found.address, "type": "application/vnd.zarr+icechunk", "roles": ["data"],
                "title": "For xarray.open_dataset; credentials renew themselves",
                "xarray:open_kwargs": {"engine": "amasia", "chunks": {}}
                | ({} if found.group == "/" else {"group": found.group}),
            },
            "thumbnail": {
                "href": f"{api}/preview?group={found.group}", "type": "image/svg+xml", "roles": ["thumbnail"],
            },
        },
    }  # fmt: skip
    made["properties"] = {
        key: value for key, value in made["properties"].items() if value is not None or key == "datetime"
    }
    if found.box is not None:
        made["bbox"] = list(found.box.bounds)
    return made | {"links": links}


def geometry(box: Box | None) -> dict[str, Any] | None:
    """A point, a box, or two boxes where it crosses the 180th meridian."""
    if box is None:
        return None
    west, south, east, north = box.bounds
    if west == east or south == north:
        if west == east and south == north:
            return {"type": "Point", "coordinates": [west, south]}
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    if west > east:
        rings = [[_ring(west, south, 180, north)], [_ring(-180, south, east, north)]]
        return {"type": "MultiPolygon", "coordinates": rings}
    return {"type": "Polygon", "coordinates": [_ring(west, south, east, north)]}


def moment(seconds: int | None) -> str:
    """RFC 3339; empty for what has no such year."""
    if seconds is None:
        return ""
    try:
        return _rfc(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return ""


def _when(found: Dataset) -> dict[str, Any]:
    begin, end = moment(found.begin_at), moment(found.end_at)
    if not begin or not end:
        return {"datetime": _rfc(found.committed_at)}
    return {"datetime": begin if begin == end else None, "start_datetime": begin, "end_datetime": end}


def _dimensions(found: Dataset) -> dict[str, Any]:
    variables = {one.name: one for one in found.variables} if isinstance(found, Details) else {}
    return {dim: _dimension(dim, size, found, variables.get(dim)) for dim, size in found.dims.items()}


def _dimension(dim: str, size: int, found: Dataset, variable: Variable | None) -> dict[str, Any]:
    standard = variable.standard_name if variable else ""
    low = dim.lower()
    box = found.box
    if found.begin and (standard == "time" or low.startswith("time") or low == "valid_time"):
        return {"type": "temporal", "extent": [moment(found.begin_at) or None, moment(found.end_at) or None]}
    if box and not found.crs and (standard in _X or low in ("lon", "longitude", "x")):
        return {"type": "spatial", "axis": "x", "extent": [box.west, box.east]}
    if box and not found.crs and (standard in _Y or low in ("lat", "latitude", "y")):
        return {"type": "spatial", "axis": "y", "extent": [box.south, box.north]}
    return {"type": "other", "extent": [0, max(size - 1, 0)]} | (
        {"unit": variable.units} if variable and variable.units else {}
    )


def _variables(found: Dataset) -> dict[str, Any]:
    if not isinstance(found, Details):
        return {name: {"type": "data", "dimensions": []} for name in found.names}
    return {
        one.name: {
            "type": "auxiliary" if one.coordinate else "data", "dimensions": list(one.dims),
            "data_type": one.dtype, "shape": list(one.shape),
        } | {key: value for key, value in (("unit", one.units), ("description", one.long_name),
                                           ("standard_name", one.standard_name)) if value}
        for one in found.variables if one.name not in found.dims
    }  # fmt: skip


def _place(bucket: Bucket, repository: Repository) -> str:
    own = bucket.kind is BucketKind.azure and "/" not in bucket.uri.removeprefix("az://").rstrip("/")
    container = f"/{repository.id}" if own else ""
    return f"{bucket.uri.rstrip('/')}{container}/{repository.workspace}/{repository.id}"


def _scheme(bucket: Bucket) -> dict[str, Any]:
    if bucket.kind is BucketKind.directory:
        return {"type": "custom-file", "platform": f"file://{bucket.uri.removeprefix('file://')}"}
    if bucket.kind is BucketKind.gcs:
        return {"type": "custom-gcs", "platform": bucket.endpoint or "https://storage.googleapis.com"}
    if bucket.kind is BucketKind.azure:
        account = bucket.uri.removeprefix("az://").partition("/")[0]
        return {"type": "ms-azure", "platform": "https://{account}.blob.core.windows.net", "account": account}
    if bucket.endpoint:
        return {"type": "custom-s3", "platform": bucket.endpoint, "region": bucket.region}
    return {"type": "aws-s3", "platform": "https://{bucket}.s3.{region}.amazonaws.com", "region": bucket.region,
            "bucket": bucket.uri.removeprefix("s3://").partition("/")[0]}  # fmt: skip


def _around(boxes: list[Box]) -> list[float]:
    if not boxes or any(one.west > one.east for one in boxes):
        return [
            -180,
            min((one.south for one in boxes), default=-90),
            180,
            max((one.north for one in boxes), default=90),
        ]
    return [min(one.west for one in boxes), min(one.south for one in boxes), max(one.east for one in boxes),
            max(one.north for one in boxes)]  # fmt: skip


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _link(rel: str, href: str, type: str = "application/json", method: str = "") -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": type} | ({"method": method} if method else {})


def _rfc(at: datetime) -> str:
    return f"{at.astimezone(UTC).isoformat(timespec='seconds').removesuffix('+00:00')}Z"
