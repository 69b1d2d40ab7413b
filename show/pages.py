"""A how-to page, followed word for word: its files are written, its commands and scripts run, one after the other.

Words that the page has made up (an address, the name of a subnet) are what they are at the site: `Site.swaps`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from show import planes
from show.sites import Site

PAGES = planes.ROOT / "docs" / "how-to"
_BLOCK = re.compile(r"^```(toml|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+)\n")


def page(provider: str) -> Path:
    return PAGES / f"connect-{provider}.md"


def follow(provider: str, site: Site) -> list[str]:
    """What was done, in the order of the page.

    Raises
    ------
    RuntimeError
        Something on it does not work as it stands there.
    """
    text = page(provider).read_text()
    if strange := [word for word in site.swaps if word not in text]:
        raise RuntimeError(f"{page(provider).name} no longer says {strange[0]!r}")
    for name, secret in site.secrets.items():
        file = site.plane.base / name
        file.parent.mkdir(exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secret)
    return [done for kind, block in _BLOCK.findall(text) for done in _do(kind, _swapped(block, site.swaps), site)]


def _do(kind: str, block: str, site: Site) -> Iterator[str]:
    if kind == "toml":
        yield _write(block, site)
    elif kind == "python":
        _run([sys.executable, "-c", block], site)
        yield block.strip().splitlines()[-1]
    else:
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                _run(["/bin/sh", "-c", line.removeprefix("$ ")], site)
                yield line.removeprefix("$ ")


def _write(block: str, site: Site) -> str:
    name = _FILE.match(block)
    if name is None:
        raise RuntimeError(f"no name stands at the head of this file: {block[:80]!r}")
    (site.plane.base / name[1]).write_text(site.head + block)
    return name[1]


def _run(command: list[str], site: Site) -> None:
    """As its administrator, who is at home in this folder and has the `amasia` of this Python."""
    environ = site.plane.client() | {"HOME": str(site.plane.base), "UV_CACHE_DIR": str(planes.uv_cache())}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(command, env=environ, cwd=site.plane.base, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(planes.show_error(done))


def _swapped(block: str, swaps: dict[str, str]) -> str:
    for word, here in swaps.items():
        block = block.replace(word, here)
    return block
