"""Words that many commands share, and how the shell completes names that only the control plane knows."""

import getpass
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from amasia.client import budgets, clusters, views, workspaces
from amasia.client.transport import connect
from amasia.errors import AmasiaError, InvalidRequest
from amasia.models.repositories import Repository


def noun(help: str) -> typer.Typer:
    """The commands of one noun. Plain help, because drawing it with rich takes longer than most commands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complete[**P](find: Callable[P, Iterator[str]]) -> Callable[[str], list[str]]:
    """Completion from the control plane; silence where it does not answer, because a shell shows no errors."""

    def completion(incomplete: str) -> list[str]:
        try:
            return [name for name in find() if name.startswith(incomplete)]  # type: ignore[call-arg]
        except AmasiaError:
            return []

    return completion


def cluster_names() -> Iterator[str]:
    return (cluster.name for cluster in clusters.find())


def budget_names() -> Iterator[str]:
    return (budget.name for budget in budgets.find())


def workspace_names() -> Iterator[str]:
    return (workspace.name for workspace in workspaces.find())


def repository_names() -> Iterator[str]:
    for workspace in workspace_names():
        found = connect().items(f"{workspaces.path(workspace)}/repositories", Repository)
        yield from (repository.full_name for repository in found)


def view_names() -> Iterator[str]:
    return (view.full_name for workspace in workspace_names() for view in views.find(workspace))


Json = Annotated[bool, typer.Option("--json", help="Data for programs, on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ClusterName = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="Name of a live one, or id.", autocompletion=complete(cluster_names))
]
RepositoryName = Annotated[
    str, typer.Argument(metavar="REPOSITORY", help="workspace/name.", autocompletion=complete(repository_names))
]
ViewName = Annotated[
    str, typer.Argument(metavar="VIEW", help="workspace/name, or name.", autocompletion=complete(view_names))
]
Workspace = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Instead of the profile's.", autocompletion=complete(workspace_names)),
]


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; without a terminal only ``--yes`` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{question} There is no terminal to ask on.", cure="Add --yes.")
    typer.confirm(question, abort=True, err=True)


def secret(prompt: str) -> str:
    """From the terminal or from stdin; never an argument: those are read by every process of the computer."""
    given = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not given:
        raise InvalidRequest(f"Nothing was given where a secret was asked for ({prompt.strip(': ')}).",
                             cure="Type it, or pass it on stdin.")  # fmt: skip
    return given
