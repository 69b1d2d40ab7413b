"""``amasia repo diff``, ``amasia repo storage`` and ``amasia repo expire``."""

import re
from pathlib import Path
from typing import Annotated

import typer

import amasia
from amasia.cli.options import Json, RepositoryName, Yes, confirm, examples
from amasia.cli.output import ago, printable, say, show_fields, show_json, show_table
from amasia.client import cleanings
from amasia.models.money import show
from amasia.models.sizes import volume
from amasia.models.storage import Cleaned, CleaningStatus, StorageLine

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def register(app: typer.Typer) -> None:
    """Add these words to those of a repository."""
    app.command(
        epilog=examples(
            "amasia repo diff demo/reanalysis v1 main", "amasia repo diff demo/sst 2026-11-22 main --svg diff.svg"
        )
    )(diff)
    app.command(epilog=examples("amasia repo storage demo/reanalysis", "amasia repo storage demo/sst --json"))(storage)
    app.command(
        epilog=examples(
            "amasia repo expire demo/reanalysis --older-than 30d --dry-run",
            "amasia repo expire demo/reanalysis --older-than 30d --yes",
        )
    )(expire)


def diff(
    repository: RepositoryName,
    before: Annotated[str, typer.Argument(help="Branch, tag, snapshot or time.")],
    after: Annotated[str, typer.Argument(help="The same.")] = "main",
    svg: Annotated[Path | None, typer.Option(help="Write the picture of changed chunks to this file.")] = None,
    as_json: Json = False,
) -> None:
    """What differs between two snapshots: arrays, shapes, attributes, and which chunks."""
    found = amasia.open_repo(repository).diff(before, after)
    if svg is not None:
        svg.write_text(found.svg)
        say(f"The picture is in {svg}.")
    if as_json:
        show_json(found)
        return
    print(printable(str(found)))


def storage(
    repository: RepositoryName,
    limit: Annotated[
        int, typer.Option(help="How many snapshots, at most; older ones are summed.", min=1, max=1000)
    ] = 20,
    as_json: Json = False,
) -> None:
    """What it takes up and has cost, by snapshot."""
    found = cleanings.bill(repository, limit)
    if as_json:
        show_json(found)
        return
    rows = [
        (one.snapshot, printable(one.message), ago(one.at), volume(one.nbytes), show(one.amount, found.currency))
        for one in found.snapshots
    ]
    sums = [one for one in (found.older, found.rest) if one.nbytes or one.amount]
    sums.append(StorageLine(key="total", nbytes=found.nbytes, amount=found.amount))
    rows += [("", one.key, "", volume(one.nbytes), show(one.amount, found.currency)) for one in sums]
    show_table(["snapshot", "message", "when", ">added", ">spent"], rows)


def expire(
    repository: RepositoryName,
    older_than: Annotated[str, typer.Option(help="Such as 30d, 12h or 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Forget snapshots that no branch showed since then and no tag or view holds; their objects go 20 hours later."""
    seconds = _seconds(older_than)
    if not dry_run:
        confirm(f"Forget all of {repository} that no branch showed in the last {older_than}?", yes)
    found = cleanings.create(repository, seconds, dry_run=dry_run)
    if as_json:
        show_json(found)
        return
    if found.status is CleaningStatus.failed:
        raise amasia.errors.Unavailable(f"{repository} was not cleaned: {found.reason}", cure="Mend that, and repeat.")
    result = found.result or Cleaned()
    would = "would be " if dry_run else ""
    fields: dict[str, object] = {
        f"{would}forgotten": f"{len(result.snapshots)} snapshots",
        "kept though old": f"{len(result.kept)} snapshots, for branches, tags, views and readers",
    }
    if dry_run:
        fields["could be freed now"] = f"{volume(result.nbytes)} in {result.objects} objects"
    show_fields(fields)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no age: write it as 30d, 12h, 8w or 90m", param_hint="--older-than")
    return int(found[1]) * _UNITS[found[2]]
