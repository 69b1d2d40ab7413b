"""Sign-in by a real issuer of OpenID Connect, in a real browser; and what that makes of somebody here."""

import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from httpx2 import Client
from typer.testing import CliRunner

from amasia import ports
from amasia.api import app as api
from amasia.cli.main import app as cli
from amasia.database import users as user_rows
from amasia.models.grants import GroupRequest
from amasia.models.identities import InvitationRequest
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import groups, identities, users, workspaces
from amasia.settings import Rule
from amasia.testing.issuers import RealIssuer, missing
from amasia.web import app as web
from tests.serving import serving

from .conftest import sign_in as sign_in_by_password

CACHE = Path(__file__).parents[2] / ".tools" / "oidc-provider"
RULES = (
    Rule(value="climate", workspace="lab", role="viewer"),
    Rule(value="climate-staff", workspace="lab", role="member"),
    Rule(value="climate", workspace="nowhere"),
)


class Door:
    """A console that trusts a real issuer."""

    def __init__(self, world, issuer, url, settings):
        self.world, self.issuer, self.url, self.settings = world, issuer, url, settings

    def come(self, window, subject, *, wait=True):
        """From the sign-in page to the issuer and back."""
        window.goto(f"{self.url}/")
        window.get_by_role("link", name="Sign in with Institute").click()
        pass_issuer(window, subject)
        if wait:
            window.wait_for_url(f"{self.url}/**")

    def roles(self, user):
        with self.world.db.read() as tx:
            return {one.workspace: one.role.value for one in user_rows.memberships_of(tx, user)}


def pass_issuer(window, subject):
    """Its own pages: a name, any password, and yes."""
    window.get_by_placeholder("Enter any login").fill(subject)
    window.get_by_placeholder("and password").fill("any")
    window.get_by_role("button", name="Sign-in").click()
    window.get_by_role("button", name="Continue").click()


@pytest.fixture
def doors(world, tmp_path, monkeypatch):
    """Makes a door with a sign-up policy."""
    if why := missing(CACHE):
        pytest.skip(why)

    def make(sign_up, *rules):
        port = ports.free()
        url = f"http://127.0.0.1:{port}"
        issuer = RealIssuer(CACHE, tmp_path / "issuer", url)
        issuer.start()
        ends.callback(issuer.stop)
        given = {"port": port, "sign_up": sign_up, "issuers": (issuer.issuer(*rules),)}
        settings = world.settings.model_copy(update=given)
        ends.enter_context(serving(application(world.db, settings), port))
        return Door(world, issuer, url, settings)

    with ExitStack() as ends:
        yield make


def application(db, settings):
    app = api.create(db, settings, lend=lambda *_: None)
    web.install(app, db, settings)
    return app


@pytest.fixture
def open_window(open_window):
    """As ever; the issuer's own pages ask for letters from elsewhere, which are not needed."""

    def make(url="http://127.0.0.1"):
        window = open_window(url)
        window.context.route(re.compile(r"^https://"), lambda route: route.abort())
        return window

    return make


@pytest.fixture
def window(open_window):
    return open_window()


def test_a_claim_makes_a_member_and_goes_with_its_membership(doors, window, open_window):
    door = doors("claims", *RULES)
    door.issuer.know("grace", "climate", "climate-staff")
    door.come(window, "grace")
    window.wait_for_url("**/lab")
    assert "grace" in window.get_by_role("banner").inner_text()
    assert door.roles("grace") == {"lab": "member"}
    door.issuer.know("grace", "climate")
    door.come(open_window(door.url), "grace")
    assert door.roles("grace") == {"lab": "viewer"}
    door.issuer.know("grace", "geology")
    last = open_window(door.url)
    door.come(last, "grace")
    last.get_by_text("none of its claims gives a role").wait_for()
    assert door.roles("grace") == {}
    window.goto(f"{door.url}/lab")
    window.get_by_text("There is no workspace 'lab'").wait_for()


def test_a_claim_puts_into_groups_and_the_page_of_people_says_by_which(doors, window, open_window):
    door = doors("claims", Rule(value="climate", workspace="lab", role="viewer", groups=("ocean",)))
    groups.create(door.world.db, door.world.ada, "lab", GroupRequest(name="ocean"))
    door.issuer.know("grace", "climate")
    door.come(window, "grace")
    window.goto(f"{door.url}/lab/people")
    row = window.get_by_role("table", name="Members").locator("tr", has_text="grace")
    row.get_by_text("groups=climate").wait_for()
    window.get_by_text("grace (by claim)").wait_for()
    door.issuer.know("grace", "geology")
    door.come(open_window(door.url), "grace")
    assert [one.members for one in groups.find(door.world.db, "lab")] == [()]


def test_without_the_claim_nobody_becomes_a_user(doors, window):
    door = doors("claims", *RULES)
    door.issuer.know("mallory")
    door.come(window, "mallory")
    window.get_by_text("Institute knows you as mallory@institute.example, but none of its claims").wait_for()
    assert "mallory" not in {user.name for user in users.find(door.world.db)}
    window.goto(f"{door.url}/lab")
    window.wait_for_url("**/-/sign-in?**")


