import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from amasia.environments import archives, commands
from amasia.environments.build import build
from amasia.errors import EnvironmentFailed
from amasia.models.environments import Artifact, Environment

BUILDER = """
import json, sys, time
from pathlib import Path
from amasia.environments.build import build
from amasia.models.environments import Environment
told = json.loads(sys.stdin.read())
def fetch(one):
    time.sleep(told["stall"])
    return Path(told["files"][one.sha256]).read_bytes()
environment = Environment.model_validate(told["environment"])
built = build(environment, fetch, Path(told["cache"]), uv_cache=Path(told["uv_cache"]))
print(built.fresh, built.python)
"""


def builder(captured, cache: Path, uv_cache: Path, stall: float = 0) -> subprocess.Popen[str]:
    """Another process that builds, as an agent would."""
    told = {
        "environment": captured.environment.model_dump(mode="json"),
        "files": {key: str(path) for key, path in captured.files.items()},
        "cache": str(cache),
        "uv_cache": str(uv_cache),
        "stall": stall,
    }
    command = [sys.executable, "-c", BUILDER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(told))
    process.stdin.close()
    return process


def run(built, code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(built.code or "")}
    with tempfile.TemporaryDirectory() as nowhere:
        command = [built.python, "-c", code]
        done = subprocess.run(command, cwd=nowhere, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def with_code(environment: Environment, content: bytes, size: int | None = None) -> Environment:
    code = Artifact(filename="code.zip", sha256=hashlib.sha256(content).hexdigest(), size=size or len(content))
    return environment.model_copy(update={"code": code, "wheels": ()})


def test_what_was_captured_runs_on_another_machine(captured, tmp_path, uv_cache):
    built = build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    print("build", built.seconds)
    assert built.fresh
    code = (
        "import six, toolz, rivers, helper, sys, amasia; print(rivers.FLOW, helper.DEPTH, rivers.__file__, sys.prefix)"
    )
    flow, depth, file, prefix = run(built, code).split()
    assert (flow, depth) == ("1", "7")
    assert Path(file).is_relative_to(prefix)
    assert Path(prefix).is_relative_to(tmp_path)
    versions = run(built, "import json, amasia.environments.versions as v; print(json.dumps(v.here()))")
    assert json.loads(versions) == captured.environment.versions


def test_a_second_build_starts_no_process_and_fetches_nothing(captured, tmp_path, uv_cache, monkeypatch):
    first = build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)

    def refuse(*arguments, **options):
        raise AssertionError("something was started or fetched")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    taken = []
    for _ in range(5):
        start = time.process_time()
        second = build(captured.environment, refuse, tmp_path, uv_cache=uv_cache)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.02
    assert (second.python, second.code, second.fresh) == (first.python, first.code, False)


def test_an_edited_package_is_built_on_the_same_base_and_is_what_runs(laptop, tmp_path, uv_cache):
    before = laptop.capture()
    first = build(before.environment, before.fetch, tmp_path / "machine", uv_cache=uv_cache)
    (laptop.project / "src" / "rivers" / "__init__.py").write_text("FLOW = 2\n")
    after = laptop.capture()
    second = build(after.environment, after.fetch, tmp_path / "machine", uv_cache=uv_cache)
    print("build after an edit", second.seconds)
    assert sum(second.seconds.values()) < 3
    assert run(second, "import rivers, six; print(rivers.FLOW)") == "2"
    assert run(first, "import rivers; print(rivers.FLOW)") == "1"
    where = "import six; print(six.__file__)"
    assert run(first, where) == run(second, where)


def test_four_processes_that_want_one_environment_build_it_once(captured, tmp_path, uv_cache):
    processes = [builder(captured, tmp_path, uv_cache) for _ in range(4)]
    answers = [process.stdout.read().split() for process in processes]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert sorted(fresh for fresh, _ in answers) == ["False", "False", "False", "True"]
    assert len({python for _, python in answers}) == 1
    assert len(list(tmp_path.glob("bases/*/*/venv"))) == 1


@pytest.mark.parametrize("moment", ["bases/*/*/venv", "bases/*/ready.json"])
def test_a_build_that_was_killed_is_repaired_by_the_next(captured, tmp_path, uv_cache, moment):
    process = builder(captured, tmp_path, uv_cache, stall=60)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(moment)):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not list(tmp_path.glob("environments/*/ready.json"))
    built = build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    assert run(built, "import six, toolz, rivers, helper; print('ok')") == "ok"
    assert (
        len(list(tmp_path.glob("bases/*/ready.json"))) == 1
    )  # a uv that outlived the killed one may leave a try behind


