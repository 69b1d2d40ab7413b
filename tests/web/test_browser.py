"""The console in a real browser: what is on the screen, what keys and buttons do, and what goes over the network."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from amasia.models.clusters import ClusterRequest
from amasia.services import clusters

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need the package playwright")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"desktop": (1280, 860), "phone": (390, 844)}
WANTED = os.environ.get("AMASIA_SCREENSHOTS", "")
"""1: write docs/images anew; a folder: put every picture there; else none."""
IMAGES = Path(__file__).parents[2] / "docs" / "images"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium")


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def served(site):
    """The console on a port of this computer, for a browser of its own process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(site, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


@pytest.fixture(params=[(width, scheme) for width in WIDTHS for scheme in ("light", "dark")], ids="-".join)
def page(request, chromium, served):
    """A fresh browser window; afterwards: no error in its console, no request to anybody else."""
    width, scheme = request.param
    context = chromium.new_context(
        base_url=served,
        viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)),
        color_scheme=scheme,
        device_scale_factor=2 if width == "phone" else 1,
    )
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.said, opened.asked, opened.look = [], [], (width, scheme)
    opened.on("console", lambda message: opened.said.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
    opened.on("request", lambda sent: opened.asked.append(sent.url))
    yield opened
    context.close()
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith(served + "/")} == set()
    assert len(opened.asked) > 3


def sign_in(page, name="ada"):
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"{name}'s password")
    page.keyboard.press("Enter")
    page.wait_for_url("**/lab")


def picture(page, name):
    """For the documentation, or all of them into a folder to look at; ordinary runs change no file."""
    width, scheme = page.look
    if WANTED == "1" and scheme == "light" and name in ("home", "cluster", "repository"):
        page.screenshot(path=IMAGES / f"console-{name}-{width}.png", full_page=width == "desktop")
    elif WANTED not in ("", "1"):
        page.screenshot(path=Path(WANTED) / f"{name}-{width}-{scheme}.png", full_page=True)


def sideways(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_a_running_cluster_is_seen_and_stopped(page, story):
    page.goto("/")
    picture(page, "sign-in")
    sign_in(page)
    row = page.locator(f"#row-{story.id}")
    assert "running" in row.inner_text()
    assert "4 of 4" in row.inner_text()
    assert not sideways(page)
    picture(page, "home")
    row.get_by_role("button", name="Stop climatology").click()
    question = page.get_by_role("dialog")
    assert "Stop climatology?" in question.inner_text()
    assert "its 5 machines" in question.inner_text()
    picture(page, "question")
    question.get_by_role("button", name="Stop climatology").click()
    row.get_by_text("stopping", exact=True).wait_for()
    assert "ada stopped it" in row.inner_text()
    assert row.get_by_role("button").count() == 0


def test_every_page_fits_its_window(page, story):
    sign_in(page)
    page.get_by_role("link", name="climatology").click()
    page.get_by_role("heading", name="Start", exact=True).wait_for()
    assert page.locator("svg.timeline rect").count() == 5 * 4
    assert not sideways(page)
    picture(page, "cluster")
    page.get_by_role("link", name="Repositories").click()
    page.get_by_role("heading", name="Repositories").wait_for()
    assert not sideways(page)
    picture(page, "repositories")
    page.get_by_role("link", name="climatology").click()
    page.get_by_text("Monthly climatology and anomaly").wait_for()
    assert not sideways(page)
    picture(page, "repository")
    page.get_by_role("link", name="Costs").click()
    page.get_by_role("heading", name="By user").wait_for()
    assert not sideways(page)
    picture(page, "costs")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/-/sign-in")


@pytest.fixture
def window(chromium, served):
    context = chromium.new_context(base_url=served)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    yield opened
    context.close()


def focused(page) -> str:
    return page.evaluate("document.activeElement.id")


def test_a_page_follows_what_happens_and_keeps_the_focus_where_it_was(window, world, story):
    sign_in(window)
    window.locator(f"#ask-{story.id}").focus()
    mine = clusters.create(world.db, world.settings, world.bo, "lab",
                           ClusterRequest(name="new-one", environment_hash=world.environment_hash))  # fmt: skip
    window.get_by_role("link", name="new-one").wait_for()
    assert focused(window) == f"ask-{story.id}"
    clusters.stop(world.db, world.bo, "lab", mine.id)
    window.locator(f"#row-{mine.id}").get_by_text("stopping", exact=True).wait_for()
    assert focused(window) == f"ask-{story.id}"


def test_stopping_works_with_the_keyboard_alone(window, world, story):
    sign_in(window)
    window.locator(f"#ask-{story.id}").focus()
    window.keyboard.press("Enter")
    window.get_by_role("dialog").wait_for()
    window.keyboard.press("Escape")
    assert window.get_by_role("dialog").count() == 0
    assert focused(window) == f"ask-{story.id}"
    window.keyboard.press("Enter")
    window.keyboard.press("Tab")
    assert focused(window) == f"really-{story.id}"
    # Longer than a beat of the live part: the question stays.
    window.wait_for_timeout(2500)
    assert focused(window) == f"really-{story.id}"
    window.keyboard.press("Enter")
    window.locator(f"#row-{story.id}").get_by_text("stopping", exact=True).wait_for()


def test_a_page_that_cannot_reach_the_control_plane_says_so_and_recovers(window, story):
    sign_in(window)
    window.route("**/lab", lambda route: route.abort())
    window.get_by_text("The control plane does not answer.").wait_for()
    assert window.locator(f"#row-{story.id}").is_visible()
    window.unroute("**/lab")
    window.get_by_text("The control plane does not answer.").wait_for(state="hidden")


def test_a_session_that_ended_leads_to_the_sign_in_and_back(window, world, story):
    sign_in(window)
    window.context.clear_cookies()
    window.wait_for_url("**/-/sign-in?next=/lab")


def test_a_link_on_another_site_opens_the_page_for_whoever_is_signed_in(window, served, story):
    sign_in(window)
    window.goto("data:text/html,<a href='" + served + "/lab/costs'>the bill</a>")
    window.get_by_text("the bill").click()
    window.get_by_role("heading", name="By user").wait_for()


def test_everything_works_without_scripts(chromium, served, story):
    context = chromium.new_context(base_url=served, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.locator(f"#ask-{story.id}").click()
    page.locator(f"#really-{story.id}").click()
    page.get_by_text("ada stopped it").wait_for()
    context.close()
