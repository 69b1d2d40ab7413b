import os
import shutil
import subprocess
import time
import tomllib
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import uv

from amasia.environments import capture as captures
from amasia.environments import commands


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_environment_of_this_process_is_captured_and_captured_again_in_moments(tmp_path, monkeypatch):
    start = time.process_time()
    first = captures.capture(cache=tmp_path)
    cold = time.process_time() - start

    def refuse(*arguments, **options):
        raise AssertionError("uv was started")

    monkeypatch.setattr(commands, "run", refuse)
    taken = []
    for _ in range(3):
        start = time.process_time()
        second = captures.capture(cache=tmp_path)
        taken.append(time.process_time() - start)
    warm = min(taken)
    print(f"capture of {len(tomllib.loads(first.environment.pylock)['packages'])} packages: {cold=:.2f} {warm=:.3f}")
    assert second == first
    assert warm < 0.3
    assert {"dask", "xarray", "python"} <= first.environment.versions.keys()
    assert any(one.filename.startswith("amasia-") for one in first.environment.wheels)


def test_index_packages_are_locked_in_the_installed_versions_with_hashes(captured):
    locked = {one["name"]: one for one in tomllib.loads(captured.environment.pylock)["packages"]}
    assert {"six", "toolz", "packaging", "pydantic", "uv"} <= locked.keys()
    assert not {"amasia", "rivers", "pip"} & locked.keys()
    assert len(locked["six"]["wheels"][0]["hashes"]["sha256"]) == 64
    assert captured.environment.versions["toolz"] == locked["toolz"]["version"]


def test_an_edit_of_an_editable_package_builds_that_package_and_nothing_else(laptop):
    before, again = laptop.capture(), laptop.capture()
    assert again.environment == before.environment
    assert again.uses == []
    (laptop.project / "src" / "rivers" / "__init__.py").write_text("FLOW = 2\n")
    after = laptop.capture()
    assert after.uses == ["build"]
    assert after.environment.base_hash == before.environment.base_hash
    assert after.environment.hash != before.environment.hash
    wheels = {one.filename for one in before.environment.wheels} ^ {one.filename for one in after.environment.wheels}
    assert len(wheels) == 2
    assert all(name.startswith("rivers-0.3.0+amasia.x") for name in wheels)


def test_a_changed_test_of_an_editable_package_gives_the_same_environment(laptop):
    before = laptop.capture()
    (laptop.project / "tests").mkdir()
    (laptop.project / "tests" / "test_it.py").write_text("def test(): pass\n")
    assert laptop.capture().environment.hash == before.environment.hash


