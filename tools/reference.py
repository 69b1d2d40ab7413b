"""Write the pages of ``docs/reference`` from the code: ``make reference``.

What the code does not say cannot be written: a setting without a docstring, an error without a line in the tree, a
command without examples or a route without a decision is an error here, and so in the tests.
"""

import ast
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer
from fastapi import FastAPI
from pydantic_settings import BaseSettings

from amasia import errors, settings
from amasia.cli import main as cli
from amasia.models.permissions import GRANTS, Permission, Role
from amasia.models.users import Scope
from tools import openapi, provider_table

PAGES = Path(__file__).parent.parent / "docs" / "reference"
WIDTH = 100

CLASSES: dict[type[BaseSettings], str] = {
    settings.ServerSettings: "The control plane: `amasia up`, `python -m amasia.server`",
    settings.PublishSettings: "The publishing process: `amasia publish serve`",
    settings.ClientSettings: "Scripts, the command line, and tasks on machines",
}
DEFAULTS = {
    "home": "the platform's data directory, such as `~/.local/share/amasia`",
    "profile": "`profile.json` in the platform's configuration directory, such as `~/.config/amasia`",
    "cache": "the platform's cache directory, such as `~/.cache/amasia`",
}
"""Those that differ from computer to computer."""

WHO = {
    "anyone": "anyone",
    "signed-in": "signed in, about their own",
    "operator": "operators",
    "machine": "the machine itself",
    "seen": "each sees what they may, without an account what is public",
    "read public": "level `read` on it, or public",
    "read level": "level `read` on it",
    "write level": "level `write` on it",
    "admin level": "level `admin` on it",
    "publisher": "the publishing process",
}
BESIDES = {
    "POST /v1/machines/join": "the body has the machine's join token",
    "GET /v1/workspaces/{workspace}/costs": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/costs/lines": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/costs/forecast": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/costs/waste": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/costs/usage": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/charges": "about their own, unless they may set the `budget`",
    "GET /v1/workspaces/{workspace}/views": "those whose target they may read",
    "POST /v1/workspaces/{workspace}/views": "level `read` on the source, `write` on the target",
    "GET /v1/workspaces/{workspace}/views/{name}": "and level `read` on the target",
    "PATCH /v1/workspaces/{workspace}/views/{name}": "and is its owner, or may `manage`",
    "DELETE /v1/workspaces/{workspace}/views/{name}": "and is its owner, or may `manage`",
    "GET /v1/workspaces/{workspace}/views/{name}/refreshes": "and level `read` on the target",
    "POST /v1/workspaces/{workspace}/views/{name}/refreshes": "and level `read` on the target",
    "GET /v1/workspaces/{workspace}/views/{name}/refreshes/{refresh_id}": "and level `read` on the target",
    "POST /v1/workspaces/{workspace}/views/{name}/claims": "and is its owner; for a machine's refresh that machine",
    "POST /v1/workspaces/{workspace}/views/{name}/claims/{refresh_id}/renewal": "and holds the claim",
    "PUT /v1/workspaces/{workspace}/views/{name}/claims/{refresh_id}": "and holds the claim",
    "PATCH /v1/workspaces/{workspace}/clusters/{name}": "and is its owner, or may `manage`",
    "DELETE /v1/workspaces/{workspace}/clusters/{name}": "and is its owner, or may `manage`",
    "GET /v1/workspaces/{workspace}/clusters/{name}/log": "and is its owner, or may `manage`",
    "GET /v1/workspaces/{workspace}/clusters/{name}/security": "and is its owner; others where it is shared",
    "GET /v1/workspaces/{workspace}/secrets": "those that they may use, unless they may `manage`",
    "PUT /v1/workspaces/{workspace}/secrets/{name}": "for others than themselves, they may `manage`",
    "DELETE /v1/workspaces/{workspace}/secrets/{name}": "of others than themselves, they may `manage`",
    "POST /v1/workspaces/{workspace}/repositories/{name}/credentials": "level `write` for mode *write*",
    "PUT /v1/workspaces/{workspace}/repositories/{name}/commits/{commit_id}": "and began that commit",
}
"""What a route asks besides its decision."""


def page(name: str) -> str:
    return MAKERS[name]()


