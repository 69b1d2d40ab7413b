"""``amasia bucket``."""

from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples, noun, secret
from amasia.cli.output import say, show_json, show_table
from amasia.client import buckets

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
    )
)
def add(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    uri: Annotated[str, typer.Argument(help="s3://bucket/prefix, or the absolute path of a shared directory.")],
    endpoint: Annotated[str, typer.Option(help="URL of an S3-compatible store; AWS without it.")] = "",
    region: Annotated[str, typer.Option(help="Of the bucket.")] = "us-east-1",
    access_key: Annotated[str, typer.Option(help="The broker's; its secret key is read from stdin.")] = "",
    role: Annotated[str, typer.Option(help="ARN of the role that credentials are lent from.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Register a bucket, and wait until it was tried.

    Its secret key is read from the terminal or from stdin, and kept encrypted.
    """
    secret_key = secret(f"Secret key of {access_key}: ") if access_key else ""
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
