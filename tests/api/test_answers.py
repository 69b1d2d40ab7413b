"""What nobody thought of is answered in our own words by a real server, and told once in its log."""

import logging
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from logging.handlers import BufferingHandler
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from amasia.web import app as web
from tests.client.conftest import serving


def bug(_: Request) -> None:
    raise ZeroDivisionError("of what went wrong")


def half(_: Request) -> StreamingResponse:
    def lines() -> Iterator[bytes]:
        yield b"one\n"
        raise ZeroDivisionError("of what went wrong")

    return StreamingResponse(lines())


@pytest.fixture
def link(api, world) -> Iterator[HTTPConnection]:
    """One connection to an API and a console that have bugs."""
    web.install(api, world.db, world.settings)
    for app, begin in ((api, "/v1"), (api.router.routes[-1].app.app, "/-")):
        app.router.routes[:0] = [Route(f"{begin}/bug", bug, methods=["POST"]), Route(f"{begin}/half", half)]
    with serving(api) as url:
        made = HTTPConnection(urlsplit(url).netloc, timeout=20)
        yield made
        made.close()


@pytest.fixture
def logged(link, caplog) -> Iterator[tuple[list[dict], list[logging.LogRecord]]]:
    """What we log, and what the server logs by itself."""
    server, kept = logging.getLogger("uvicorn.error"), BufferingHandler(capacity=100)
    server.addHandler(kept)
    with capture_logs() as ours, caplog.at_level(logging.ERROR, server.name):
        yield ours, kept.buffer
    server.removeHandler(kept)


@pytest.mark.parametrize(("begin", "kind"), [("/v1", "application/json"), ("/-", "text/html; charset=utf-8")])
def test_a_bug_is_a_500_with_its_id_on_a_connection_that_stays_and_once_in_the_log(link, logged, begin, kind):
    ours, servers = logged
    link.request("POST", f"{begin}/bug", body=b"read by nobody" * 100_000)
    answer = link.getresponse()
    text = answer.read().decode()
    assert (answer.status, answer.headers["content-type"]) == (500, kind)
    assert "of what went wrong" not in text
    connection = link.sock
    link.request("GET", "/v1/health")
    assert link.getresponse().read()
    assert link.sock is connection is not None
    (told,) = ours
    assert f"This is a bug in Amasia (id {told['id']})." in text
    assert str(told["exc_info"]) == "of what went wrong"
    assert servers == []


@pytest.mark.parametrize("begin", ["/v1", "/-"])
def test_an_answer_that_a_bug_broke_off_is_seen_to_be_broken_and_is_once_in_the_log(link, logged, begin):
    ours, servers = logged
    link.request("GET", f"{begin}/half")
    with pytest.raises(IncompleteRead) as broken:
        link.getresponse().read()
    assert broken.value.partial == b"one\n"
    (told,) = servers
    assert ours == []
    assert "ZeroDivisionError: of what went wrong" in logging.Formatter().format(told)
