"""``amasia bucket``."""

from pathlib import Path
from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun, secret
from amasia.cli.output import say, show_json, show_table
from amasia.client import buckets
from amasia.errors import InvalidRequest

URI = "s3://bucket/prefix, gs://bucket/prefix, az://account[/container/prefix], or a shared directory's absolute path."
KEY_FILE = "With the key of a service account of Google's (JSON), or of a storage account of Azure's."

app = noun("Buckets: where repositories are kept.")


@app.command("list", epilog=examples("amasia bucket list", "amasia bucket list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The buckets of a workspace, its default first."""
    found = buckets.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.name, one.kind, one.uri, one.endpoint, one.status, one.reason) for one in found]
    show_table(["bucket", "kind", "where", "endpoint", "status", ""], rows)


@app.command(
    epilog=examples(
        "amasia bucket add shelf /data/amasia",
        "amasia bucket add lake s3://lake/amasia --endpoint https://s3.example.org --access-key KEY < secret.txt",
        "amasia bucket add lake gs://lake/amasia --key-file service-account.json",
        "amasia bucket add lake az://ourlake --key-file account-key.txt",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    uri: Annotated[str, typer.Argument(help=URI)],
    endpoint: Annotated[str, typer.Option(help="URL of the store, where it is none of AWS, Google or Azure.")] = "",
    region: Annotated[str, typer.Option(help="Of the bucket.")] = "us-east-1",
    access_key: Annotated[str, typer.Option(help="The broker's, on S3; its secret key is read from stdin.")] = "",
    key_file: Annotated[Path | None, typer.Option(help=KEY_FILE, exists=True, dir_okay=False)] = None,
    role: Annotated[str, typer.Option(help="ARN of the role that credentials are lent from.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Register a bucket, and wait until it was tried.

    Its secret key is read from the terminal, from stdin or from a file, and kept encrypted. Buckets of Google's and
    Azure's that are added without one are lent from by the control plane's own identity there: operators may.
    """
    secret_key = secret(f"Secret key of {access_key}: ") if access_key else ""
    if key_file:
        secret_key = _read(key_file)
    made = buckets.create(
        name,
        uri,
        workspace,
        endpoint=endpoint,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        role=role,
    )
    made = buckets.tried(made.name, workspace)
    if as_json:
        show_json(made)
        return
    say(f"{made.name} is there. Use it: amasia repo create {made.workspace}/NAME --bucket {made.name}")


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file} cannot be read ({error}).", cure="Is it the file with the key?") from error
