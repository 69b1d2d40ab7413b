"""The only module that knows the wire: one connection to one control plane."""

import random
import re
import socket
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import httpx2
from pydantic import BaseModel, ValidationError

from amasia import errors
from amasia.client import trust, tunnels
from amasia.models.base import Page
from amasia.models.tunnels import gateway_url
from amasia.settings import ClientSettings, client_settings

_CURE_DOWN = "Is it running? `amasia up` starts one on this computer; `amasia status` shows which address is used."


PATIENCE = 60.0
"""Seconds in all that a request is held back where the control plane says when to come again."""
_NO_ADDRESS = re.compile(r"[?#%\\\s\x00-\x1f]|/\.{0,2}(/|$)")


class Connection:
    """Requests to a control plane, with models in and out and errors as their own class.

    Parameters
    ----------
    url
        Of the control plane, such as ``http://127.0.0.1:8642``.
    token
        Sent as a bearer token; empty to send none.
    transport
        An `httpx2` transport; tests pass one that calls the application in process.
    timeout
        Seconds to wait for an answer.
    """

    def __init__(
        self, url: str, token: str = "", transport: httpx2.BaseTransport | None = None, timeout: float = 60
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        settings = ClientSettings()
        trust.extend(settings)
        self._token = token
        limits = httpx2.Limits(keepalive_expiry=25)  # a new one is several round trips; the server keeps them for 30
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            transport=transport,
            limits=limits,
            verify=trust.verified(settings.ca),
        )

    def reach(self, told: str, path: str) -> socket.socket:
        """A stream through the gateway that the control plane told."""
        return tunnels.dial(gateway_url(told, self.url), path, self._token)

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def get[M: BaseModel](self, path: str, model: type[M], **query: Any) -> M:
        return read(self.send("GET", path, query=query), model)

    def items[M: BaseModel](self, path: str, model: type[M], **query: Any) -> Iterator[M]:
        """Every item of a list, page after page."""
        after = query.pop("after", None)
        while True:
            page: Page[M] = self.get(path, Page[model], after=after, **query)  # type: ignore[valid-type]
            yield from page.items
            after = page.next
            if not after:
                return

    def post[M: BaseModel](self, path: str, body: BaseModel | None, model: type[M]) -> M:
        return read(self.send("POST", path, body), model)

    def put[M: BaseModel](self, path: str, body: BaseModel | None, model: type[M]) -> M:
        return read(self.send("PUT", path, body), model)

    def patch[M: BaseModel](self, path: str, body: BaseModel | None, model: type[M]) -> M:
        return read(self.send("PATCH", path, body), model)

    def delete(self, path: str) -> None:
        self.send("DELETE", path)

    def upload(self, path: str, content: bytes) -> None:
        self.send("PUT", path, content=content)

    def download(self, path: str) -> bytes:
        return self.send("GET", path).content

    def send(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        content: bytes | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> httpx2.Response:
        """One request; every failure is raised as an `errors.AmasiaError`.

        Where the answer is that too many came, and when to come again, it waits and does.
        """
        if _NO_ADDRESS.search(path):  # it would be another route, or none
            raise errors.InvalidRequest(
                f"{path!r} is no address: one of the names in it is empty, dots, or has a space or one of ? # % \\ .",
                cure="Names are letters, digits, '-', '_' and '.', and begin with a letter.",
            )
        headers = {}
        if body is not None:
            content = body.model_dump_json().encode()
            headers["Content-Type"] = "application/json"
        params = {key: value for key, value in (query or {}).items() if value is not None}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                response = self._http.request(method, path, content=content, params=params, headers=headers)
            except httpx2.TransportError as error:
                raise errors.ControlPlaneDown(
                    f"The control plane at {self.url} did not answer ({type(error).__name__}: {error}).",
                    cure=_CURE_DOWN,
                ) from error
            if response.is_success:
                return response
            pause = _pause(response)
            if pause is None or time.monotonic() + pause > until:
                raise _error(response, self.url)
            time.sleep(pause)

    def close(self) -> None:
        self._http.close()


def read[M: BaseModel](response: httpx2.Response, model: type[M]) -> M:
    """What was answered; where that is no such thing, the error says so."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise errors.Unavailable(
            f"{response.url} answered {response.status_code} and no {model.__name__} ({where or 'all of it'}: "
            f"{first['msg']}).",
            cure="Is that the address of a control plane, of this version, or of something in front of it?",
        ) from None


def connect() -> Connection:
    """The connection that settings describe; one per url and token in a process."""
    settings = client_settings()
    if not settings.url:
        raise errors.NotSignedIn(
            "No control plane is known here.",
            cure="Run `amasia up` to start one on this computer, or `amasia login URL` to sign in to another.",
        )
    return _connection(settings.url, settings.token.get_secret_value())


def is_connected() -> bool:
    """Whether anything in this process has asked for the connection that settings describe."""
    return _connection.cache_info().currsize > 0


@cache
def _connection(url: str, token: str) -> Connection:
    return Connection(url, token)


def _pause(response: httpx2.Response) -> float | None:
    """Seconds to wait before the same again, a little more for some than for others; None where that is not said."""
    said = response.headers.get("Retry-After", "")
    if response.status_code != errors.TooOften.status or not said.isdecimal():
        return None
    return int(said) * random.uniform(1.0, 1.25)  # noqa: S311


def _error(response: httpx2.Response, url: str) -> errors.AmasiaError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "kind" in body:
        return errors.from_wire(body)
    return errors.Unavailable(
        f"{url} answered {response.status_code} and no Amasia error.",
        cure="Is that the address of a control plane, or of something in front of it?",
    )
