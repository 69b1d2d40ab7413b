"""Line 4: the door: a real issuer in a real browser, a command line that is let in, a member who is removed."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from playwright.sync_api import Page, sync_playwright

from amasia.client.transport import Connection
from amasia.errors import AmasiaError, NotSignedIn
from amasia.models.repositories import Lease, LeaseRequest, Mode
from amasia.models.users import Me, User
from amasia.settings import Issuer
from amasia.testing.issuers import RealIssuer, missing
from show import planes
from show.lines import Line
from show.planes import ROOT, Plane
from tests.browsers import FLAGS

ISSUERS = ROOT / ".tools" / "oidc-provider"
REPOSITORY = "/v1/workspaces/demo/repositories/work"
GOAL = 60
"""Seconds."""
PATIENCE = 90

SCIENTIST = """
import json, os, time
import amasia
from amasia import errors
from amasia.client.transport import Connection
from amasia.models.repositories import Lease, LeaseRequest, Mode

def lent():
    # On a worker: what its task may do, and what it was lent.
    found = Connection(os.environ["AMASIA_URL"], os.environ["AMASIA_TOKEN"]).post(
        "/v1/workspaces/demo/repositories/work/credentials", LeaseRequest(mode=Mode.write), Lease)
    return {"token": os.environ["AMASIA_TOKEN"], "lease": found.model_dump_json()}

with __import__("contextlib").suppress(errors.Conflict):
    amasia.repositories.create("demo/work")
