"""Sign-in by OpenID Connect: to the issuer and back, by Authlib, with PKCE, state and nonce.

What must be remembered on the way is in a signed cookie of the browser, for ten minutes, so that any control plane of
several can take the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from httpx2 import HTTPError
from joserfc.errors import JoseError
from pydantic import ValidationError
from starlette.middleware.sessions import SessionMiddleware

from amasia import errors
from amasia.client import trust
from amasia.database.engine import Database
from amasia.models.identities import Claims
from amasia.services import access, identities
from amasia.services import claims as rules
from amasia.settings import ClientSettings, Issuer, ServerSettings, issuers
from amasia.web.access import Db, Settings, Who, cookie_name, keep, local, principal, source

log = structlog.get_logger()
router = APIRouter(prefix="/-")

ON_THE_WAY = 600
"""Seconds that a sign-in at the issuer may take."""
INVITATION, WHERE, LINK = "invitation", "next", "link"
"""What the cookie remembers besides Authlib's own."""


PLAIN = ":/%#?=@[]!$&'()*+,~"
"""What stays as it is in an address."""


class Providers:
    """The issuers that this control plane trusts, each with its client."""

    def __init__(self, found: tuple[Issuer, ...]) -> None:
        rules.check(found)
        self.issuers = {one.name: one for one in found}
        self._clients = OAuth()
        for one in found:
            self._clients.register(
                one.name,
                client_id=one.client_id,
                client_secret=one.secret() or None,
                server_metadata_url=f"{one.url.rstrip('/')}/.well-known/openid-configuration",
                client_kwargs={
                    "scope": one.scopes,
                    "code_challenge_method": "S256",
                    "token_endpoint_auth_method": "client_secret_basic" if one.secret() else "none",
                    "timeout": 10,
                    "verify": trust.context(ClientSettings().ca),
                },
            )

    def client(self, name: str) -> tuple[Issuer, Any]:
        if name not in self.issuers:
            raise errors.NotFound(f"There is no way to sign in by {name!r}.", cure="Choose one of the sign-in page.")
        return self.issuers[name], self._clients.create_client(name)


def install(app: FastAPI, db: Database, settings: ServerSettings) -> None:
    app.state.providers = Providers(issuers(settings))
    app.add_middleware(
        SessionMiddleware,
        secret_key=db.derive("console", "on the way"),
        session_cookie=f"{cookie_name(settings).removeprefix('__Host-')}-way",
        max_age=ON_THE_WAY,
        path="/-/",
        # Lax, since the way back begins at the issuer.
        same_site="lax",
        https_only=settings.url.startswith("https://"),
    )


async def providers(request: Request) -> Providers:
    found: Providers = request.app.state.providers
    return found


Known = Annotated[Providers, Depends(providers)]


@router.get("/sign-in/{name}")
async def begin(request: Request, known: Known, settings: Settings, name: str, next: str = "/") -> Response:
    return await _begin(request, known, settings, name, {WHERE: local(next)})


@router.post("/account/link/{name}")
async def begin_link(request: Request, db: Db, known: Known, settings: Settings, who: Who, name: str) -> Response:
    """As a form of our own page, so that no other site makes somebody link an identity."""
    await run_in_threadpool(access.require_person, db, who, request.url.path, writing=True)
    return await _begin(request, known, settings, name, {WHERE: "/-/account", LINK: who.user})


@router.get("/sign-in/{name}/callback")
async def back(request: Request, db: Db, known: Known, settings: Settings, name: str) -> Response:
    """The issuer's answer; the code in it is exchanged here and now, and never shown to a page."""
    issuer, client = known.client(name)
    claims = await _claims(request, issuer, client)
    where, linked = local(request.session.get(WHERE, "/")), request.session.get(LINK, "")
    code = request.session.get(INVITATION, "")
    request.session.clear()
    if linked:
        # The strict cookie does not come along from another site, so the page asks again, and says who is asking.
        request.session[LINK] = {"user": linked, "claims": claims.model_dump(exclude={"said"})}
        return _on("/-/account/linked")
    made = await run_in_threadpool(identities.sign_in, db, settings, issuer, claims, source(request), code=code)
    answer = _on(where)
    keep(answer, settings, made.secret)
    return answer


@router.get("/account/linked")
def linked(request: Request, db: Db) -> Response:
    """The end of `begin_link`, in the session of whoever began it."""
    who, told = principal(request), request.session.pop(LINK, None)
    if not isinstance(told, Mapping) or told.get("user") != who.user:
        raise errors.PermissionDenied("This was begun by somebody else.", cure="Begin again from your account's page.")
    identities.link(db, who, Claims.model_validate(told["claims"]))
    return _on("/-/account")


async def _begin(
    request: Request, known: Providers, settings: ServerSettings, name: str, remembered: Mapping[str, str]
) -> Response:
    issuer, client = known.client(name)
    try:
        answer = await client.authorize_redirect(request, f"{settings.url}/-/sign-in/{name}/callback")
    except (HTTPError, OAuthError, ValueError, KeyError, RuntimeError) as error:
        raise _unreachable(issuer, error) from error
    request.session.pop(LINK, None)
    request.session.update(remembered)
    # A page of ours that leads on: a form may not be redirected to another site.
    return _on(str(answer.headers["location"]))


async def _claims(request: Request, issuer: Issuer, client: Any) -> Claims:
    """What the issuer says, with its signature, audience, times, nonce and issuer checked."""
    try:
        token = await client.authorize_access_token(
            request, claims_options={"iss": {"essential": True, "value": issuer.url}}
        )
        said = dict(token["userinfo"])
        if "userinfo_endpoint" in client.server_metadata:
            more = dict(await client.userinfo(token=token))
            if more.get("sub") != said["sub"]:
                raise OAuthError("mismatch", "it told of two people")
            said = more | said
    except HTTPError as error:
        raise _unreachable(issuer, error) from error
    except (OAuthError, JoseError, ValueError, KeyError, TypeError) as error:
        log.warning("a sign-in failed", issuer=issuer.url, error=f"{type(error).__name__}: {error}")
        raise errors.PermissionDenied(
            f"{issuer.called} did not confirm this sign-in ({_why(error)}).", cure="Begin again from the sign-in page."
        ) from error
    return _read(issuer, said)


def _read(issuer: Issuer, said: dict[str, Any]) -> Claims:
    try:
        return Claims(
            issuer=issuer.url,
            subject=str(said["sub"]),
            provider=issuer.called,
            email=str(said.get("email", ""))[:320],
            name=str(said.get(issuer.name_claim, ""))[:200],
            said=said,
        )
    except ValidationError as error:
        raise errors.PermissionDenied(
            f"{issuer.called} did not say who this is.", cure="Tell its administrator."
        ) from error


def _why(error: Exception) -> str:
    """In the protocol's own words, such as ``access_denied``; never what was sent."""
    return str(getattr(error, "error", "")) or type(error).__name__


def _unreachable(issuer: Issuer, error: Exception) -> errors.Unavailable:
    log.warning("an issuer does not answer", issuer=issuer.url, error=f"{type(error).__name__}: {error}")
    return errors.Unavailable(
        f"{issuer.called} at {issuer.url} does not answer as an issuer of OpenID Connect.",
        cure="Try again in a moment; an operator finds more in the control plane's log.",
    )


def _on(where: str) -> Response:
    """A page that leads on by itself. The next request is our own page's, so that a strict cookie goes with it."""
    return Response(headers={"Refresh": f"0; url={quote(where, safe=PLAIN)}"}, media_type="text/html")
