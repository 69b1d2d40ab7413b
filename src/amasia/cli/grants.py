"""``amasia grant``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, RepositoryName, examples, noun
from amasia.cli.output import ago, say, show_json, show_table
from amasia.client import grants
from amasia.models.grants import Level

app = noun("Who may do what with a repository.")
To = Annotated[str, typer.Option("--to", help="user:NAME, group:NAME, account:NAME, everyone or public.")]


@app.command("list", epilog=examples("amasia grant list demo/reanalysis", "amasia grant list demo/reanalysis --json"))
def list_(repository: RepositoryName, as_json: Json = False) -> None:
    """What was granted on a repository. Owners and admins of the workspace may everything besides."""
    found = grants.find(repository)
    if as_json:
        show_json(found)
        return
    rows = [(one.grantee, one.level, one.granted_by, ago(one.at)) for one in found]
    empty = f"Nothing was granted on {repository}: everybody may what their role in the workspace gives."
    show_table(["to", "level", "granted by", "when"], rows, empty=empty)


@app.command(
    "set",
    epilog=examples(
        "amasia grant set demo/reanalysis --to user:ada --level write",
        "amasia grant set demo/private --to everyone --level none",
        "amasia grant set demo/open --to public --level read",
    ),
)
def set_(
    repository: RepositoryName,
    to: To,
    level: Annotated[Level, typer.Option(help="none, read, write or admin.")],
    as_json: Json = False,
) -> None:
    """Say what somebody may do with it. It takes the place of what their role gives."""
    made = grants.put(repository, to, level)
    if as_json:
        show_json(made)
        return
    say(f"{made.grantee} has {made.level} on {made.repository}. {_WORDS.get(made.grantee, '')}".strip())


@app.command(epilog=examples("amasia grant remove demo/reanalysis --to user:ada"))
def remove(repository: RepositoryName, to: To, as_json: Json = False) -> None:
    """Take a grant back, so that their role counts again."""
    grants.remove(repository, to)
    if as_json:
        show_json({"removed": to})
        return
    say(f"Nothing is granted to {to} on {repository} any more.")


_WORDS = {
    "everyone": "That is each member of the workspace who has no grant of their own.",
    "public": "That is everybody who reaches this control plane, without an account.",
}
