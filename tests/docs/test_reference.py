"""The reference is what the code says; whatever the code does not say fails here."""

import re

import pytest

from amasia import errors
from tools import reference

from .pages import ROOT, anchors, markdown

MEND = ROOT / "docs" / "how-to" / "mend-common-problems.md"


@pytest.mark.parametrize("name", reference.MAKERS)
def test_the_committed_page_is_what_the_code_gives(name):
    committed = (reference.PAGES / name).read_text()
    assert committed == reference.page(name), "look at the difference, then run `make reference`"


def test_every_kind_of_error_has_its_cure_on_the_page_of_cures():
    assert set(errors.KINDS) <= anchors(MEND)


def test_every_command_in_an_example_is_one():
    known = {name for name, _, _ in reference.commands()}
    for name, command, _ in reference.commands():
        for line in re.findall(r"^ *(amasia .*)$", (command.epilog or "").partition("Examples:")[2], re.MULTILINE):
            assert any(line == one or line.startswith(f"{one} ") for one in known), f"{name}: {line}"


def test_every_variable_that_a_page_names_is_a_setting():
    of_tests = {"AMASIA_TEST_DATA", "AMASIA_SCREENSHOTS"}
    known = {f"AMASIA_{name.upper()}" for cls in reference.CLASSES for name in cls.model_fields} | of_tests
    for page in markdown():
        assert set(re.findall(r"AMASIA_[A-Z_]*[A-Z]", page.read_text())) <= known, page
