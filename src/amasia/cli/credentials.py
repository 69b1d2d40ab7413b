"""``amasia repo credentials``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, RepositoryName, examples
from amasia.cli.output import clock, say
from amasia.client import credentials
from amasia.client.credentials import Format
from amasia.models.repositories import Mode

EPILOG = examples(
    "eval $(amasia repo credentials demo/reanalysis --format env)",
    "amasia repo credentials demo/reanalysis --format fsspec",
    "amasia repo credentials demo/reanalysis --mode write --hours 0.5 --format rclone >> rclone.conf",
)


def show(
    repository: RepositoryName,
    format: Annotated[Format, typer.Option(help="env, boto3, fsspec, rclone or json.")] = Format.env,
    mode: Annotated[Mode, typer.Option(help="read or write.")] = Mode.read,
    hours: Annotated[float | None, typer.Option(min=0.25, max=1, help="How long they are good for.")] = None,
    as_json: Json = False,
) -> None:
    """Short-lived credentials of one repository, for tools that know only object stores. Secrets, on stdout."""
    found = credentials.lend(repository, mode.value, hours=hours)
    text = found.text(Format.json if as_json else format)
    until = f"until {clock(found.expires_at)}" if found.expires_at else "without an end"
    say(f"warning: whoever has these may {mode.value} {found.url} {until}. They cannot be taken back before.")
    print(text)
