"""What the pages tell people to type can be typed: commands and options exist, Python compiles, names are there."""

import ast
import re
import shlex
from importlib import import_module
from typing import Any

import pytest

import amasia
from tools import reference

from .pages import ROOT, blocks, commands, markdown

PAGES = [page for page in markdown() if "docs/reference" not in page.as_posix()]
WORDS = {name: command for name, command, _ in reference.commands()}


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_amasia_command_of_a_page_can_be_typed(page):
    for line in [*commands(page), *inline(page)]:
        for part in re.split(r"[;|]|&&", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["amasia"]:
                check(words)


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_python_of_a_page_compiles_and_its_names_exist(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("amasia"):
                module = import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "amasia":
                assert hasattr(amasia, node.attr), f"amasia.{node.attr}"
            if isinstance(node, ast.Call):
                check_call(node)


def inline(page):
    """Commands in running text, between backticks."""
    return re.findall(r"`(amasia [a-z][^`…]*)`", page.read_text())


def check(words: list[str]) -> None:
    rest = [word for word in words[1:] if word != "--help"]
    if not rest or rest[0].startswith("--"):
        return
    name = next((each for n in (3, 2, 1) if (each := " ".join(["amasia", *rest[:n]])) in WORDS), None)
    group = any(word.startswith(f"amasia {rest[0]} ") for word in WORDS) and len(rest) == 1
    assert name or group, f"there is no command {' '.join(words)!r}"
    if not name:
        return
    known = {option for parameter in WORDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    assert given <= known | {"--json"}, f"{name} has no {', '.join(given - known)}"


def check_call(node: ast.Call) -> None:
    """Keyword arguments of ``amasia.name(…)`` are parameters of it."""
    target: Any = amasia
    name = ast.unparse(node.func)
    if not re.fullmatch(r"amasia(\.\w+)+", name):
        return
    for part in name.split(".")[1:]:
        target = getattr(target, part)
    code = getattr(target, "__init__" if isinstance(target, type) else "__call__", target)
    code = getattr(code, "__code__", None) or target.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    assert {keyword.arg for keyword in node.keywords} <= set(known), ast.unparse(node)
