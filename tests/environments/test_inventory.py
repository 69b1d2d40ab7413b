import json
from pathlib import Path

import pytest

from amasia.environments.inventory import Origin, installed
from amasia.errors import EnvironmentFailed


def put(site: Path, name: str, url: dict[str, object] | None = None, installer: str = "uv") -> None:
    path = site / f"{name}.dist-info"
    path.mkdir(parents=True)
    (path / "METADATA").write_text("")
    (path / "INSTALLER").write_text(f"{installer}\n")
    if url:
        (path / "direct_url.json").write_text(json.dumps(url))


def test_the_first_of_a_name_on_the_path_is_the_one(tmp_path):
    first, second = tmp_path / "a" / "site-packages", tmp_path / "b" / "site-packages"
    put(first, "Zope_Interface-1.0")
    put(second, "zope_interface-2.0")
    put(second, "six-1.17.0")
    found = installed([str(first), str(tmp_path), str(second)])
    assert [(one.name, one.version) for one in found] == [("six", "1.17.0"), ("zope-interface", "1.0")]


def test_pip_and_what_a_crashed_removal_left_are_passed_over(tmp_path):
    site = tmp_path / "site-packages"
    put(site, "pip-25.0")
    put(site, "~ix-1.0")
    assert installed([str(site)]) == []


def test_where_a_package_came_from_is_read_from_its_direct_url(tmp_path):
    site = tmp_path / "site-packages"
    here = tmp_path / "my lakes"
    here.mkdir()
    put(site, "lakes-1", {"url": f"{tmp_path.as_uri()}/my%20lakes", "dir_info": {"editable": True}})
    put(site, "seas-1", {"url": "https://example.org/seas", "vcs_info": {"vcs": "git", "commit_id": "0"}})
    put(site, "skies-1", {"url": "file:///home/conda/work", "dir_info": {}}, installer="conda")
    put(site, "winds-1")
    found = {one.name: one for one in installed([str(site)])}
    assert {name: one.origin for name, one in found.items()} == {
        "lakes": Origin.editable,
        "seas": Origin.files,
        "skies": Origin.indexed,
        "winds": Origin.indexed,
    }
    assert found["lakes"].project == here


def test_metadata_that_cannot_be_read_names_the_package(tmp_path):
    put(tmp_path / "site-packages", "six-1.17.0", {"url": ""})
    (tmp_path / "site-packages" / "six-1.17.0.dist-info" / "direct_url.json").write_text("{")
    with pytest.raises(EnvironmentFailed, match="'six' is broken"):
        installed([str(tmp_path / "site-packages")])
