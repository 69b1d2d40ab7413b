"""A whole control plane on this computer, as `amasia up` makes it, for tests that need its object store.

Each test process has one, and each test names of its own in it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from amasia import ports


@dataclass(frozen=True)
class House:
    home: Path
    variables: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "amasia.cli.main", *words],
            env=os.environ | self.variables, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@contextmanager
def house(home: Path) -> Iterator[House]:
    """Up, and down again at the end."""
    made = House(
        home,
        {
            "AMASIA_HOME": str(home / "home"), "AMASIA_PROFILE": str(home / "profile.json"),
            "AMASIA_CACHE": str(home / "cache"), "AMASIA_PORT": str(ports.free()),
            "AMASIA_STORE_PORT": str(ports.free()), "AMASIA_PUBLISH_PORT": str(ports.free()),
        },
    )  # fmt: skip
    up = made.run("up")
    assert up.returncode == 0, up.stderr
    try:
        yield made
    finally:
        down = made.run("down", "--yes")
        assert down.returncode == 0, down.stderr
