"""Secrets and keys as people say them, against a real API: set, listed, removed, and never given back."""

import json

import pytest
from typer.testing import CliRunner

from amasia import errors
from amasia.cli.keys import app as key_app
from amasia.cli.secrets import app
from amasia.client import clusters, keys, secrets, workspaces
from amasia.models.clusters import ClusterSpec
from amasia.reconcilers import keys as reconciler
from tests.client.conftest import ControlPlane

RUNNER = CliRunner()
VALUE = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n-----END KEY-----"


def run(app, *words, stdin=None, status=0):
    done = RUNNER.invoke(app, list(words), input=stdin)
    assert done.exit_code == status, (done.output, done.exception)
    return done.output


def test_a_secret_is_set_from_stdin_listed_and_removed(control_plane: ControlPlane) -> None:
    assert "No secret yet" in run(app, "list")
    assert "set for user:ada" in run(app, "set", "KEY_1", stdin=VALUE + "\n")
    run(app, "set", "KEY_2", "--for", "everyone", "--json", stdin=VALUE + "\n")
    found = json.loads(run(app, "list", "--json"))
    assert [(one["name"], one["grantee"], one["set_by"], one["last_used_at"]) for one in found] == [
        ("KEY_1", "user:ada", "ada", None), ("KEY_2", "everyone", "ada", None)]  # fmt: skip
    assert "MIIE" not in run(app, "list") + run(app, "list", "--json") + secrets.find()._repr_html_()
    assert "<td>KEY_2</td><td>everyone</td>" in secrets.find()._repr_html_()
    run(app, "remove", "KEY_2", "--for", "everyone", "--yes")
    assert [one.name for one in secrets.find()] == ["KEY_1"]
    with pytest.raises(errors.NotFound, match="everyone has no secret 'KEY_2'"):
        secrets.remove("KEY_2", grantee="everyone")


def test_no_answer_of_the_api_holds_a_value(control_plane: ControlPlane) -> None:
    made = secrets.set("KEY_1", VALUE)
    said = [made.model_dump_json(), repr(made)]
    for path in ("secrets", "events", "clusters", "members"):
        said.append(control_plane.link.send("GET", f"/v1/workspaces/demo/{path}").text)
    assert "MIIE" not in "".join(said)


@pytest.mark.parametrize(
    ("name", "value", "grantee"),
    [("KEY_1", "tiny1", None), ("KEY_1", VALUE, "bo"), ("KEY_1", VALUE, "public"), ("KEY-1", VALUE, None),
     ("PATH", VALUE, None), ("KEY_1", VALUE, "user:nobody")],
)  # fmt: skip
def test_what_cannot_be_a_secret_is_refused_in_words_that_do_not_repeat_it(control_plane, name, value, grantee) -> None:
    with pytest.raises((errors.InvalidRequest, errors.NotFound)) as caught:
        secrets.set(name, value, grantee=grantee)
    assert caught.value.cure
    assert value not in str(caught.value)


def test_a_member_sets_their_own_and_nobody_elses(control_plane: ControlPlane) -> None:
    bo = control_plane.another("bo")
    workspaces.set_member("bo", "member")
    secrets.set("KEY_1", VALUE, connection=bo)
    with pytest.raises(errors.PermissionDenied, match="bo may set their own"):
        secrets.set("KEY_1", VALUE, grantee="everyone", connection=bo)
    assert [one.grantee for one in secrets.find("demo", connection=bo)] == ["user:bo"]
    workspaces.set_member("bo", "viewer")
    with pytest.raises(errors.PermissionDenied):
        secrets.find("demo", connection=bo)


def test_a_cluster_with_an_unknown_secret_is_refused_with_the_cure(control_plane: ControlPlane) -> None:
    with pytest.raises(errors.NotFound, match="no secret KEY_9") as caught:
        clusters.quote(ClusterSpec(secrets=("KEY_9",)))
    assert "amasia secret set KEY_9" in caught.value.cure
    with pytest.raises(errors.InvalidRequest, match="PATH"):
        __import__("amasia").Cluster(secrets=["PATH"])


def test_keys_turn_by_one_command_of_an_operator(control_plane: ControlPlane, monkeypatch) -> None:
    secrets.set("KEY_1", VALUE)
    before = keys.get()
    wish = keys.rotate()
    assert (wish.turned, wish.number > before.number) == (False, True)
    monkeypatch.setattr("amasia.cli.keys.sleep", lambda _: reconciler.reconcile(control_plane.db))
    said = json.loads(run(key_app, "rotate", "--json"))
    assert (said["number"], said["older"], said["reason"]) == (wish.number, 0, "")
    assert "everything is sealed with it" in run(key_app, "show")
    with pytest.raises(errors.PermissionDenied, match="operators"):
        keys.rotate(connection=control_plane.another("bo"))