def settings_page() -> str:
    lines = _head("Settings", "src/amasia/settings.py")
    lines += [
        "Every setting is an environment variable. Beside them there is one file, the profile, which `amasia up` and",
        "`amasia login` write: it holds `url`, `token` and `workspace`, and variables win over it.",
    ]
    for cls, title in CLASSES.items():
        lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in _fields(cls)]
    return "\n".join(lines) + "\n"


def _fields(cls: type[BaseSettings]) -> Iterator[tuple[str, str, str]]:
    meanings = _docstrings(cls)
    for name, field in cls.model_fields.items():
        if name not in meanings:
            raise SystemExit(f"{cls.__name__}.{name} has no docstring below it: say what it is for")
        default = DEFAULTS.get(name) or f"`{field.default}`"
        empty = str(field.default) in ("", "**********")
        yield f"AMASIA_{name.upper()}", "empty" if empty else default, _cell(meanings[name])


def _docstrings(cls: type) -> dict[str, str]:
    """Strings that stand below the fields of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, after in itertools.pairwise(body):
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            continue
        if isinstance(field, ast.AnnAssign | ast.Assign):
            target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
            found[ast.unparse(target)] = str(after.value.value)
    return found


def commands_page() -> str:
    lines = _head("Commands", "src/amasia/cli/")
    lines += [
        "Each command answers `--help`; this page is those answers. Every command that shows something takes `--json`:",
        "data on stdout, everything else on stderr. The exit status is 0, that of the [error](errors.md), 130 for",
        "Ctrl-C, or 70 for a bug. `amasia --install-completion` completes commands and the names that the control",
        "plane knows.",
        "",
        "| command | |",
        "|---|---|",
    ]
    found = list(commands())
    lines += [f"| [`{name}`](#{_anchor(name)}) | {_cell(_first(command.help))} |" for name, command, _ in found]
    for name, command, context in found:
        text = command.get_help(context)
        if "Examples:" not in text:
            raise SystemExit(f"`{name}` has no examples: give it an epilog")
        lines += ["", f"## {name}", "", "```text", *(line.rstrip() for line in text.splitlines()), "```"]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, Any, typer.Context]]:
    """Every command that does something: its words, itself, and the context that its help is written in."""
    root = typer.Context(
        typer.main.get_command(cli.app), info_name="amasia", terminal_width=WIDTH, max_content_width=WIDTH
    )
    for word in cli.LAZY:
        yield from _below(f"amasia {word}", word, cli.load(word), root)


def _below(name: str, word: str, command: Any, parent: typer.Context) -> Iterator[tuple[str, Any, typer.Context]]:
    context = typer.Context(command, info_name=word, parent=parent)
    inner = getattr(command, "commands", None)
    if inner is None or command.invoke_without_command:
        yield name, command, context
    for word_, command_ in (inner or {}).items():
        yield from _below(f"{name} {word_}", word_, command_, context)


def routes_page() -> str:
    lines = _head("Routes", "src/amasia/api/")
    lines += [
        "The wire, for whoever writes a client: bodies and answers are the models of `src/amasia/models/`, and",
        "[`openapi.json`](../../openapi.json) has them field by field. Send a token as `Authorization: Bearer …`.",
        "Lists are pages: `{items, next}`, the next one with `?after=NEXT`. Errors are `{kind, message, cure, detail}`",
        "with the [status of their kind](errors.md). Models only ever gain fields; ignore those that you do not know.",
        "",
        "## What each role may",
        "",
        f"| permission | {' | '.join(role.value for role in Role)} | |",
        f"|---|{'---|' * len(Role)}---|",
    ]
    meanings = _docstrings(Permission)
    for permission in Permission:
        marks = ["yes" if permission in GRANTS[role] else "" for role in Role]
        lines.append(f"| `{permission.value}` | {' | '.join(marks)} | {_cell(meanings[permission.value])} |")
    lines += [
        "",
        "A stranger to a workspace is told that there is none, and so is an operator who is no member. A token of",
        "scope *read* has of these what changes nothing: `people`, `read`, `costs` and `audit`. Tokens of tasks (scope",
        "*data*) and of machines may only do what says so. Every denial is an event (`amasia audit log`).",
    ]
    for tag, rows in _routes_by_tag().items():
        lines += ["", f"## {tag.capitalize()}", "", "| route | body → answer | who may |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _routes_by_tag() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    seen = set()
    for method, path, route in routes(openapi.make()):
        seen.add(f"{method} {path}")
        hints = get_type_hints(route.endpoint)
        body = getattr(hints.get("body"), "__name__", "bytes" if method == "PUT" and "artifacts" in path else "")
        answer = _type_name(hints.get("return"), path)
        query = "".join(f"?{field.name}=" for field in route.dependant.query_params)
        row = f"| `{method} {path}`{f' `{query}`' if query else ''} | {body} → {answer} | {who(method, path, route)} |"
        found.setdefault(route.tags[0], []).append(row.replace("|  →", "| →"))
    if stale := set(BESIDES) - seen:
        raise SystemExit(f"there are no such routes any more: {', '.join(sorted(stale))}")
    return found


def routes(api: FastAPI) -> Iterator[tuple[str, str, Any]]:
    """(method, path, route) of every route under /v1, in their order."""
    for included in api.router.routes:
        for route in getattr(getattr(included, "original_router", None), "routes", []):
            for method in sorted(route.methods):
                yield method, route.path if route.path.startswith("/stac") else f"/v1{route.path}", route


def who(method: str, path: str, route: Any) -> str:
    """A route's decision, in words."""
    text = WHO.get(decision(route)) or f"`{decision(route)}`"
    scopes = inspect.getclosurevars(_check(route)).nonlocals.get("scopes", frozenset())
    if Scope.data in scopes:
        text += ", tasks too"
    if Scope.machine in scopes:
        text += ", machines too"
    besides = BESIDES.get(f"{method} {path}")
    return f"{text}; {besides}" if besides else text


