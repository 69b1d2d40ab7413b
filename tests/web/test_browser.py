"""The console in a real browser: what is on the screen, what keys and buttons do, and what goes over the network."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn

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
        page.screenshot(path=IMAGES / f"console-{name}-{width}.png", full_page=True)
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
