"""``amasia search`` and ``amasia dataset``."""

from pathlib import Path
from typing import Annotated

import typer

from amasia.cli.options import Json, RepositoryName, examples, noun
from amasia.cli.output import clock, printable, say, show_fields, show_json, show_table
from amasia.client import datasets
from amasia.errors import InvalidRequest
from amasia.models import citations

app = noun("Datasets: what the catalog knows of the groups of repositories.")
dataset = noun("Datasets: what the catalog knows of the groups of repositories.")

Group = Annotated[str, typer.Option("--group", "-g", help="Path in the repository.")]


@app.command(
    epilog=examples(
        "amasia search sea surface temperature",
        "amasia search --variable t2m --from 2019-03 --to 2019-04",
        "amasia search wind --bbox -30,40,10,60 --json",
    )
)
def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words, or beginnings of words.")] = None,
    variable: Annotated[str, typer.Option(help="Name of a variable.")] = "",
    standard_name: Annotated[str, typer.Option(help="CF standard name of a variable.")] = "",
    bbox: Annotated[str, typer.Option(help="west,south,east,north in degrees.")] = "",
    since: Annotated[str, typer.Option("--from", help="2020, 2020-07 or 2020-07-31.")] = "",
    until: Annotated[str, typer.Option("--to", help="The same; all of it counts.")] = "",
    workspace: Annotated[str, typer.Option("--workspace", "-w", help="All of yours when not given.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Find data among all that you may read."""
    found = datasets.search(
        " ".join(words or ()), variable=variable, standard_name=standard_name, bbox=_numbers(bbox), since=since,
        until=until, workspace=workspace, limit=limit, thumbnails=False,
    )  # fmt: skip
    if as_json:
        show_json(found)
        return
    rows = [
        (one.repository, one.group, one.title, ", ".join(one.names[:4]) + ("…" if len(one.names) > 4 else ""),
         one.when, one.where)
        for one in found
    ]  # fmt: skip
    empty = "Nothing fits. A commit is in the catalog some seconds after it; `amasia repo list` shows what there is."
    show_table(["repository", "group", "title", "variables", "when", "where"], rows, empty=empty)


@dataset.command("list", epilog=examples("amasia dataset list demo/reanalysis"))
def list_(repository: RepositoryName, as_json: Json = False) -> None:
    """The datasets of a repository."""
    found = datasets.find(repository)
    if as_json:
        show_json(found)
        return
    rows = [(one.group, one.title, len(one.names), one.volume, one.when, one.where) for one in found]
    empty = "None yet: a commit is in the catalog some seconds after it."
    show_table(["group", "title", ">variables", ">size", "when", "where"], rows, empty=empty)


@dataset.command(epilog=examples("amasia dataset show demo/reanalysis --group winds"))
def show(repository: RepositoryName, group: Group = "/", as_json: Json = False) -> None:
    """One dataset: its variables, place, time and how to open it."""
    found = datasets.get(repository, group)
    if as_json:
        show_json(found)
        return
    dims = ", ".join(f"{dim} {size}" for dim, size in found.dims.items())
    fields = {"title": found.title, "dataset": f"{found.repository} {found.group}", "snapshot": found.snapshot,
              "committed": clock(found.committed_at), "dims": dims, "size": found.volume,
              "when": found.when, "calendar": found.calendar, "where": found.where, "projection": found.crs,
              "notes": " ".join(found.notes)}  # fmt: skip
    show_fields({name: value for name, value in fields.items() if value})
    print()
    rows = [
        (one.name, " x ".join(one.dims), one.dtype, one.units, one.standard_name or one.long_name)
        for one in found.variables
    ]
    show_table(["variable", "dims", "type", "units", "name"], rows)
    print(printable(f"\n{found.code}"))


@dataset.command(epilog=examples("amasia dataset preview demo/reanalysis t2m --out t2m.svg"))
def preview(
    repository: RepositoryName,
    variable: Annotated[str, typer.Argument(help="The dataset's first when not given.")] = "",
    group: Group = "/",
    out: Annotated[Path | None, typer.Option(help="File to write; stdout when not given.")] = None,
    as_json: Json = False,
) -> None:
    """A map or line of one variable, as SVG."""
    picture = datasets.preview(repository, group, variable)
    if out is not None:
        out.write_text(picture)
        say(f"Written: {out}")
    if as_json:
        show_json({"svg": picture} if out is None else {"file": str(out)})
    elif out is None:
        print(picture)


@dataset.command(epilog=examples("amasia dataset cite demo/reanalysis", "amasia dataset cite demo/sst --format cff"))
def cite(
    repository: RepositoryName,
    group: Group = "/",
    form: Annotated[str, typer.Option("--format", help="text, bibtex or cff.")] = "text",
    as_json: Json = False,
) -> None:
    """How to cite a dataset, from its attributes and its snapshot."""
    found = datasets.get(repository, group)
    written = citations.every(found)
    if as_json:
        show_json(written)
        return
    if form not in written:
        raise InvalidRequest(f"There is no format {form!r}.", cure=f"There is: {', '.join(written)}.")
    print(printable(written[form]))


app.add_typer(dataset, name="dataset")


def _numbers(text: str) -> list[float] | None:
    if not text:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidRequest(
            f"The box {text!r} is not understood.", cure="Write west,south,east,north, as -10,35,40,70."
        ) from None
