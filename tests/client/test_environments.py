import hashlib
import json

import httpx2
import pytest

from amasia.client import environments
from amasia.client.transport import Connection
from amasia.environments.capture import Captured
from amasia.errors import Conflict
from amasia.models.environments import Artifact, Environment, EnvironmentRecord


class ControlPlane:
    """The two routes, with their memory."""

    def __init__(self) -> None:
        self.bytes: dict[str, bytes] = {}
        self.requests: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        noun, name = request.url.path.split("/")[-2:]
        if noun == "artifacts":
            assert hashlib.sha256(request.content).hexdigest() == name
            self.bytes[name] = request.content
            return httpx2.Response(204)
        environment = Environment.model_validate(json.loads(request.content))
        assert environment.hash == name
        missing = tuple(one.sha256 for one in environment.artifacts() if one.sha256 not in self.bytes)
        record = EnvironmentRecord(workspace="demo", hash=name, environment=environment, missing=missing)
        return httpx2.Response(200, content=record.model_dump_json())


@pytest.fixture
def captured(tmp_path) -> Captured:
    files = {}
    wheels = []
    for text in ("one", "two"):
        digest = hashlib.sha256(text.encode()).hexdigest()
        files[digest] = tmp_path / f"{text}.whl"
        files[digest].write_text(text)
        wheels.append(Artifact(filename=f"{text}.whl", sha256=digest, size=3))
    return Captured(Environment(python="3.13.0", pylock="", wheels=tuple(wheels)), files)


def test_only_what_is_missing_is_sent(captured):
    server = ControlPlane()
    connection = Connection("http://test", transport=httpx2.MockTransport(server))
    server.bytes[captured.environment.wheels[0].sha256] = b"one"
    said: list[str] = []
    assert environments.ensure(connection, "demo", captured, said.append) == captured.environment.hash
    assert said == ["sending two.whl"]
    assert len(server.requests) == 2
    environments.ensure(connection, "demo", captured)
    assert len(server.requests) == 3


def test_a_file_that_nobody_has_is_a_clear_error(captured):
    connection = Connection("http://test", transport=httpx2.MockTransport(ControlPlane()))
    with pytest.raises(Conflict, match="has none such"):
        environments.ensure(connection, "demo", Captured(captured.environment, {}))