def decision(route: Any) -> str:
    """What a route says about who may, in the code's words."""
    found: str = _check(route).decision
    return found


def _check(route: Any) -> Any:
    checks = [each.call for each in route.dependant.dependencies if hasattr(each.call, "decision")]
    if len(checks) != 1:
        raise SystemExit(f"{route.path} has {len(checks)} decisions about who may: give it exactly one")
    return checks[0]


def _type_name(hint: Any, path: str) -> str:
    if hint is None or hint is type(None):
        return "nothing"
    name = getattr(hint, "__name__", str(hint))
    return "bytes" if name == "Response" else name.replace("[", "\\[")


def errors_page() -> str:
    lines = _head("Errors", "src/amasia/errors.py")
    lines += [
        "Only these reach you; anything else is a bug, told with an id under which the log has it. Each says what was",
        "found, what was expected, and what to do (`cure`). On the wire, in `--json` and in Python it is the same",
        "error: `kind` on the wire, the class in `amasia.errors`, the exit status of the command.",
        "",
        "| class | kind | meaning | status | exit | |",
        "|---|---|---|---|---|---|",
    ]
    meanings = _tree()
    for depth, cls in _descend(errors.AmasiaError):
        if cls.__name__ not in meanings:
            raise SystemExit(f"{cls.__name__} has no meaning in the tree at the head of errors.py")
        name = f"{'· ' * depth}`{cls.__name__}`"
        link = f"[what to do](../how-to/mend-common-problems.md#{cls.kind})"
        row = (name, f"`{cls.kind}`", meanings[cls.__name__], str(cls.status), str(cls.exit_code), link)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def providers_page() -> str:
    return (
        "\n".join([*_head("Providers", "src/amasia/providers/ and tests/providers/"), *provider_table.lines()]) + "\n"
    )


def _tree() -> dict[str, str]:
    """The meaning of each error, as the tree at the head of its module gives it."""
    found = re.findall(r"^[ │├└─]*(\w+) {2,}(\S.*)$", errors.__doc__ or "", re.MULTILINE)
    return {"AmasiaError": "the base of all; by itself, a bug of ours"} | {name: _cell(text) for name, text in found}


def _descend(cls: type[errors.AmasiaError], depth: int = 0) -> Iterator[tuple[int, type[errors.AmasiaError]]]:
    yield depth, cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _descend(child, depth + 1)


def _head(title: str, source: str) -> list[str]:
    return [f"# {title}", "", f"<!-- Made from {source} by `make reference`. Change the code, not this page. -->", ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _first(text: str | None) -> str:
    return re.split(r"(?<=[.…])\s", (text or "").strip(), maxsplit=1)[0]


def _anchor(heading: str) -> str:
    return heading.replace(" ", "-")


MAKERS: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "routes.md": routes_page,
    "errors.md": errors_page,
    "providers.md": providers_page,
}

if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in MAKERS:
        (PAGES / name).write_text(page(name))
