"""Where the demo keeps things, and the commands that it runs there."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from amasia import ports

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Place:
    """One demo: a home of its own, a scientist's folder with its own virtual environment, and the results."""

    base: Path

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def scientist(self) -> Path:
        return self.base / "scientist"

    @property
    def python(self) -> Path:
        return self.scientist / ".venv" / "bin" / "python"

    @property
    def incoming(self) -> Path:
        return self.base / "incoming"

    @property
    def activate(self) -> Path:
        return self.base / "activate"

    def variables(self) -> dict[str, str]:
        port = self._port()
        return {
            "AMASIA_HOME": str(self.home),
            "AMASIA_PROFILE": str(self.base / "profile.json"),
            "AMASIA_CACHE": str(self.base / "cache"),
            "AMASIA_PORT": str(port),
            "AMASIA_STORE_PORT": str(port + 1),
        }

    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AMASIA_", "VIRTUAL_ENV"))}
        return kept | self.variables()

    def _port(self) -> int:
        """The usual port if nobody has it; the same one in every run of this demo."""
        chosen = self.base / "port"
        if not chosen.exists():
            self.base.mkdir(parents=True, exist_ok=True)
            chosen.write_text(str(_free_pair(8642)))
        return int(chosen.read_text())


def _free_pair(first: int) -> int:
    for port in range(first, first + 2000, 2):
        if all(map(ports.is_free, (port, port + 1))):
            return port
    raise SystemExit("no two free ports between 8642 and 10642")


class Failed(Exception):
    """A command of the story ended badly; what it wrote is the message."""


def amasia(place: Place, *words: str) -> Any:
    """Run ``amasia …`` as a person would, with ``--json``; the parsed answer."""
    done = run(place, sys.executable, "-m", "amasia.cli.main", *words, "--json")
    return json.loads(done) if done.strip() else None


def run(place: Place, *words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        env=place.environ(),
        cwd=cwd or place.base,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(str(word) for word in words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def settle_scientist(place: Place) -> None:
    """The scientist's folder: a script, a file beside it, an editable package, an environment of its own."""
    uv = find_uv_bin()
    shutil.copytree(ROOT / "demo" / "scientist", place.scientist, dirs_exist_ok=True)
    lock, built = (ROOT / "uv.lock").read_bytes(), place.base / "built.lock"
    if place.python.exists() and built.exists() and built.read_bytes() == lock:
        return
    wanted = place.base / "requirements.txt"
    export = ("export", "--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt", "-q")
    wanted.write_text(run(place, uv, *export, cwd=ROOT))
    venv = place.scientist / ".venv"
    run(place, uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv)
    python = ("--python", str(place.python))
    run(place, uv, "pip", "install", "--quiet", *python, "--require-hashes", "-r", wanted)
    run(place, uv, "pip", "install", "--quiet", *python, "--no-deps", "-e", ROOT, "-e", place.scientist / "seasons")
    built.write_bytes(lock)


def write_activate(place: Place) -> None:
    """A file to source, so that the commands in a shell mean this demo."""
    lines = [f"export {key}={value!r}" for key, value in place.variables().items()]
    lines.append(f'export PATH="{Path(sys.executable).parent}:$PATH"')
    place.activate.write_text("\n".join(lines) + "\n")
