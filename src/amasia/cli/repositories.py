"""``amasia repo``."""

from typing import Annotated

import typer

import amasia
from amasia.cli import branches, credentials, diffs, ingests
from amasia.cli.options import Json, RepositoryName, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import ago, printable, say, show_fields, show_json, show_table
from amasia.client import refs, repositories, workspaces
from amasia.models.money import show as show_money
from amasia.models.repositories import Commit
from amasia.models.sizes import volume

app = noun("Repositories: versioned arrays.")
app.command("credentials", epilog=credentials.EPILOG)(credentials.show)
app.add_typer(branches.branches, name="branch")
app.add_typer(branches.tags, name="tag")
diffs.register(app)


@app.command("list", epilog=examples("amasia repo list", "amasia repo list --workspace demo --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The repositories of a workspace."""
    found = repositories.find(workspaces.current(workspace))
    if as_json:
        show_json(found)
        return
    rows = [(one.full_name, one.bucket, one.status, one.created_by, ago(one.created_at)) for one in found]
    empty = "No repository yet. Make one: amasia repo create demo/reanalysis"
    show_table(["repository", "bucket", "status", "by", "made"], rows, empty=empty)


@app.command(epilog=examples("amasia repo create demo/reanalysis", "amasia repo create demo/sst --bucket lake"))
def create(
    repository: RepositoryName,
    bucket: Annotated[str | None, typer.Option(help="Of the workspace; its first when not given.")] = None,
    description: Annotated[str, typer.Option(help="What is in it, for people.")] = "",
    as_json: Json = False,
) -> None:
    """Make an empty repository."""
    made = repositories.create(repository, bucket=bucket, description=description)
    if as_json:
        show_json(made)
        return
    say(f"{made.full_name} is there. Fill it: amasia repo ingest {made.full_name} FILE.nc")


app.command(epilog=ingests.EXAMPLES)(ingests.ingest)


@app.command(epilog=examples("amasia repo log demo/climatology", "amasia repo log demo/reanalysis@2026-11-22 --json"))
def log(
    repository: RepositoryName,
    limit: Annotated[int, typer.Option(help="How many, at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Its commits, and where each comes from: user, inputs, environment, code, cost; and what it added."""
    found = refs.history(*refs.named(repository), limit)
    if as_json:
        show_json(found)
        return
    for commit in found:
        _show_commit(commit)


@app.command(
    epilog=examples("amasia repo show demo/reanalysis", "amasia repo show demo/reanalysis@SNAPSHOT --group sst")
)
def show(
    repository: RepositoryName,
    group: Annotated[str | None, typer.Option(help="One group, with its dimensions and variables.")] = None,
    as_json: Json = False,
) -> None:
    """What is in it, at a branch, tag, snapshot or time."""
    name, ref = refs.named(repository)
    repo = amasia.open_repo(name)
    snapshot = repo.snapshot(ref)
    shown: dict[str, object] = {"repository": repo.name, "snapshot": snapshot}
    if group is None:
        shown["groups"] = repo.groups(snapshot)
        shown["branches"], shown["tags"] = sorted(repo.branches), sorted(repo.tags)
    else:
        ds = repo.to_xarray(group, ref=snapshot)
        shown["group"] = group
        shown["sizes"] = {str(dim): size for dim, size in ds.sizes.items()}
        shown["variables"] = {
            str(key): {
                "dims": list(map(str, ds[key].dims)),
                "dtype": str(ds[key].dtype),
                "units": ds[key].attrs.get("units"),
            }
            for key in ds.data_vars
        }
    if as_json:
        show_json(shown)
        return
    show_fields({key: _readable(value) for key, value in shown.items()})


@app.command(epilog=examples("amasia repo delete demo/scratch --yes"))
def delete(repository: RepositoryName, yes: Yes = False, as_json: Json = False) -> None:
    """Forget a repository and its history's index; its objects stay in the bucket for the days of grace."""
    confirm(f"Forget {repository}? Its objects stay in the bucket for the days of grace.", yes)
    repositories.delete(repository)
    if as_json:
        show_json({"deleted": repository})
        return
    say(f"{repository} is forgotten.")


def _show_commit(commit: Commit) -> None:
    origin = commit.provenance
    print(printable(f"{commit.snapshot}  {commit.message}"))
    fields: dict[str, object] = {"  when": ago(commit.at), "  added": volume(commit.nbytes) if commit.nbytes else ""}
    if origin is not None:
        fields |= {
            "  user": origin.user,
            "  inputs": ", ".join(map(str, origin.inputs)),
            "  cluster": origin.cluster,
            "  environment": origin.environment_hash[:12],
            "  code": origin.code_version,
            "  cost": show_money(origin.amount, origin.currency) if origin.cluster else "",
        }
    show_fields({key: value for key, value in fields.items() if value})
    print()


def _readable(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_readable(inner)}" for key, inner in value.items())
    return value
