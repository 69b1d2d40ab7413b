"""A real browser, for every test that looks at a page; and what such tests do in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
WANTED = os.environ.get("AMASIA_SCREENSHOTS", "")
"""1: write docs/images anew; a folder: put every picture there; else none."""
IMAGES = Path(__file__).parents[1] / "docs" / "images"
DOCUMENTED = ("home", "cluster", "repository", "costs")


# Of one module: as long as it lives, nothing else in this thread may run an event loop.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium; where there is none, the test skips."""
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need the package playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("Chromium is missing: as root on Debian, tools/debian.sh")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Makes a window of a site, with a session of its own."""
    contexts = []

    def make(url: str, look: tuple[str, str] | None = None, **options: Any) -> Any:
        if look:
            width, scheme = look
            size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
            options |= {"viewport": size, "color_scheme": scheme, "device_scale_factor": 2 if width == "phone" else 1}
        contexts.append(chromium.new_context(base_url=url, **options))
        window = contexts[-1].new_page()
        window.set_default_timeout(15_000)
        window.look = look
        return window

    yield make
    for context in contexts:
        context.close()


def picture(page: Any, name: str) -> None:
    """For the documentation, or all of them into a folder to look at; ordinary runs change no file."""
    width, scheme = page.look
    if WANTED == "1" and scheme == "light" and name in DOCUMENTED:
        page.screenshot(path=IMAGES / f"console-{name}-{width}.png", full_page=width == "desktop")
    elif WANTED not in ("", "1"):
        page.screenshot(path=Path(WANTED) / f"{name}-{width}-{scheme}.png", full_page=True)


def sideways(page: Any) -> list[str]:
    """What does not fit: the page, where it is wider than its window, and links of the frame that are cut."""
    found: list[str] = page.evaluate(CUT)
    return found


CUT = """() => {
  const width = document.documentElement.clientWidth;
  const links = [...document.querySelectorAll("header a, header button")];
  const cut = links.filter(one => one.getBoundingClientRect().right > width || one.offsetLeft < 0);
  const page = document.documentElement.scrollWidth > width ? ["the page"] : [];
  const rows = [...document.querySelectorAll("header nav")].filter(one => one.scrollWidth > one.clientWidth);
  return [...page, ...rows.map(() => "the sections"), ...cut.map(one => one.innerText)];
}"""