def test_modules_beside_the_script_go_along_and_nothing_else(laptop):
    work = laptop.work
    for name in ("lakes/__init__.py", "lakes/deep/er/far.py", "lakes/near/one.py", ".hidden/x.py", "node_modules/y.py"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("")
    (work / "data.csv").write_text("1,2")
    (work / "archive" / "old").mkdir(parents=True)
    (work / "archive" / "old" / "unused.py").write_text("")
    (work / "env").mkdir()
    (work / "env" / "pyvenv.cfg").write_text("")
    (work / "env" / "z.py").write_text("")
    answer = laptop.capture()
    assert names_in(answer.files[answer.environment.code.sha256]) == {
        "helper.py",
        "lakes/__init__.py",
        "lakes/deep/er/far.py",
        "lakes/near/one.py",
    }
    (work / "script.py").write_text((work / "script.py").read_text() + "# edited\n")
    (work / "data.csv").write_text("3")
    assert laptop.capture().environment.hash == answer.environment.hash


def test_a_script_that_another_module_imported_goes_along(laptop):
    (laptop.work / "helper.py").write_text("import sys\nif 'script' not in sys.modules: import script\n")
    script = laptop.work / "script.py"
    script.write_text(
        "DEPTH = 1\nif __name__ == '__main__':\n    " + script.read_text().strip().replace("\n", "\n    ")
    )
    answer = laptop.capture()
    assert names_in(answer.files[answer.environment.code.sha256]) == {"helper.py", "script.py"}


def test_a_script_in_the_project_of_an_editable_package_does_not_send_it_twice(laptop):
    (laptop.project / "setup_stations.py").write_text("STATIONS = 3\n")
    shutil.copy(laptop.work / "script.py", laptop.project / "src" / "main.py")
    (laptop.project / "src" / "helper.py").write_text("")
    answer = laptop.capture("rivers/src/main.py")
    assert names_in(answer.files[answer.environment.code.sha256]) == {"helper.py"}


def test_too_much_loose_code_is_refused_naming_the_largest(laptop):
    (laptop.work / "tables.py").write_text("#" * (11 << 20))
    message = laptop.failure()
    assert "tables.py (11,534,336 bytes)" in message
    assert "directory of its own" in message


def test_a_module_from_elsewhere_is_warned_about_and_one_on_a_path_below_the_script_goes_along(laptop):
    for folder, name in ((laptop.root / "elsewhere", "far"), (laptop.work / "lib", "near")):
        folder.mkdir()
        (folder / f"{name}.py").write_text("")
    laptop.write_script(
        f"sys.path += [{str(laptop.root / 'elsewhere')!r}, {str(laptop.work / 'lib')!r}]; import far, near"
    )
    answer = laptop.capture()
    assert len(answer.warnings) == 1
    assert answer.warnings[0].startswith("far is imported from")
    assert "near.py" in names_in(answer.files[answer.environment.code.sha256])


def test_a_broken_package_is_named_with_its_cure(laptop):
    next(laptop.venv.glob("lib/python*/site-packages/six-*.dist-info/METADATA")).unlink()
    message = laptop.failure()
    assert "'six' is broken" in message
    assert "uv pip install --reinstall six" in message


def test_an_editable_package_whose_source_is_gone_is_named(laptop):
    laptop.write_script()
    laptop.project.rename(laptop.root / "moved")
    assert "rivers 0.3.0 is installed as editable" in laptop.failure()


def test_an_editable_package_that_does_not_build_is_named(laptop):
    (laptop.project / "pyproject.toml").write_text("[project\n")
    assert "rivers could not be built" in laptop.failure()


def test_packages_from_a_directory_and_from_git_are_taken_as_installed(laptop, package: Callable[..., None]):
    local, repository = laptop.root / "lakes", laptop.root / "seas"
    package(local, "lakes", "def main(): return 'installed'\n")
    package(repository, "seas", "SALT = 35\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(repository)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    laptop.install("--no-deps", local, f"git+file://{repository}")
    shutil.rmtree(local)
    shutil.rmtree(repository)
    answer = laptop.capture()
    made = {one.filename.split("-")[0]: answer.files[one.sha256] for one in answer.environment.wheels}
    assert made.keys() == {"amasia", "rivers", "lakes", "seas"}
    with zipfile.ZipFile(made["lakes"]) as archive:
        assert b"installed" in archive.read("lakes/__init__.py")
        assert not [name for name in archive.namelist() if "direct_url" in name or ".data" in name]
    assert laptop.capture().uses == []


def test_a_package_that_no_index_has_is_taken_as_installed_with_a_warning(laptop, package: Callable[..., None]):
    project, wheels = laptop.root / "zz-amasia-ponds", laptop.root / "wheels"
    package(project, "zz_amasia_ponds", "")
    subprocess.run(
        [uv.find_uv_bin(), "build", "-q", "--wheel", "--python", laptop.python, "-o", wheels, project], check=True
    )
    laptop.install("--no-deps", "--no-index", "--find-links", wheels, "zz-amasia-ponds")
    answer = laptop.capture()
    assert any(one.filename.startswith("zz_amasia_ponds-") for one in answer.environment.wheels)
    assert "zz-amasia-ponds==0.3.0 is on no package index" in answer.warnings[0]
    assert "six" in answer.environment.pylock
    # An index that holds files of this computer only is no help to machines either.
    shutil.rmtree(laptop.cache)
    seen = laptop.capture(env={**os.environ, "UV_FIND_LINKS": str(wheels)})
    assert "file://" not in seen.environment.pylock
    assert seen.environment.wheels == answer.environment.wheels


def test_the_bytes_of_loose_code_depend_on_contents_only(laptop):
    first = laptop.capture()
    os.utime(laptop.work / "helper.py", (1, 1))
    os.chmod(laptop.work / "helper.py", 0o600)
    assert laptop.capture().environment.code == first.environment.code


def test_a_private_index_is_used_and_its_password_stays_here(laptop, package: Callable[..., None]):
    project, served = laptop.root / "zz-amasia-ponds", laptop.root / "served"
    package(project, "zz_amasia_ponds", "")
    page = served / "simple" / "zz-amasia-ponds"
    command = [uv.find_uv_bin(), "build", "-q", "--wheel", "--python", laptop.python, "-o", page, project]
    subprocess.run(command, check=True)
    wheel = next(page.glob("*.whl"))
    laptop.install("--no-deps", wheel)
    for path in laptop.venv.glob("lib/python*/site-packages/zz_*.dist-info/direct_url.json"):
        path.unlink()
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://user:se-cret@127.0.0.1:{server.server_port}/simple"
        (page / "index.html").write_text(f'<a href="{address}/zz-amasia-ponds/{wheel.name}">{wheel.name}</a>')
        answer = laptop.capture(env={**os.environ, "UV_INDEX": address})
        server.shutdown()
    assert [one for one in tomllib.loads(answer.environment.pylock)["packages"] if one["name"] == "zz-amasia-ponds"]
    told = answer.environment.model_dump_json() + "".join(answer.warnings)
    assert "127.0.0.1" in told
    assert "se-cret" not in told
