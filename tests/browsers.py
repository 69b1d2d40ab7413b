"""A real browser, for every test that looks at a page; and what such tests do in it."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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
LOOKS = [("desktop", "light"), ("phone", "dark")]
"""Of tests that do something. `test_tour.py` looks at every page at each width in each scheme."""
WANTED = os.environ.get("AMASIA_SCREENSHOTS", "")
"""1: write docs/images anew; a folder: put every picture there; else none."""
IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = 256
"""Of a picture in the documentation; pages have few, and the files are a third as large."""


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
        window = new_window(chromium, url, look, **options)
        contexts.append(window.context)
        return window

    yield make
    for context in contexts:
        context.close()


def new_window(chromium: Any, url: str, look: tuple[str, str] | None = None, **options: Any) -> Any:
    """Of a site, with a session of its own."""
    if look:
        width, scheme = look
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        options |= {"viewport": size, "color_scheme": scheme, "device_scale_factor": 2 if width == "phone" else 1}
    window = chromium.new_context(base_url=url, **options).new_page()
    window.set_default_timeout(15_000)
    window.look = look
    return window


def picture(page: Any, name: str) -> None:
    """Into a folder to look at; ordinary runs change no file."""
    if WANTED not in ("", "1"):
        page.screenshot(path=Path(WANTED) / f"{name}-{'-'.join(page.look)}.png", full_page=True)


def document(page: Any, name: str) -> None:
    """A picture for the documentation. Of a phone one screen, and of a desktop at most one and a half."""
    if WANTED != "1":
        return picture(page, name)
    width = page.look[0]
    tall = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": WIDTHS[width][0], "height": min(tall, WIDTHS[width][1] * 3 // 2)}
    shot = page.screenshot(full_page=True, clip=clip) if width == "desktop" else page.screenshot()
    image = (
        Image.open(io.BytesIO(shot))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    return image.save(IMAGES / f"console-{name}-{width}.png", optimize=True)


def barriers(page: Any, *only: str) -> list[str]:
    """What keeps somebody from using a page who cannot see, or use a mouse: axe's findings that are serious.

    By all of its rules, or only by these.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(only)} if only else {})
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:200]})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def sideways(page: Any) -> list[str]:
    """What does not fit: the page and its questions, where they are too wide, and links of the frame that are cut."""
    found: list[str] = page.evaluate(CUT)
    return found


CUT = """() => {
  const width = document.documentElement.clientWidth;
  const links = [...document.querySelectorAll("header a, header button")];
  const cut = links.filter(one => one.getBoundingClientRect().right > width || one.offsetLeft < 0);
  const beyond = [...document.querySelectorAll("body *")].filter(one =>
    one.getBoundingClientRect().right > width && !one.closest("[popover], pre, svg, .unseen"));
  const named = beyond.slice(-3).map(one => `${one.tagName} ${one.innerText.slice(0, 40)}`);
  const page = document.documentElement.scrollWidth > width ? [`the page: ${named.join(", ")}`] : [];
  const rows = [...document.querySelectorAll("header nav")].filter(one => one.scrollWidth > one.clientWidth);
  const wider = [...document.querySelectorAll("[popover]")].filter(one => {
    one.showPopover();
    const box = one.getBoundingClientRect(), wide = one.scrollWidth > one.clientWidth || box.right > width;
    one.hidePopover();
    return wide;
  });
  const questions = wider.map(one => `question ${one.innerText.slice(0, 40)}`);
  return [...page, ...questions, ...rows.map(() => "the sections"), ...cut.map(one => one.innerText)];
}"""
