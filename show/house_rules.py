"""Lines 6 and 7: the shape of the house, and the pages at its door."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from show.lines import Line
from show.planes import ROOT

SOURCE = ROOT / "src" / "amasia"
LONGEST = 500
ROOMS = (
    *("models", "database", "stores", "environments", "providers", "services", "reconcilers", "api"),
    *("web", "client", "cli", "agent", "integrations", "testing"),
)
MODULES = ("errors.py", "settings.py", "server.py")
PAGES = ("architecture", "glossary", "adding-a-noun", "adding-a-provider", "dependencies")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"(?:!\[[^\]]*\]\(|<img[^>]+src=[\"'])([^)\"'\s]+)")


def lines() -> Iterator[Line]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    kept = re.search(r"(\d+) kept, (\d+) broken", done.stdout)
    figure = kept.group(0) if kept else "no answer"
    yield Line(
        6, "contracts of imports", figure, "0 broken", done.returncode == 0, done.stdout[-300:] * done.returncode
    )
    yield _longest()
    yield _rooms()
    yield _readme()
    yield _pages()


def _longest() -> Line:
    sizes = {path: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    most = max(sizes, key=lambda path: sizes[path])
    figure = f"{sizes[most]} lines, {most.relative_to(SOURCE)}"
    return Line(6, "the longest module", figure, f"at most {LONGEST}", sizes[most] <= LONGEST)


def _rooms() -> Line:
    bare = [room for room in ROOMS if _lines_in(SOURCE / room) < 20]
    missing = [name for name in MODULES if not (SOURCE / name).exists()]
    figure = f"{len(ROOMS) - len(bare)} of {len(ROOMS)}"
    return Line(6, "rooms that exist and hold something", figure, "all", not bare + missing, ", ".join(bare + missing))


def _lines_in(room: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in room.rglob("*.py") if path.name != "__init__.py")


def _readme() -> Line:
    text = (ROOT / "README.md").read_text()
    pictures = [name for name in PICTURE.findall(text) if not name.startswith("http") and (ROOT / name).is_file()]
    words = len(re.sub(r"```.*?```", "", text, flags=re.DOTALL).split())
    problems = [] if pictures else ["no picture that is there"]
    problems += [f"{command} is not named" for command in ("make demo", "make down") if command not in text]
    problems += [] if 100 <= words <= 600 else [f"{words} words are no two minutes"]
    figure = f"{words} words, {len(pictures)} pictures"
    return Line(7, "README: two minutes", figure, "100 to 600, 1 or more", not problems, "; ".join(problems))


def _pages() -> Line:
    folder = ROOT / "docs" / "developers"
    missing = [name for name in PAGES if not (folder / f"{name}.md").exists()]
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{path.relative_to(ROOT)} → {link}" for path in found for link in _links(path) if not _resolves(path, link)
    ]
    figure = f"{len(PAGES) - len(missing)} of {len(PAGES)}, {len(broken)} broken links in {len(found)} pages"
    return Line(7, "developers' pages", figure, "all, 0 broken", not missing + broken, ", ".join(missing + broken))


def _links(path: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:|#", link)]


def _resolves(path: Path, link: str) -> bool:
    return (path.parent / link.partition("#")[0]).exists()
