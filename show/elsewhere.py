"""Line 3 where no S3 is spoken: leaked credentials of one repository on Azure and on Google's store.

Each request of the two protocols is sent as it is, without a library that would hold some back: to the repository's own
objects, to a sibling's whose name begins alike, to a stranger's, to the bucket and to the whole service. Azure's store
is Azurite; Google's is the server of ours that keeps to Google's documentation, so its lines prove the boundary that is
asked for, and not that Google keeps to it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import obstore

from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores import clients
from amasia.stores.credentials import Keys, administer, lend
from amasia.testing.azurite import ACCOUNT, KEY, Azurite, missing
from amasia.testing.google_storage import GoogleStorage
from show.lines import Line

OWN, SIBLING, STRANGER = "re-1", "re-10", "re-2"
CACHE = Path(__file__).parents[1] / ".tools" / "azurite"
_PUT = {"x-ms-blob-type": "BlockBlob"}


@dataclass(frozen=True)
class Try:
    name: str
    method: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    reads: bool = False
    """Whether it is a part of the right to read an object, and of what the object is."""
    never: bool = False
    """Whether it is no part of the right to write, either."""


AZURE_OBJECT = (
    Try("Get Blob", "GET", reads=True),
    Try("Get Blob Properties", "HEAD", reads=True),
    Try("Get Blob Metadata", "GET", "comp=metadata", reads=True),
    Try("Get Block List", "GET", "comp=blocklist", reads=True),
    Try("Get Account Information", "GET", "restype=account&comp=properties", reads=True),
    Try("Get Blob Tags", "GET", "comp=tags", never=True),
    Try("Set Blob Tags", "PUT", "comp=tags", never=True),
    Try("Put Blob", "PUT", headers=_PUT),
    Try("Put Blob if new", "PUT", headers=_PUT | {"If-None-Match": "*"}),
    Try("Put Append Blob", "PUT", headers={"x-ms-blob-type": "AppendBlob"}),
    Try("Append Block", "PUT", "comp=appendblock"),
    Try("Put Page Blob", "PUT", headers={"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "512"}),
    Try("Put Block", "PUT", "comp=block&blockid=AAAA"),
    Try("Put Block List", "PUT", "comp=blocklist"),
    Try("Set Blob Metadata", "PUT", "comp=metadata", {"x-ms-meta-a": "b"}),
    Try("Set Blob Properties", "PUT", "comp=properties", {"x-ms-blob-content-type": "a/b"}),
    Try("Set Blob Tier", "PUT", "comp=tier", {"x-ms-access-tier": "Cool"}),
    Try("Snapshot Blob", "PUT", "comp=snapshot"),
    Try("Lease Blob", "PUT", "comp=lease", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "15"}),
    Try("Break Lease", "PUT", "comp=lease", {"x-ms-lease-action": "break", "x-ms-lease-break-period": "0"}),
    Try("Undelete Blob", "PUT", "comp=undelete"),
    Try("Set Immutability Policy", "PUT", "comp=immutabilityPolicies", never=True),
    Try("Set Legal Hold", "PUT", "comp=legalhold", {"x-ms-legal-hold": "true"}, never=True),
    Try("Delete Blob", "DELETE", never=True),
)
AZURE_CONTAINER = (
    Try("List Blobs", "GET", "restype=container&comp=list"),  # the repository's own container
    Try("List Blobs below", "GET", f"restype=container&comp=list&prefix=lab/{OWN}/"),
    Try("Find Blobs by Tags", "GET", "restype=container&comp=blobs&where=a%3D%27b%27", never=True),
    Try("Get Container Properties", "GET", "restype=container", never=True),
    Try("Get Container Access", "GET", "restype=container&comp=acl", never=True),
    Try("Set Container Access", "PUT", "restype=container&comp=acl", {"x-ms-blob-public-access": "blob"}, never=True),
    Try("Set Container Metadata", "PUT", "restype=container&comp=metadata", {"x-ms-meta-a": "b"}, never=True),
    Try("Lease Container", "PUT", "restype=container&comp=lease", {"x-ms-lease-action": "acquire"}, never=True),
    Try("Create Container", "PUT", "restype=container", never=True),
    Try("Batch", "POST", "restype=container&comp=batch", never=True),
    Try("Delete Container", "DELETE", "restype=container", never=True),
)
AZURE_SERVICE = (
    Try("List Containers", "GET", "comp=list", never=True),
    Try("Find Blobs by Tags anywhere", "GET", "comp=blobs&where=a%3D%27b%27", never=True),
    Try("Get Service Properties", "GET", "restype=service&comp=properties", never=True),
    Try("Set Service Properties", "PUT", "restype=service&comp=properties", never=True),
    Try("Get User Delegation Key", "POST", "restype=service&comp=userdelegationkey", never=True),
)
GOOGLE_OBJECT = (
    Try("GET Object", "GET", reads=True),
    Try("HEAD Object", "HEAD", reads=True),
    Try("PUT Object", "PUT"),
    Try("PUT Object if new", "PUT", headers={"x-goog-if-generation-match": "0"}),
    Try("POST uploads", "POST", "uploads"),
    Try("DELETE Object", "DELETE"),  # the right to replace it, there
)
GOOGLE_BUCKET = (
    (Try("GET Bucket", "GET", "list-type=2", never=True), "bucket"),
    (Try("GET Bucket below", "GET", f"list-type=2&prefix=lab/{OWN}/"), "own"),
    (Try("GET Bucket beginning alike", "GET", f"list-type=2&prefix=lab/{OWN}", never=True), "bucket"),
    (Try("GET Bucket below another", "GET", f"list-type=2&prefix=lab/{SIBLING}/", never=True), "sibling"),
)


def lines(base: Path) -> Iterator[Line]:
    google = GoogleStorage()
    google.start()
    try:
        bucket = Bucket(workspace="lab", name="g", kind=BucketKind.gcs, uri="gs://lake", endpoint=google.endpoint,
                        private_endpoint=True)  # fmt: skip
        yield from _leaks("Google's store (a server of ours)", bucket, Keys(secret_key=google.key()), _google)
    finally:
        google.stop()
    if why := missing(CACHE):
        yield Line(3, "leaked credentials on Azure", "not run", "only what is its own", True, why)
        return
    azurite = Azurite(CACHE, base / "azurite")
    azurite.start()
    try:
        bucket = Bucket(workspace="lab", name="a", kind=BucketKind.azure, uri=f"az://{ACCOUNT}",
                        endpoint=azurite.endpoint, private_endpoint=True)  # fmt: skip
        yield from _leaks("Azure (Azurite)", bucket, Keys(secret_key=KEY), _azure)
    finally:
        azurite.stop()


def _leaks(
    where: str, bucket: Bucket, keys: Keys, sent: Callable[[Lease, list[Lease]], Iterator[tuple[Try, str, bool]]]
) -> Iterator[Line]:
    for mode in Mode:
        owners = [administer(bucket, keys, one, "data", "lab") for one in (OWN, SIBLING, STRANGER)]
        for owner in owners:
            obstore.put(clients.open(owner), f"{owner.prefix}/a", owner.prefix.encode(), use_multipart=False)
        before = _contents(owners)
        tried = list(sent(lend(bucket, keys, OWN, "data", "lab", mode, "thief"), owners))
        after = _contents(owners)
        good = {(one.name, place) for one, place, _ in tried
                if place == "own" and (one.reads or (mode is Mode.write and not one.never))}  # fmt: skip
        wrong = sorted(
            f"{one.name} {place}" for one, place, passed in tried if passed and (one.name, place) not in good
        )
        read = any(one.reads and place == "own" and passed for one, place, passed in tried)
        # A writer changes what is its own, and no more.
        passed = ", ".join(sorted({one.name for one, _, passed in tried if passed}))
        watched = [prefix for prefix in before if mode is Mode.read or prefix != owners[0].prefix]
        changed = [prefix for prefix in watched if before[prefix] != after[prefix]]
        yield Line(
            3, f"a leaked {mode.value} credential on {where}",
            f"{len(tried)} tries of {len({one.name for one, _, _ in tried})} requests, {len(wrong)} trespasses, "
            f"{len(changed)} repositories changed",
            "only what is its own is read" if mode is Mode.read else "only what is its own is read and written",
            not wrong and not changed and read,
            ", ".join([*wrong, *changed]) or f"passed: {passed}",
        )  # fmt: skip


def _azure(lease: Lease, owners: list[Lease]) -> Iterator[tuple[Try, str, bool]]:
    root = lease.endpoint
    names = ("own", "sibling", "stranger")
    with httpx2.Client(timeout=20) as client:
        for one in sorted(AZURE_OBJECT, key=lambda one: "Delete" in one.name):
            for name, owner in reversed(list(zip(names, owners, strict=True))):
                yield one, name, _sent(client, one, f"{root}/{owner.bucket}/{owner.prefix}/a", lease.session_token)
        for source in owners[1:]:
            stolen = f"{root}/{source.bucket}/{source.prefix}/a"
            # Not with x-ms-requires-sync: within one account Azurite asks for no right to the source of such a copy,
            # where Azure's documentation does. What it would do here says nothing of Azure.
            for kind in ({}, _PUT):
                one = Try("Copy Blob", "PUT", headers={"x-ms-copy-source": f"{stolen}?{lease.session_token}", **kind},
                          never=True)  # fmt: skip
                into = f"{root}/{lease.bucket}/stolen"
                yield (
                    one,
                    "from-another",
                    (
                        _sent(client, one, into, lease.session_token)
                        and client.get(f"{into}?{lease.session_token}").text == source.prefix
                    ),
                )
        for one in sorted(AZURE_CONTAINER, key=lambda one: "Delete" in one.name):
            for name, owner in reversed(list(zip(names, owners, strict=True))):
                yield one, name, _sent(client, one, f"{root}/{owner.bucket}", lease.session_token)
        for one in AZURE_SERVICE:
            yield one, "service", _sent(client, one, root, lease.session_token)


def _google(lease: Lease, owners: list[Lease]) -> Iterator[tuple[Try, str, bool]]:
    root = f"{lease.endpoint}/{lease.bucket}"
    keys = {
        "root": "a", "stranger": f"{owners[2].prefix}/a",
        "sibling": f"{owners[1].prefix}/a", "own": f"{lease.prefix}/a",
    }  # fmt: skip
    right = {"Authorization": f"Bearer {lease.session_token}"}
    with httpx2.Client(timeout=20, headers=right) as client:
        for one in GOOGLE_OBJECT:
            for name, key in keys.items():
                yield one, name, _sent(client, one, f"{root}/{key}")
        for source in owners[1:]:
            one = Try("PUT Object copy", "PUT", headers={"x-goog-copy-source": f"{lease.bucket}/{source.prefix}/a"})
            into = f"{root}/{lease.prefix}/stolen"
            yield one, "from-another", _sent(client, one, into) and client.get(into).text == source.prefix
        for one, name in GOOGLE_BUCKET:
            yield one, name, _sent(client, one, root)
        again = Try("token exchange", "POST", never=True)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": lease.session_token,
                "options": '{"accessBoundary": {"accessBoundaryRules": []}}'}  # fmt: skip
        yield again, "service", client.post(f"{lease.endpoint}/v1/token", data=form).is_success


def _sent(client: httpx2.Client, one: Try, url: str, signature: str = "") -> bool:
    query = "&".join(part for part in (one.query, signature) if part)
    body = b"trespass" if one.method in ("PUT", "POST") and "PageBlob" not in one.headers.values() else None
    answer = client.request(one.method, f"{url}?{query}" if query else url, headers=one.headers, content=body)
    return answer.is_success


def _contents(owners: list[Lease]) -> dict[str, str]:
    """What each repository holds, by its prefix."""
    found = {}
    for owner in owners:
        store = clients.open(owner)
        names = sorted(one["path"] for page in obstore.list(store) for one in page) if owner.account else sorted(
            one["path"] for page in obstore.list(store, owner.prefix) for one in page)  # fmt: skip
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode() + obstore.get(store, name).bytes().to_bytes())
        found[owner.prefix] = digest.hexdigest()
    return found