def test_a_tampered_artifact_is_refused_and_the_right_one_taken_after(captured, tmp_path, uv_cache):
    def tampered(one: Artifact) -> bytes:
        return captured.fetch(one)[:-1] + b"!"

    with pytest.raises(EnvironmentFailed, match="is not what was captured"):
        build(captured.environment, tampered, tmp_path, uv_cache=uv_cache)
    assert not list(tmp_path.glob("environments/*/ready.json"))
    assert build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache).fresh


def test_an_artifact_that_was_spoiled_on_the_machine_is_fetched_again(captured, tmp_path, uv_cache):
    one = captured.environment.code
    archives.write_whole(archives.place(tmp_path, one), b"x" * one.size)
    built = build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    assert run(built, "import helper; print(helper.DEPTH)") == "7"


@pytest.mark.parametrize("name", ["../../out.py", "/out.py", "a/../../out.py", "C:/out.py", "..\\out.py"])
def test_a_zip_that_leads_out_of_its_directory_is_refused_whole(tmp_path, name):
    content = archives.pack({"good.py": archives.File(b""), name: archives.File(b"")})
    with pytest.raises(EnvironmentFailed, match="leads out of its directory"):
        archives.unpack(content, tmp_path / "code")
    assert not list(tmp_path.rglob("*.py"))


def test_a_zip_with_a_link_is_refused(tmp_path):
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(EnvironmentFailed, match=r"link\.py"):
        archives.unpack(path.read_bytes(), tmp_path / "code")


def test_a_broken_zip_leaves_no_environment(captured, tmp_path, uv_cache):
    environment = with_code(captured.environment, b"no zip")
    with pytest.raises(EnvironmentFailed, match="is no zip file"):
        build(environment, lambda one: b"no zip", tmp_path, uv_cache=uv_cache)
    assert not list(tmp_path.glob("environments/*/ready.json"))


def test_another_patch_version_of_python_is_taken_and_said(captured, tmp_path, uv_cache):
    minor = captured.environment.python.rpartition(".")[0]
    environment = captured.environment.model_copy(update={"python": f"{minor}.99"})
    built = build(environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    assert f"Python is {minor}.99 on the client" in built.notices[0]
    assert build(environment, captured.fetch, tmp_path, uv_cache=uv_cache).notices == built.notices


def test_a_python_that_cannot_be_had_is_refused_with_a_cure(captured, tmp_path, uv_cache):
    environment = captured.environment.model_copy(update={"python": "3.98.0"})
    with pytest.raises(EnvironmentFailed, match=r"needs Python 3\.98\.0.*Install Python 3\.98"):
        build(environment, captured.fetch, tmp_path, uv_cache=uv_cache)


def test_a_package_whose_bytes_are_not_those_of_the_lock_is_refused(captured, tmp_path, uv_cache):
    pylock = captured.environment.pylock
    digest = pylock.partition('name = "six"')[2].partition("wheels")[2].partition('sha256 = "')[2][:64]
    environment = captured.environment.model_copy(update={"pylock": pylock.replace(digest, "0" * 64)})
    with pytest.raises(EnvironmentFailed, match=r"(?s)uv could not build the environment.*six.*[Hh]ash mismatch"):
        build(environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    assert not list(tmp_path.glob("*/*/ready.json"))


def test_a_full_disk_is_named(captured, tmp_path, uv_cache):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(EnvironmentFailed, match=r"The disk that holds .*small is full: [\d,]+ bytes are free"):
            build(captured.environment, captured.fetch, small, uv_cache=uv_cache)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_base_that_was_deleted_is_built_again(captured, tmp_path, uv_cache):
    build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    (tmp_path / "bases").rename(tmp_path / "gone")
    built = build(captured.environment, captured.fetch, tmp_path, uv_cache=uv_cache)
    assert run(built, "import six, rivers; print('ok')") == "ok"


def test_uv_that_is_missing_is_said(monkeypatch):
    def missing() -> str:
        raise FileNotFoundError("no uv")

    monkeypatch.setattr(commands.uv, "find_uv_bin", missing)
    with pytest.raises(EnvironmentFailed, match="pip install uv"):
        commands.run("--version")


def test_a_machine_that_captures_its_own_environment_gets_the_same_wheels(captured, tmp_path, uv_cache):
    built = build(captured.environment, captured.fetch, tmp_path / "machine", uv_cache=uv_cache)
    code = (
        "import pathlib, amasia.environments.capture as c\n"
        f"made = c.capture(cache=pathlib.Path({str(tmp_path / 'cache')!r}))\n"
        "print(made.environment.model_dump_json())"
    )
    again = Environment.model_validate_json(run(built, code))
    assert again.pylock == captured.environment.pylock
    assert again.wheels == captured.environment.wheels
