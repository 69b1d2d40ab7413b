"""The Markdown of the project, and what is in it."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def markdown() -> list[Path]:
    folders = [path for name in ("docs", "demo", "show") for path in (ROOT / name).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *folders])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def commands(page: Path) -> Iterator[str]:
    """The lines after ``$ `` in console blocks; a line that ends with a backslash goes on in the next."""
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ")


def anchors(page: Path) -> set[str]:
    """What a code host names the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
