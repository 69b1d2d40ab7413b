"""The version of the code that commits."""

import subprocess
import sys
from pathlib import Path

import pytest

import amasia
from amasia.client import origins


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


def test_the_version_is_that_of_the_scripts_checkout_and_says_when_it_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text("one")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    assert origins.code_version() == ""
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    clean = origins.code_version()
    assert len(clean) == 12
    script.write_text("two")
    assert origins.code_version() == f"{clean}-dirty"


@pytest.mark.parametrize(
    "script", [Path(amasia.__file__).parent / "cli" / "main.py", Path(sys.executable).parent / "amasia"]
)
def test_commands_of_amasia_are_nobodys_script(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    assert origins.code_version().startswith("amasia ")


def test_an_interactive_session_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    assert origins.code_version() == ""
