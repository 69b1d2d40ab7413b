"""Line 1: a fresh clone with nothing warm around it: no uv, no cache, no settings of anybody's."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from show import planes
from show.lines import Line
from show.planes import ROOT

COLD, AGAIN = 240, 40
OWN = ("AMASIA_", "UV_", "XDG_", "VIRTUAL_ENV", "PYTHON", "MAKE")


def lines(dose: float, base: Path) -> Iterator[Line]:
    clone = base / "amasia"
    subprocess.run(["git", "clone", "--quiet", f"file://{ROOT}", clone], check=True)
    shared = ROOT.parent / "shared"
    if (shared / "data" / "index.csv").exists():
        (base / "shared").symlink_to(shared)
    try:
        yield _timed(clone, "make demo, cold", COLD, "demo")
        yield _timed(clone, "make demo, again", AGAIN, "demo")
        yield _timed(clone, "make lint", 600, "lint")
        if dose >= 1:  # else CI has just run it
            yield _timed(clone, "make test", 3600, "test")
        yield _timed(clone, "make down", 60, "down")
        left = planes.processes_of(clone)
        told = "; ".join(" ".join(each.cmdline())[:120] for each in left)
        yield Line(1, "processes left after make down", str(len(left)), "0", not left, told)
    finally:
        planes.kill_all(clone)


def _timed(clone: Path, what: str, goal: float, target: str) -> Line:
    begun = time.monotonic()
    # The Makefile brings uv along where there is none, as on a fresh machine.
    command = ["make", target, "UV=.tools/bin/uv"]
    done = subprocess.run(command, cwd=clone, env=_environ(clone.parent), capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    steps = [line.strip() for line in done.stdout.splitlines() if line.startswith("✓")]
    detail = "\n".join(steps) if done.returncode == 0 else _why(done.stdout) + done.stderr[-1500:]
    figure = f"{seconds:.0f} s, status {done.returncode}"
    return Line(1, what, figure, f"{goal:.0f} s, status 0", done.returncode == 0 and seconds < goal, detail)


def _why(output: str) -> str:
    """What tests say of themselves, and the end."""
    said = [line for line in output.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
    return "\n".join([*said[:60], output[-800:]])


def _environ(base: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}
    home = base / "person"
    places = {"CONFIG": ".config", "DATA": ".local/share", "CACHE": ".cache"}
    fresh = {f"XDG_{name}_HOME": str(home / place) for name, place in places.items()}
    fresh |= {"HOME": str(home), "UV_CACHE_DIR": str(home / ".cache" / "uv")}
    home.mkdir(exist_ok=True)
    return kept | fresh