def test_what_somebody_gave_by_hand_outlives_a_claim_and_a_name_that_is_taken_gets_a_number(doors, window):
    door = doors("open", *RULES)
    door.issuer.know("s-1", "climate", preferred_username="Ada")
    door.come(window, "s-1")
    window.wait_for_url("**/lab")
    assert door.roles("ada-2") == {"lab": "viewer"}
    assert door.roles("ada") == {"lab": "owner"}
    by_hand = Membership(workspace="lab", user="ada-2", role=Role.admin)
    workspaces.set_member(door.world.db, door.world.ada, Role.owner, by_hand)
    door.issuer.know("s-1", preferred_username="Ada")
    window.context.clear_cookies()
    door.come(window, "s-1")
    window.wait_for_url("**/lab")
    assert door.roles("ada-2") == {"lab": "admin"}


def test_an_invitation_makes_an_identity_ones_own_once(doors, window, open_window):
    door = doors("invited")
    door.issuer.know("s-7", email="bo@institute.example")
    made = identities.invite(door.world.db, door.world.ada, InvitationRequest(name="bo"), door.url)
    window.goto(made.url)
    window.get_by_label("Code").fill(made.code)
    window.keyboard.press("Enter")
    window.get_by_text("You are invited as bo").wait_for()
    window.get_by_role("link", name="Sign in with Institute").click()
    pass_issuer(window, "s-7")
    window.wait_for_url("**/lab")
    assert "bo" in window.get_by_role("banner").inner_text()
    other = open_window(door.url)
    other.goto(made.url)
    other.get_by_label("Code").fill(made.code)
    other.keyboard.press("Enter")
    other.get_by_text("There is no such invitation any more.").wait_for()


def test_a_local_account_takes_an_identity_besides_and_sees_and_ends_its_sessions(doors, open_window):
    door = doors("closed")
    door.issuer.know("s-9")
    first = open_window(door.url)
    sign_in_by_password(first, "bo")
    first.get_by_role("link", name="bo", exact=True).click()
    first.get_by_role("button", name="Sign in with Institute as well").click()
    pass_issuer(first, "s-9")
    first.get_by_text("s-9@institute.example").wait_for()
    second = open_window(door.url)
    door.come(second, "s-9")
    second.wait_for_url("**/lab")
    second.goto(f"{door.url}/-/account")
    rows = second.locator("tbody", has_text="session").filter(has_not_text="this one")
    rows.get_by_role("button").click()
    rows.wait_for(state="detached")
    first.goto(f"{door.url}/lab")
    first.wait_for_url("**/-/sign-in?**")


def test_the_command_line_is_let_in_by_a_browser(doors, window, monkeypatch, tmp_path):
    door = doors("claims", *RULES)
    door.issuer.know("grace", "climate")
    with cli_login(door.url) as said:
        address = said("Open (\\S+)")
        window.goto(address)
        window.get_by_role("link", name="Sign in with Institute").click()
        pass_issuer(window, "grace")
        window.get_by_role("heading", name="Let amasia login on").wait_for()
        assert said("the code ([A-Z-]+)") in window.locator("dl").inner_text()
        assert "127.0.0.1" in window.locator("dl").inner_text()
        window.get_by_role("button", name="Let it in").click()
        window.get_by_text("is let in").wait_for()
    shown = CliRunner().invoke(cli, ["whoami"])
    assert "grace" in shown.output
    assert "lab (viewer)" in shown.output


def test_an_answer_that_nobody_asked_for_signs_nobody_in(doors):
    door = doors("open")
    with Client(base_url=door.url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=30) as browser:
        forged = browser.get("/-/sign-in/institute/callback?code=x&state=y")
        assert forged.status_code == 403
        assert "did not confirm this sign-in" in forged.text
        denied = browser.get("/-/sign-in/institute/callback?error=access_denied&state=y")
        assert (denied.status_code, "access_denied" in denied.text) == (403, True)
        assert browser.get("/-/sign-in/elsewhere").status_code == 404
        assert not any(name.startswith("amasia") and not name.endswith("-way") for name in browser.cookies)
        begun = browser.get("/-/sign-in/institute?next=//evil.example")
        asked = begun.headers["refresh"]
        assert {"code_challenge_method=S256", "response_type=code"} <= set(re.split("[?&]", asked))
        assert "state=" in asked
        assert "nonce=" in asked
        door.issuer.stop()
        unanswered = browser.get("/-/sign-in/institute/callback?code=x&" + re.search("state=[^&]+", asked)[0])
        assert unanswered.status_code in (403, 503)


def test_an_issuer_that_is_down_is_said_and_passwords_go_on(doors, open_window):
    door = doors("open")
    door.issuer.stop()
    window = open_window(door.url)
    window.goto("/")
    window.get_by_role("link", name="Sign in with Institute").click()
    window.get_by_text("does not answer as an issuer of OpenID Connect").wait_for()
    sign_in_by_password(window, "bo")


@contextmanager
def cli_login(url):
    """`amasia login --device` beside the test; what it says, by a pattern."""
    process = subprocess.Popen(
        [sys.executable, "-m", "amasia.cli.main", "login", url, "--device"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    text = []

    def said(pattern):
        while not (found := re.search(pattern, "".join(text))):
            line = process.stderr.readline()
            assert line, "".join(text)
            text.append(line)
        return found[1]

    yield said
    assert process.wait(30) == 0, process.stderr.read()
