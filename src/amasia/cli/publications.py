"""``amasia publish``."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from amasia.cli.options import Json, RepositoryName, Workspace, examples, noun
from amasia.cli.output import ago, say, show_fields, show_json, show_table
from amasia.client import accounts, publications
from amasia.errors import AmasiaError, InvalidRequest, Unavailable
from amasia.models.publications import Protocol, Publication
from amasia.settings import PublishSettings, client_settings

app = noun("Let other tools read a repository: map tiles, OGC EDR, OPeNDAP. Off until an admin turns it on.")

DAYS = 366


@app.command(
    epilog=examples(
        "amasia publish on demo/reanalysis --tiles --edr --opendap",
        "amasia publish on demo/climatology --opendap --public",
    )
)
def on(
    repository: RepositoryName,
    tiles: Annotated[bool, typer.Option("--tiles", help="Map tiles as PNG.")] = False,
    edr: Annotated[bool, typer.Option("--edr", help="OGC Environmental Data Retrieval.")] = False,
    opendap: Annotated[bool, typer.Option("--opendap", help="OPeNDAP (DAP 2).")] = False,
    public: Annotated[bool, typer.Option("--public", help="People without an account may read it.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a repository by these protocols and no others."""
    chosen = [each for each, wanted in zip(Protocol, (tiles, edr, opendap), strict=True) if wanted]
    if not chosen:
        raise InvalidRequest("No protocol was chosen.", cure="Add --tiles, --edr or --opendap, or several.")
    made = publications.put(repository, [each.value for each in chosen], public=public)
    if as_json:
        show_json(made)
        return
    _show(made)


@app.command(epilog=examples("amasia publish off demo/reanalysis"))
def off(repository: RepositoryName, as_json: Json = False) -> None:
    """Publish it no longer."""
    publications.delete(repository)
    if as_json:
        show_json({"unpublished": repository})
        return
    say(f"{repository} is published no longer.")


@app.command(epilog=examples("amasia publish show demo/reanalysis", "amasia publish show demo/reanalysis --json"))
def show(repository: RepositoryName, as_json: Json = False) -> None:
    """How a repository is published, and where."""
    found = publications.get(repository)
    if as_json:
        show_json(found)
        return
    _show(found)


@app.command("list", epilog=examples("amasia publish list", "amasia publish list --workspace demo --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """What a workspace publishes, with addresses."""
    found = publications.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [
        (one.full_name, protocol, "everybody" if one.public else "readers", address)
        for one in found
        for protocol, address in one.addresses.items()
    ]
    empty = "Nothing is published. Publish: amasia publish on demo/reanalysis --tiles --edr --opendap"
    show_table(["repository", "protocol", "for", "address"], rows, empty=empty)


@app.command(epilog=examples("amasia publish serve", "amasia publish serve --host 0.0.0.0 --port 9100"))
def serve(
    host: Annotated[str, typer.Option(help="Address that it listens on.")] = "",
    port: Annotated[int, typer.Option(help="That it listens on.")] = 0,
) -> None:
    """Serve what is published, until Ctrl-C; for operators, where the control plane does not do it by itself."""
    if find_spec("xpublish") is None:
        raise Unavailable("The libraries that publish are not installed.", cure="pip install 'amasia[publish]'")
    settings, defaults = client_settings(), PublishSettings()
    made = accounts.create_token("publishing", scope="publish", days=DAYS)
    chosen = {
        "AMASIA_URL": settings.url,
        "AMASIA_TOKEN": made.secret,
        "AMASIA_PUBLISH_HOST": host or defaults.publish_host,
        "AMASIA_PUBLISH_PORT": str(port or defaults.publish_port),
    }
    say(f"Published repositories are at http://{chosen['AMASIA_PUBLISH_HOST']}:{chosen['AMASIA_PUBLISH_PORT']}/")
    process = subprocess.Popen([sys.executable, "-m", "amasia.integrations.publishing"], env=os.environ | chosen)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        status = process.wait()
    finally:
        _forget(made.token.id)
    sys.exit(max(0, status))


def _forget(token: str) -> None:
    try:
        accounts.revoke_token(token)
    except AmasiaError as error:
        say(f"The token of the publishing process goes on: {error}")


def _show(found: Publication) -> None:
    fields: dict[str, object] = {"repository": found.full_name, "for": "everybody" if found.public else "its readers"}
    fields |= {protocol.value: address for protocol, address in found.addresses.items()}
    show_fields(fields | {"since": f"{ago(found.at)}, by {found.by}"})