cluster = amasia.Cluster(1, name="graces", worker_memory="512 MiB", idle_timeout=None, quiet=True)
client = cluster.get_client()
print(json.dumps(client.submit(lent).result(timeout=60)), flush=True)
time.sleep(3600)
"""


def lines(base: Path, cache: Path) -> Iterator[Line]:
    if why := missing(ISSUERS):
        raise RuntimeError(why)
    plane = Plane(base)
    plane.share_cache(cache)
    issuer = RealIssuer(ISSUERS, base / "issuer", plane.url)
    given = json.dumps([written(issuer.issuer())])
    plane.settings |= {"AMASIA_ISSUERS": given, "AMASIA_SIGN_UP": "claims"}
    with started(issuer), planes.cleared(plane), browser() as open_page:
        plane.up()
        issuer.know("grace", "climate")
        issuer.know("mallory", "geology")
        yield from sign_in(plane, open_page)
        yield from let_in(plane, open_page())
        yield from remove(plane)


def written(issuer: Issuer) -> dict[str, Any]:
    """As an operator writes it, with one rule."""
    rule = {"claim": "groups", "value": "climate", "workspace": "demo", "role": "member"}
    secret = issuer.client_secret.get_secret_value()
    return issuer.model_dump(exclude={"client_secret", "client_secret_file"}) | {
        "client_secret": secret,
        "rules": [rule],
    }


def sign_in(plane: Plane, open_page: Callable[[], Page]) -> Iterator[Line]:
    what = "sign-in by OpenID Connect in Chromium, at oidc-provider"
    page = open_page()
    begun = time.monotonic()
    come(page, f"{plane.url}/", "grace")
    page.wait_for_url("**/demo")
    who = page.get_by_role("banner").inner_text()
    good = "grace" in who
    yield Line(4, what, "a member by her claim" if good else who, "a member by her claim", good,
               f"{time.monotonic() - begun:.1f} s")  # fmt: skip
    other = open_page()
    come(other, f"{plane.url}/", "mallory")
    other.get_by_role("heading").wait_for()
    said = other.get_by_role("heading").inner_text()
    known = {user.name for user in plane.link().items("/v1/users", User)}
    refused = "none of its claims gives a role" in said and "mallory" not in known
    yield Line(4, f"{what}, without the claim", "refused" if refused else said, "refused", refused)


def let_in(plane: Plane, page: Page) -> Iterator[Line]:
    """The real command line shows a code; who signs in by any means lets it in."""
    what = "`amasia login`, let in by a browser"
    command = [sys.executable, "-m", "amasia.cli.main", "login", plane.url, "--device"]
    begun = time.monotonic()
    process = subprocess.Popen(command, env=plane.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = hear(process.stderr.readline, r"Open (\S+)")
    come(page, address, "grace")
    page.get_by_role("button", name="Let it in").click()
    page.get_by_text("is let in").wait_for()
    said, _ = process.communicate(timeout=30)
    who = Connection(plane.url, token(plane)).get("/v1/me", Me)
    good = process.returncode == 0 and who.user.name == "grace"
    yield Line(4, what, f"is {who.user.name}" if good else said, "is grace", good, f"{time.monotonic() - begun:.1f} s")


def remove(plane: Plane) -> Iterator[Line]:
    """All that hung on her membership, by those who have it: the machines, the store, the control plane."""
    environ = plane.environ() | {"AMASIA_WORKSPACE": "demo"}
    with (plane.base / "grace.log").open("w") as log:
        work = subprocess.Popen(
            [sys.executable, "-c", SCIENTIST],
            env=environ,
            cwd=plane.base,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert work.stdout is not None
    told = json.loads(work.stdout.readline())
    lease = Lease.model_validate_json(told["lease"])
    mine = Connection(plane.url, token(plane)).post(f"{REPOSITORY}/credentials", LeaseRequest(mode=Mode.write), Lease)
    gone = {
        "what her task was lent": lambda: refused_by_store(lease),
        "what she was lent": lambda: refused_by_store(mine),
        "the token of her tasks": lambda: refused(plane, told["token"]),
        "her own token in the workspace": lambda: refused(plane, token(plane)),
        "the machines of her cluster": lambda: not plane.machines(),
    }
    early = [name for name, over in gone.items() if over()]
    begun = time.monotonic()
    plane.link().delete("/v1/workspaces/demo/members/grace")
    ended = watch(gone, begun)
    work.kill()
    for name in gone:
        seconds = ended.get(name, float("inf"))
        good = seconds <= GOAL and name not in early
        yield Line(4, f"removed: {name} ended after", f"{seconds:.1f} s", f"<= {GOAL} s", good,
                   "it was over before" if name in early else "")  # fmt: skip


def watch(gone: dict[str, Callable[[], bool]], begun: float) -> dict[str, float]:
    """Seconds until each was over, and stayed so to the end."""
    ended: dict[str, float] = {}
    while len(ended) < len(gone) and time.monotonic() - begun < PATIENCE:
        for name, over in gone.items():
            if name not in ended and over():
                ended[name] = time.monotonic() - begun
        time.sleep(0.1)
    return {name: seconds for name, seconds in ended.items() if gone[name]()}


def refused_by_store(lease: Lease) -> bool:
    """Asked directly, with what was lent."""
    store = boto3.client(
        "s3",
        endpoint_url=lease.endpoint,
        region_name=lease.region,
        aws_access_key_id=lease.access_key,
        aws_secret_access_key=lease.secret_key,
        aws_session_token=lease.session_token,
    )
    try:
        store.put_object(Bucket=lease.bucket, Key=f"{lease.prefix}/probe", Body=b"1")
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def refused(plane: Plane, secret: str) -> bool:
    try:
        Connection(plane.url, secret).post(f"{REPOSITORY}/credentials", LeaseRequest(mode=Mode.read), Lease)
    except NotSignedIn:
        return True
    except AmasiaError as error:
        return error.status in (403, 404)
    return False


def token(plane: Plane) -> str:
    """That `amasia login` keeps in her profile."""
    found: str = json.loads((plane.base / "profile.json").read_text())["token"]
    return found


def come(page: Page, address: str, subject: str) -> None:
    """From a page of the console to the issuer, through its own pages, and back."""
    page.goto(address)
    page.get_by_role("link", name="Sign in with Institute").click()
    page.get_by_placeholder("Enter any login").fill(subject)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(lambda url: url.startswith(address.partition("/-/")[0].rstrip("/")))


def hear(read: Callable[[], str], pattern: str) -> str:
    heard = ""
    while not (found := re.search(pattern, heard)):
        line = read()
        if not line:
            raise RuntimeError(f"it ended: {heard}")
        heard += line
    return found[1]


@contextmanager
def started(issuer: RealIssuer) -> Iterator[None]:
    issuer.start()
    try:
        yield
    finally:
        issuer.stop()


@contextmanager
def browser() -> Iterator[Callable[[], Page]]:
    """Opens windows of a headless Chromium, each with a session of its own."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise RuntimeError("Chromium is missing: as root on Debian, tools/debian.sh")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)

        def open_page() -> Page:
            context = chromium.new_context()
            # The issuer's own pages ask for letters from elsewhere, which are not needed.
            context.route(re.compile(r"^https://"), lambda route: route.abort())
            page = context.new_page()
            page.set_default_timeout(30_000)
            return page

        yield open_page
        chromium.close()
