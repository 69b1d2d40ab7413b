"""Every dependency has its line of why, and no line is left over."""

import re
import tomllib

from .pages import ROOT

PAGE = ROOT / "docs" / "developers" / "dependencies.md"


def test_every_dependency_is_explained_where_it_belongs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {"Base": project["project"]["dependencies"]}
    wanted |= {f"Extra `{name}`": found for name, found in project["project"]["optional-dependencies"].items()}
    wanted |= {f"Group `{name}`": found for name, found in project["dependency-groups"].items()}
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    for title, requirements in wanted.items():
        names = {re.split(r"[\[>=<~! ]", requirement)[0] for requirement in requirements} - {"amasia"}
        told = set(re.findall(r"^\| `([^`]+)` \|", sections[title], re.MULTILINE))
        assert told == names, title
