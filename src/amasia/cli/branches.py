"""``amasia repo branch`` and ``amasia repo tag``."""

from typing import Annotated

import typer

import amasia
from amasia.cli.options import Json, RepositoryName, Yes, confirm, examples, noun
from amasia.cli.output import say, show_json, show_table
from amasia.client import refs
from amasia.models.refs import RefKind

branches = noun("Branches of a repository.")
tags = noun("Tags of a repository: names of snapshots that never move.")

Name = Annotated[str, typer.Argument(help="Of the branch or tag.")]
At = Annotated[str, typer.Option(help="A branch, tag, snapshot or time (2026-11-22T10:00, in UTC).")]


@branches.command("list", epilog=examples("amasia repo branch list demo/reanalysis"))
def list_branches(repository: RepositoryName, as_json: Json = False) -> None:
    """Its branches, and the newest snapshot of each."""
    _list(repository, RefKind.branch, as_json)


@tags.command("list", epilog=examples("amasia repo tag list demo/reanalysis --json"))
def list_tags(repository: RepositoryName, as_json: Json = False) -> None:
    """Its tags, and the snapshot of each."""
    _list(repository, RefKind.tag, as_json)


@branches.command("create", epilog=examples("amasia repo branch create demo/reanalysis corrected --at main"))
def create_branch(repository: RepositoryName, name: Name, at: At = "main", as_json: Json = False) -> None:
    """Begin a branch at a snapshot."""
    repo = amasia.open_repo(repository, mode="write")
    snapshot = repo.snapshot(at)
    repo.create_branch(name, snapshot)
    text = f"Branch {name} of {repo.name} begins at {_said(at, snapshot)}."
    _done({"branch": name, "snapshot": snapshot}, text, as_json)


@tags.command(
    "create",
    epilog=examples("amasia repo tag create demo/reanalysis v1", "amasia repo tag create demo/sst v2 --at 2026-11-22"),
)
def create_tag(repository: RepositoryName, name: Name, at: At = "main", as_json: Json = False) -> None:
    """Name a snapshot for good."""
    repo = amasia.open_repo(repository, mode="write")
    snapshot = repo.snapshot(at)
    repo.create_tag(name, snapshot)
    text = f"Tag {name} of {repo.name} is {_said(at, snapshot)}."
    _done({"tag": name, "snapshot": snapshot}, text, as_json)


@branches.command("delete", epilog=examples("amasia repo branch delete demo/reanalysis corrected --yes"))
def delete_branch(repository: RepositoryName, name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a branch; commits that only it reaches are removed by the next cleaning."""
    confirm(f"Delete branch {name} of {repository}, and in time the commits that only it reaches?", yes)
    amasia.open_repo(repository, mode="write").delete_branch(name)
    _done({"deleted": name}, f"Branch {name} of {repository} is deleted.", as_json)


@tags.command("delete", epilog=examples("amasia repo tag delete demo/reanalysis v1 --yes"))
def delete_tag(repository: RepositoryName, name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a tag. Its name is not free again."""
    confirm(f"Delete tag {name} of {repository}? Its name is not free again.", yes)
    amasia.open_repo(repository, mode="write").delete_tag(name)
    _done({"deleted": name}, f"Tag {name} of {repository} is deleted.", as_json)


@branches.command(
    "reset",
    epilog=examples(
        "amasia repo branch reset demo/reanalysis main --to v1",
        "amasia repo branch reset demo/sst main --to 2026-11-22",
    ),
)
def reset(
    repository: RepositoryName,
    name: Name,
    to: Annotated[str, typer.Option(help="A branch, tag, snapshot or time.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Point a branch at another snapshot; commits after it are no longer on the branch."""
    confirm(f"Point branch {name} of {repository} at {to}? Commits after that leave the branch.", yes)
    repo = amasia.open_repo(repository, mode="write")
    snapshot = repo.snapshot(to)
    before = repo.reset(snapshot, branch=name)
    back = f"amasia repo branch reset {repository} {name} --to {before}"
    text = f"Branch {name} of {repository} is at {_said(to, snapshot)}. Back: {back}"
    _done({"branch": name, "snapshot": snapshot, "before": before}, text, as_json)


def _list(repository: str, kind: RefKind, as_json: bool) -> None:
    found = refs.find(repository, kind)
    if as_json:
        show_json(found)
        return
    empty = f"No {kind.value} yet. Make one: amasia repo {kind.value} create {repository} NAME"
    show_table([kind.value, "snapshot"], [(ref.name, ref.snapshot) for ref in found], empty=empty)


def _said(ref: str, snapshot: str) -> str:
    return snapshot if ref == snapshot else f"{snapshot} ({ref} now)"


def _done(told: dict[str, str], text: str, as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    say(text)
