"""Line 7: the pictures of the console in the documentation, made by the tests in a headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

from show import planes, runs
from show.cases import tested, troubled
from show.lines import Line
from tests.browsers import WIDTHS
from tests.web.test_tour import PAGES

IMAGES = planes.ROOT / "docs" / "images"


def lines(base: Path) -> Iterator[Line]:
    """Every page is looked at anew; what is in the documentation has the same names."""
    made = runs.folder(base / "pictures")
    cases = tested(base, "tests/web/test_tour.py", AMASIA_SCREENSHOTS=str(made))
    wrong = troubled(cases)
    text = "".join(path.read_text() for path in (planes.ROOT / "docs").rglob("*.md"))
    for width in WIDTHS:
        taken = {page for page in PAGES if (made / f"{page}-{width}-light.png").exists()}
        shown = {page for page in taken if (IMAGES / f"console-{page}-{width}.png").exists()
                 and f"images/console-{page}-{width}.png" in text}  # fmt: skip
        missing = sorted(PAGES.keys() - shown)
        yield Line(7, f"pages of the console with a picture in the documentation at {width} width",
                   f"{len(shown)} of {len(PAGES)}", "all", not missing, ", ".join(missing))  # fmt: skip
    yield Line(7, "tests of every page, at each width in light and dark, that do not pass",
               f"{len(wrong)} of {len(cases)}", "0", bool(cases) and not wrong, ", ".join(wrong))  # fmt: skip
