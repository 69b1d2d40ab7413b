import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment

from amasia.environments import locks
from amasia.environments.inventory import Installed

MAC = {**default_environment(), "sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"}


def installed(site: Path, name: str, version: str, *requires: str, extras: tuple[str, ...] = ()) -> Installed:
    path = site / f"{name}-{version}.dist-info"
    path.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Provides-Extra: {extra}" for extra in extras)]
    (path / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires), "", ""]))
    return Installed(name, version, path)


@pytest.fixture
def mac(tmp_path: Path) -> list[Installed]:
    """What a Mac has installed, with packages that exist."""
    only_mac, extra = "appnope>=0.1.0; sys_platform == 'darwin'", "mypy; extra == 'mypy'"
    only_intel = "greenlet>=1; platform_machine == 'x86_64'"
    return [
        installed(tmp_path, "appnope", "0.1.4"),
        installed(tmp_path, "ipython", "9.7.0", only_mac, "decorator", "pexpect; sys_platform != 'emscripten'"),
        installed(tmp_path, "sqlalchemy", "2.0.44", only_intel, extra, extras=("mypy",)),
        installed(tmp_path, "decorator", "5.2.1"),
    ]


def test_on_a_mac_packages_for_macs_are_marked_and_those_for_linux_added(mac):
    assert locks.requirements(mac, MAC) == {
        "appnope": "appnope==0.1.4 ; sys_platform == 'darwin'",
        "ipython": "ipython==9.7.0",
        "sqlalchemy": "sqlalchemy==2.0.44",
        "decorator": "decorator==5.2.1",
        "greenlet": 'greenlet>=1 ; platform_machine == "x86_64"',
    }


def test_on_linux_every_package_is_its_pin(mac):
    here = {**default_environment(), "sys_platform": "linux"}
    assert set(locks.requirements(mac, here).values()) == {f"{one.name}=={one.version}" for one in mac}


def test_a_password_in_an_address_never_reaches_the_lock(captured, monkeypatch, tmp_path):
    secret = re.sub("https://", "https://user:se%2Fcret@", captured.environment.pylock)
    monkeypatch.setattr(locks, "_compile", lambda lines: (secret, []))
    made = locks.lock([], tmp_path, lambda message: None)
    assert "cret" not in made.pylock
    assert tomllib.loads(made.pylock) == tomllib.loads(captured.environment.pylock)
    assert "hold a password" in made.warnings[0]


def test_a_lock_holds_no_wheel_that_fits_nothing_here(captured):
    names = re.findall(r"([^/]+\.whl)", captured.environment.pylock)
    assert names
    assert not [name for name in names if "win" in name.rpartition("-")[2] and "darwin" not in name]
