"""A real SeaweedFS, once per test process, and repositories in it and in plain directories."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from amasia import ports
from amasia.models.base import new_id, now
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores import repositories
from amasia.stores.credentials import Keys, administer, lend
from amasia.stores.embedded import EmbeddedStore
from amasia.testing.azurite import ACCOUNT, KEY, Azurite, missing
from amasia.testing.google_storage import GoogleStorage

CACHE = Path(__file__).parents[2] / ".tools" / "azurite"


@dataclass(frozen=True)
class Lending:
    """A picklable source that asks the store's broker itself, as the control plane would."""

    bucket: Bucket
    keys: Keys
    repository_id: str
    mode: str = "write"
    seconds_left: int = 3600

    def __call__(self) -> Lease:
        if self.mode == "administer":
            return administer(self.bucket, self.keys, self.repository_id, "reanalysis", "demo")
        lease = lend(self.bucket, self.keys, self.repository_id, "reanalysis", "demo", Mode(self.mode), "anna")
        if lease.expires_at is None:
            return lease
        return lease.model_copy(update={"expires_at": now() + timedelta(seconds=self.seconds_left)})

    def as_mode(self, mode: str) -> "Lending":
        return Lending(self.bucket, self.keys, self.repository_id, mode)


@dataclass(frozen=True)
class Place:
    bucket: Bucket
    keys: Keys

    def lending(self, mode: str = "write", repository_id: str = "") -> Lending:
        return Lending(self.bucket, self.keys, repository_id or new_id("re"), mode)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path_factory.mktemp("store"), ports.free())
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="session")
def bucket(store: EmbeddedStore) -> Bucket:
    return Bucket(
        workspace="demo", name="main", kind=BucketKind.embedded, uri=f"s3://{store.bucket}", endpoint=store.endpoint
    )


@pytest.fixture
def on_s3(store: EmbeddedStore, bucket: Bucket) -> Lending:
    """A new repository on the embedded store."""
    return _made(Lending(bucket, store.keys, new_id("re")))


@pytest.fixture
def on_disk(tmp_path: Path) -> Lending:
    """A new repository in a directory."""
    place = Bucket(workspace="demo", name="disk", kind=BucketKind.directory, uri=str(tmp_path / "bucket"))
    return _made(Lending(place, Keys(), new_id("re")))


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleStorage]:
    cloud = GoogleStorage()
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    if why := missing(CACHE):
        pytest.skip(why)
    server = Azurite(CACHE, tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def at_google(google: GoogleStorage) -> Place:
    bucket = Bucket(
        workspace="demo", name="main", kind=BucketKind.gcs, uri="gs://lake/team", endpoint=google.endpoint,
        private_endpoint=True,
    )  # fmt: skip
    return Place(bucket, Keys(secret_key=google.key()))


@pytest.fixture
def at_azure(azurite: Azurite) -> Place:
    bucket = Bucket(
        workspace="demo", name="main", kind=BucketKind.azure, uri=f"az://{ACCOUNT}", endpoint=azurite.endpoint,
        private_endpoint=True,
    )  # fmt: skip
    return Place(bucket, Keys(secret_key=KEY))


@pytest.fixture(params=["google", "azure"])
def elsewhere(request: pytest.FixtureRequest) -> Place:
    """A bucket that speaks no S3, with its broker's keys: once of Google's and once of Azure's."""
    found: Place = request.getfixturevalue(f"at_{request.param}")
    return found


@pytest.fixture(params=["s3", "disk"])
def source(request: pytest.FixtureRequest) -> Lending:
    """A new repository, once on the embedded store and once in a directory."""
    found: Lending = request.getfixturevalue(f"on_{request.param}")
    return found


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[Callable[..., EmbeddedStore]]:
    """Stores of a test's own, which it may kill."""
    made: list[EmbeddedStore] = []

    def make(home: Path | None = None) -> EmbeddedStore:
        made.append(EmbeddedStore(home or tmp_path / f"store{len(made)}", ports.free()))
        return made[-1]

    yield make
    for store in made:
        store.stop()


@pytest.fixture
def lending() -> Callable[[Bucket, Keys], Lending]:
    """Makes a repository in a bucket of the test's own."""
    return lambda bucket, keys: _made(Lending(bucket, keys, new_id("re")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """File systems of a given size; needs root, and a kernel that lets it mount."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(command, check=False, capture_output=True)
        if done.returncode:
            pytest.skip(f"a small disk needs root: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find the classes and functions of these tests by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def _made(lending: Lending) -> Lending:
    repositories.create(lending.as_mode("administer"))
    return lending
