"""What a bare machine installs is enough for the agent, and nothing of a laptop's."""

import subprocess

import uv

from amasia.environments import kits


def test_the_agent_runs_with_the_kit_and_nothing_else(tmp_path):
    kit = kits.make(tmp_path / "kit", tmp_path / "cache")
    python = tmp_path / "venv/bin/python"
    tool = uv.find_uv_bin()
    quiet = {"check": True, "capture_output": True, "text": True}
    subprocess.run([tool, "venv", "-q", str(tmp_path / "venv")], **quiet)
    pip = [tool, "pip", "install", "-q", "--python", str(python)]
    subprocess.run([*pip, "-r", str(kit.home / kits.REQUIREMENTS)], **quiet)
    subprocess.run([*pip, "--no-deps", str(kit.home / kit.wheel)], **quiet)
    told = subprocess.run([str(python), "-m", "amasia.agent", "--help"], **quiet).stdout
    assert "--booted" in told


def test_a_second_call_finds_the_kit_and_an_older_one_is_gone(tmp_path):
    (tmp_path / "kit/0123456789abcdef").mkdir(parents=True)
    first = kits.make(tmp_path / "kit", tmp_path / "cache")
    stamps = [(first.home / file).stat().st_mtime_ns for file in first.files]
    assert kits.make(tmp_path / "kit", tmp_path / "cache") == first
    assert [(first.home / file).stat().st_mtime_ns for file in first.files] == stamps
    assert [one.name for one in (tmp_path / "kit").iterdir()] == [first.name]
