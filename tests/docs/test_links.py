"""Every relative link of every page leads somewhere."""

import re

import pytest

from .pages import ROOT, anchors, markdown, prose

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", markdown(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


CODE = re.compile(r"`([\w/]+\.py)(?::([\w.]+))?`")


@pytest.mark.parametrize("page", markdown(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_function_that_a_page_names_is_there(page):
    missing = []
    for path, name in CODE.findall(prose(page)):
        if "/" not in path and page.parent.name == "tutorials":
            continue  # the reader's own files
        found = [root / path for root in (ROOT / "src" / "amasia", ROOT) if (root / path).exists()]
        inner = name.rpartition(".")[2]
        if not found or (inner and not re.search(rf"\b(def|class) {inner}\b|^{inner}\b", found[0].read_text(), re.M)):
            missing.append(f"{path}:{name}")
    assert not missing
