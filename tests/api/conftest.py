"""The API in process, on a real database."""

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import start_blocking_portal
from fastapi.testclient import TestClient

from amasia.api import app
from amasia.models.repositories import Lease


@pytest.fixture
def api(world):
    def lend(place, mode, principal, seconds):
        repository = place.repository
        return Lease(
            repository=repository.name,
            workspace=repository.workspace,
            mode=mode,
            kind=place.bucket.kind,
            bucket="b",
            prefix=repository.id,
        )

    return app.create(world.db, world.settings, lend=lend, local_offers=())


@pytest.fixture
def as_(api) -> Iterator[Callable[[str], TestClient]]:
    """A client that sends this token. All share one event loop: one for each request takes most of a test's time."""
    with start_blocking_portal() as portal:

        def client(secret: str) -> TestClient:
            headers = {"Authorization": f"Bearer {secret}"} if secret else {}
            made = TestClient(api, headers=headers, raise_server_exceptions=False)
            made.portal = portal
            return made

        yield client
