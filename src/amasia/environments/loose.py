"""Loose code: modules beside the user's script that belong to no distribution."""

import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from amasia.environments.archives import File
from amasia.environments.sources import is_junk
from amasia.errors import EnvironmentFailed

MOST = 10 << 20
"""Bytes of loose code that go along."""
_SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)


def home(script: Path | None) -> Path | None:
    """The directory whose modules the user imports by their bare names; None if there is none.

    The script's own; for notebooks, the REPL and ``python -m``, the working directory. A program from the
    environment's ``bin`` (pytest, say) has none unless the working directory is on the import path.
    """
    main = _main_file()
    if script is not None:
        return script.resolve().parent
    if (
        main is not None
        and not main.is_relative_to(sys.prefix)
        and getattr(sys.modules["__main__"], "__spec__", None) is None
    ):
        return main.parent
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return None
    return here if any(Path(path or ".").resolve() == here for path in sys.path) else None


def gather(top: Path, script: Path | None, shipped: Iterable[str]) -> dict[str, File]:
    """Loose modules and packages by their name in the archive, which is first on the import path of machines.

    Taken are ``.py`` files and compiled modules: those directly in `top` and in import paths below it, and those of
    the packages there (directories with modules in them). Left out are data, junk (`sources.is_junk`), the names in
    `shipped` (they are in a wheel already), and the script itself unless another module imported it.
    """
    chosen: dict[str, Path] = {}
    for directory in [top, *_paths_below(top)]:
        for name, path in _modules(directory):
            if name.split("/")[0].split(".")[0] not in shipped:
                chosen.setdefault(name, path)
    main = script.resolve() if script else _main_file()
    kept = {name: path for name, path in chosen.items() if path.resolve() != main or _imported(path)}
    _check_size(top, kept)
    return {name: File(path.read_bytes()) for name, path in kept.items()}


def strays(covered: Sequence[Path]) -> list[str]:
    """Warnings for imported modules that are neither installed nor below the `covered` directories."""
    known = tuple(f"{path}{os.sep}" for path in [*covered, *_standard()])
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top in found or top == "__main__":
            continue
        file = _file(module)
        if file and not file.startswith(known):
            found[top] = file
    return [
        f"{name} is imported from {file}, which is neither installed nor beside the script: machines will not have it. "
        "Install its project (uv pip install -e DIRECTORY) or move it beside the script."
        for name, file in sorted(found.items())
    ]


def _main_file() -> Path | None:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def _paths_below(top: Path) -> list[Path]:
    paths = [Path(path).resolve() for path in sys.path if path]
    return [
        path
        for path in paths
        if path != top and path.is_relative_to(top) and path.is_dir() and not _within_junk(path, top)
    ]


def _within_junk(path: Path, top: Path) -> bool:
    while path != top:
        if is_junk(path):
            return True
        path = path.parent
    return False


def _modules(directory: Path) -> list[tuple[str, Path]]:
    """(name below `directory`, path) of every module there and of the modules of every package there, sorted."""
    found = [(path.name, path) for path in _own(directory)]
    for package in _packages(directory):
        if _own(package):
            found += [(path.relative_to(directory).as_posix(), path) for path in _below(package)]
    return sorted(found)


def _below(package: Path) -> list[Path]:
    inner = [path for path in _packages(package) if not path.is_symlink()]
    if not (package / "__init__.py").exists():
        # It may be a folder of data with a script in it: go down only where there is code.
        inner = [path for path in inner if _own(path)]
    return _own(package) + [path for directory in inner for path in _below(directory)]


def _own(directory: Path) -> list[Path]:
    return [path for path in _listed(directory) if path.name.endswith(_SUFFIXES) and path.is_file()]


def _packages(directory: Path) -> list[Path]:
    """Directories that can be imported by name."""
    return [path for path in _listed(directory) if path.name.isidentifier() and path.is_dir() and not is_junk(path)]


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except PermissionError:
        return []  # What may not be read cannot be imported.


def _imported(path: Path) -> bool:
    module = sys.modules.get(path.stem)
    return module is not None and _file(module) == str(path)


def _file(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) else ""


def _check_size(top: Path, files: dict[str, Path]) -> None:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    total = sum(sizes.values())
    if total <= MOST:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    listed = ", ".join(f"{name} ({sizes[name]:,} bytes)" for name in largest)
    raise EnvironmentFailed(
        f"The loose code in {top} is {total:,} bytes in {len(sizes)} files; at most {MOST:,} go along. "
        f"The largest: {listed}.",
        cure="Move the script into a directory of its own, or make the code a package (uv init --package).",
        directory=str(top),
        largest=largest,
    )


def _standard() -> list[Path]:
    paths = sysconfig.get_paths()
    own = [paths["stdlib"], paths["platstdlib"], sys.prefix, sys.base_prefix]
    return [Path(path) for path in own if path] + [Path(path) for path in sys.path if path.endswith("-packages")]
