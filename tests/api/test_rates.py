"""Requests: what a workspace may make in a second, and that others are answered while it makes more."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from httpx2 import Client

from amasia import errors
from amasia.agent.heartbeats import fetch
from amasia.api import app
from amasia.client import transport
from amasia.client.transport import Connection
from amasia.models.base import Page
from amasia.models.clusters import Cluster
from amasia.models.limits import LimitsRequest
from amasia.models.users import Scope
from amasia.services import access, limits
from amasia.services.rates import BURST, Rates
from tests.conftest import SECRETS
from tests.serving import serving

LIST = "/v1/workspaces/{0}/clusters"


class Clock:
    def __init__(self):
        self.at = 100.0

    def __call__(self):
        return self.at


def test_a_bucket_holds_some_seconds_worth_and_fills_as_time_passes():
    clock = Clock()
    rates = Rates(lambda _: 2, lambda *_: True, clock)
    assert [rates.take("ada", "lab")[2] for _ in range(2 * BURST)] == [0] * 2 * BURST
    assert rates.take("bo", "lab")[2] == pytest.approx(0.5)
    clock.at += 0.25
    assert rates.take("ada", "lab")[2] == pytest.approx(0.25)
    clock.at += 0.25
    assert rates.take("ada", "lab")[2] == 0
    clock.at += 1000
    assert [rates.take("ada", "lab")[2] > 0 for _ in range(2 * BURST + 1)] == [False] * 2 * BURST + [True]


def test_who_is_outside_uses_up_their_own_and_not_the_workspaces():
    rates = Rates(lambda _: 1, lambda user, _: user == "ada", Clock())
    for _ in range(BURST):
        assert rates.take("eve", "lab")[2] == 0
    assert rates.take("eve", "lab")[2] > 0
    assert rates.take("eve", "elsewhere")[2] > 0
    assert rates.take("ada", "lab")[2] == 0
    assert rates.take("ada", "")[2] == 0


def test_what_is_no_name_of_a_workspace_is_neither_looked_up_nor_remembered():
    rates = Rates(lambda _: 1, lambda *_: pytest.fail("it looked"), Clock())
    waits = [rates.take("eve", f"{number}" + "x" * 60_000)[2] for number in range(BURST + 1)]
    assert (waits[:-1], waits[-1] > 0) == ([0] * BURST, True)


def test_no_limit_counts_nothing():
    rates = Rates(lambda _: 0, lambda *_: True, Clock())
    assert {rates.take("ada", "lab")[2] for _ in range(1000)} == {0}


@pytest.fixture
def slow_api(world):
    """Where lab may make one request a second, and everybody else as many as they like."""
    settings = world.settings.model_copy(update={"limit_requests": 0})
    limits.put(world.db, world.ada, settings, "lab", LimitsRequest(requests=1))
    return app.create(world.db, settings, lend=lambda *_: None)


def get(api, name, workspace):
    headers = {"Authorization": f"Bearer {SECRETS[name]}"}
    return TestClient(api, headers=headers).get(LIST.format(workspace))


def test_one_too_many_is_told_when_to_come_again_and_the_others_are_answered(slow_api):
    slow_api.state.rates._clock = Clock()  # however long these requests take
    for _ in range(BURST):
        assert get(slow_api, "ada", "lab").status_code == 200
    refused = get(slow_api, "bo", "lab")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "More than 1 requests a second came from the workspace 'lab'." in refused.json()["message"]
    assert get(slow_api, "eve", "other").status_code == 200
    assert get(slow_api, "eve", "lab").status_code == 404


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_who_was_refused_is_refused_again_without_a_look_at_the_database(slow_api, world, monkeypatch):
    slow_api.state.rates._clock = Clock()
    while get(slow_api, "ada", "lab").status_code == 200:
        pass
    with monkeypatch.context() as patch:
        patch.setattr(world.db, "read", lambda: pytest.fail("it looked"))
        assert get(slow_api, "ada", "lab").status_code == 429
    assert get(slow_api, "ada", "nowhere").status_code == 404


def test_a_token_of_another_workspace_uses_up_nothing_here(slow_api, world):
    with world.db.write() as tx:
        bound = access.issue_token(tx, "ada", "x", Scope.everything, timedelta(hours=1), workspace="other").secret
    headers = {"Authorization": f"Bearer {bound}"}
    for _ in range(BURST + 1):
        assert TestClient(slow_api, headers=headers).get(LIST.format("lab")).status_code == 404
    assert get(slow_api, "ada", "lab").status_code == 200


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_our_client_waits_and_comes_again(slow_api):
    with serving(slow_api) as url:
        link, begun = Connection(url, SECRETS["ada"]), time.monotonic()
        for _ in range(BURST + 2):
            link.get(LIST.format("lab"), Page[Cluster])
        assert 1 <= time.monotonic() - begun < 30
        link.close()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_machine_goes_on_asking_for_its_environment_when_a_client_would_give_up(slow_api, monkeypatch):
    monkeypatch.setattr(transport, "PATIENCE", 0)
    while get(slow_api, "ada", "lab").status_code == 200:
        pass
    with serving(slow_api) as url:
        link = Connection(url, SECRETS["bo"])
        with pytest.raises(errors.TooOften):
            link.download(LIST.format("lab"))
        assert b"items" in fetch(link, LIST.format("lab"), threading.Event())
        link.close()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_flood_of_one_tenant_leaves_the_others_their_answers(world):
    """Eight connections that do not wait when they are told to; what is bounded is the other tenant's latency."""
    settings = world.settings.model_copy(update={"limit_requests": 20})
    api = app.create(world.db, settings, lend=lambda *_: None)
    ended, asked, answered = threading.Event(), [], []

    def flood(url):
        with Client(base_url=url, headers={"Authorization": f"Bearer {SECRETS['ada']}"}, timeout=30) as client:
            while not ended.is_set():
                asked.append(client.get(LIST.format("lab")).status_code)

    with serving(api) as url, ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        for _ in range(8):
            pool.submit(flood, url)
        while 429 not in asked:
            time.sleep(0.01)
        with Client(base_url=url, headers={"Authorization": f"Bearer {SECRETS['eve']}"}, timeout=30) as client:
            for _ in range(30):
                at = time.monotonic()
                assert client.get(LIST.format("other")).status_code == 200
                answered.append(time.monotonic() - at)
        ended.set()
        lasted = time.monotonic() - begun
    assert asked.count(200) <= 20 * (lasted + BURST) + 1
    assert asked.count(429) > 30
    assert sorted(answered)[-2] < 1.0, answered
