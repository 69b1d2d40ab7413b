"""A laptop: a real virtual environment with a script, a module beside it and an editable package."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uv

from amasia.models.environments import Artifact, Environment

CHECKOUT = Path(__file__).parents[2]
NEEDED = ("six", "toolz", "packaging", "pydantic", "filelock", "uv")
SCRIPT = """
import json, sys
from pathlib import Path
{imports}
from amasia.environments import commands
from amasia.environments.capture import capture

uses, run = [], commands.run
def counted(*arguments, **options):
    uses.append(arguments[0])
    return run(*arguments, **options)
commands.run = counted

captured = capture(cache=Path(sys.argv[1]))
print(json.dumps({{
    "environment": captured.environment.model_dump(mode="json"),
    "files": {{key: str(path) for key, path in captured.files.items()}},
    "warnings": captured.warnings, "seconds": captured.seconds, "uses": uses,
}}))
"""


def run_uv(*arguments: str | Path, cwd: Path | None = None) -> None:
    """uv, from its cache if that has all, which spares the network."""
    command = [uv.find_uv_bin(), "--quiet", *map(str, arguments)]
    if subprocess.run([*command, "--offline"], cwd=cwd, capture_output=True, check=False).returncode:
        subprocess.run(command, cwd=cwd, check=True)


@dataclass
class Answer:
    """What the script on a laptop printed."""

    environment: Environment
    files: dict[str, Path]
    warnings: list[str]
    seconds: dict[str, float]
    uses: list[str]

    def fetch(self, one: Artifact) -> bytes:
        return self.files[one.sha256].read_bytes()


class Laptop:
    def __init__(self, root: Path, template: Path) -> None:
        self.root = root
        self.venv = root / "venv"
        self.python = self.venv / "bin" / "python"
        self.project = root / "rivers"
        self.work = root / "work"
        self.cache = root / "cache"
        self.work.mkdir(parents=True)
        shutil.copytree(template, self.venv, symlinks=True, copy_function=os.link)
        make_package(self.project, "rivers", "FLOW = 1\n")
        self.install("--no-deps", "-e", self.project)
        (self.work / "helper.py").write_text("DEPTH = 7\n")
        self.write_script("import helper, rivers")

    def install(self, *what: str | Path) -> None:
        run_uv("pip", "install", "--python", self.python, *what)

    def write_script(self, imports: str = "", name: str = "script.py") -> Path:
        script = self.work / name
        script.write_text(SCRIPT.format(imports=imports))
        return script

    def run(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Any:
        command = [self.python, *arguments, str(self.cache)]
        return subprocess.run(command, cwd=cwd or self.root, capture_output=True, text=True, check=False, env=env)

    def capture(self, script: str = "work/script.py", env: dict[str, str] | None = None) -> Answer:
        done = self.run(script, env=env)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        files = {key: Path(path) for key, path in told.pop("files").items()}
        return Answer(Environment.model_validate(told.pop("environment")), files, **told)

    def failure(self, script: str = "work/script.py") -> str:
        done = self.run(script)
        assert done.returncode != 0
        assert "EnvironmentFailed" in done.stderr
        return str(done.stderr)


def make_package(project: Path, name: str, code: str) -> None:
    (project / "src" / name).mkdir(parents=True)
    (project / "src" / name / "__init__.py").write_text(code)
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "0.3.0"\nscripts = {{ {name} = "{name}:main" }}\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )


@pytest.fixture
def package() -> Callable[[Path, str, str], None]:
    return make_package


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with this checkout in it, to make laptops from."""
    venv = tmp_path_factory.mktemp("template") / "venv"
    run_uv("venv", venv, "--python", sys.executable)
    run_uv("pip", "install", "--python", venv / "bin" / "python", *NEEDED)
    run_uv("pip", "install", "--python", venv / "bin" / "python", "--no-deps", "-e", CHECKOUT)
    return venv


@pytest.fixture
def laptop(tmp_path: Path, template: Path, captured: Answer) -> Laptop:
    """One of the test's own. It knows the lock and the wheels already, which saves building this checkout again."""
    one = Laptop(tmp_path / "laptop", template)
    shutil.copytree(captured.files[captured.environment.code.sha256].parents[2], one.cache)
    return one


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Answer:
    """The environment of a laptop that no test changes."""
    return Laptop(tmp_path_factory.mktemp("captured") / "laptop", template).capture()


@pytest.fixture(scope="session")
def uv_cache() -> Path:
    """uv's own cache, which is warm from making this checkout's environment."""
    done = subprocess.run([uv.find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())
