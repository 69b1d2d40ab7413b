import json

import pytest

from amasia import errors
from amasia.cli import publications as cli
from amasia.client import accounts, publications, repositories
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Principal, Scope
from amasia.services import repositories as services
from tests.client.conftest import ControlPlane, _demo, control_plane  # noqa: F401  # a fixture


@pytest.fixture
def published(control_plane: ControlPlane) -> str:  # noqa: F811
    ada = Principal(user="ada", operator=True, scope=Scope.everything, token_id="t")
    made = services.create(control_plane.db, ada, "demo", RepositoryRequest(name="sst"))
    services.made(control_plane.db, made)
    return "demo/sst"


def test_on_shows_the_addresses_and_list_and_show_too(published: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.on(published, tiles=True, opendap=True)
    assert "http://127.0.0.1:8644/demo/sst/opendap" in capsys.readouterr().out
    cli.list_(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [(one["repository"], list(one["addresses"]), one["public"]) for one in told] == [
        ("sst", ["tiles", "opendap"], False)
    ]
    cli.show(published)
    assert "its readers" in capsys.readouterr().out
    cli.off(published)
    assert publications.find("demo") == []
    with pytest.raises(errors.NotFound, match="No repository demo/sst is published"):
        cli.show(published)


def test_without_a_protocol_nothing_is_turned_on(published: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="No protocol"):
        cli.on(published)
    with pytest.raises(errors.InvalidRequest):
        publications.put(published, ["wms"])
    assert repositories.find("demo")[0].name == "sst"
    assert publications.find("demo") == []


def test_serving_needs_an_operator(
    control_plane: ControlPlane,  # noqa: F811
    published: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    with pytest.raises(errors.Unavailable, match="not installed"):
        cli.serve()
    with pytest.raises(errors.PermissionDenied):
        accounts.create_token("x", scope="publish", connection=control_plane.another("cy"))
