"""``amasia repo ingest``."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

import amasia
from amasia.cli.options import Json, RepositoryName, examples
from amasia.cli.output import say, show_json, show_table
from amasia.client import arrivals, clusters
from amasia.client.progress import Stages
from amasia.stores.processes import Readers

EXAMPLES = examples(
    "amasia repo ingest demo/reanalysis winds.nc sst.nc t2m.grib",
    "amasia repo ingest demo/reanalysis 'winds-*.nc' --group winds --append-dim time",
    "amasia repo ingest demo/sst 's3://bucket/sst/2024*.nc' --group sst --append-dim time --virtual",
    "amasia repo ingest demo/air '/shared/air-*.nc' --group air --append-dim time --cluster big",
    "amasia repo ingest demo/sst /incoming --group sst --append-dim time --watch",
)
SHOWN = 12
"""Files that get a line of their own; more are counted."""


class Order(StrEnum):
    coordinate = "coordinate"
    given = "given"


def ingest(
    repository: RepositoryName,
    files: Annotated[list[str], typer.Argument(help="Files, quoted patterns, or URLs; with --watch one directory.")],
    group: Annotated[str | None, typer.Option(help="Where they go; one named after each file if not given.")] = None,
    append_dim: Annotated[str | None, typer.Option(help="They are a series along this dimension.")] = None,
    chunk: Annotated[list[str] | None, typer.Option(help="Stored chunk length, as time=720; repeatable.")] = None,
    virtual: Annotated[bool, typer.Option("--virtual", help="References to the files, no copy.")] = False,
    native: Annotated[bool, typer.Option("--native", help="Copies. Without either: chosen, and said why.")] = False,
    order: Annotated[Order, typer.Option(help="Of a series: by its coordinate, or as given.")] = Order.coordinate,
    decode_times: Annotated[bool, typer.Option(help="Times as times, or as the numbers in the file.")] = True,
    keep_going: Annotated[bool, typer.Option(help="Take the others when a file is refused.")] = True,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with files as they land, until Ctrl-C.")] = False,
    events: Annotated[bool, typer.Option("--events", help="With --watch: also what others send as arrivals.")] = False,
    cluster: Annotated[str | None, typer.Option(help="Whose workers read; they must see the files.")] = None,
    processes: Annotated[int | None, typer.Option(help="That read; one per CPU if not given.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Take files of any format, each once by its content; the exit status is 1 if one was refused."""
    if virtual and native:
        raise typer.BadParameter("--virtual and --native exclude each other")
    many = len(files) > SHOWN
    plan: dict[str, Any] = {
        "group": group, "append_dim": append_dim, "chunks": _chunks(chunk),
        "how": "virtual" if virtual else "native" if native else "auto",
        "decode_times": decode_times, "keep_going": keep_going, "order": order.value,
    }  # fmt: skip
    with ExitStack() as stack:
        if cluster:
            plan["cluster"] = stack.enter_context(_joined(cluster))
        else:
            plan["readers"] = readers = stack.enter_context(Readers(processes))
            if any(_is_grib(file) for file in files):
                readers.start()  # its imports go on while ours do
        if watch:
            _watch(repository, files, plan | {"keep_going": True}, events)
            return
        stages = Stages(f"Ingest into {repository}", [] if many else map(_short, files), quiet=as_json)
        report = _run(repository, files, plan, stages, many)
    if as_json:
        show_json(asdict(report))
    else:
        _show(report)
    if report.refused:
        raise typer.Exit(1)


def _joined(name: str) -> Any:
    """A cluster that runs; it goes on afterwards."""
    clusters.get(name)  # else one would be started, with nobody to stop it
    return amasia.Cluster(name=name, quiet=True)


def _watch(repository: str, places: list[str], plan: dict[str, Any], events: bool) -> None:
    repo = amasia.open_repo(repository, mode="write")
    stop = Event()

    def interrupted(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, interrupted)
    say(f"Watching {', '.join(places)} for {repository}. Ctrl-C stops it after the files at hand; twice, at once.")

    def take(paths: Sequence[str]) -> Any:
        report = repo.ingest(paths, **plan)
        for one in report.refused:
            say(f"refused {one.path}: {one.reason} {one.cure}")
        return report

    try:
        arrivals.watch(repository, places, take, events=events, tell=say, stop=stop)
    except KeyboardInterrupt:
        say("Stopped in the middle; files that were told as taken are committed.")
        return
    say("Stopped.")


def _run(repository: str, files: list[str], plan: dict[str, Any], stages: Stages, many: bool) -> Any:
    settled = 0

    def tell(one: Any) -> None:
        nonlocal settled
        settled += 1
        if many or _short(one.path) not in {stage.name for stage in stages}:
            stages.begin("files", f"{settled} settled")
        elif hasattr(one, "groups"):
            stages.finish(_short(one.path), f"{', '.join(one.groups)} at {one.snapshot}")
        elif one.kind:
            stages.fail(_short(one.path), "refused")
        else:
            stages.finish(_short(one.path), "skipped")

    stages.left_behind = "Files that are told as done are committed; of the others nothing is half written."
    with stages:
        return amasia.open_repo(repository, mode="write").ingest(files, **plan, tell=tell)


def _show(report: Any) -> None:
    rows = [("refused", one.path, f"{one.reason} {one.cure}") for one in report.refused]
    rows += [("skipped", one.path, one.reason) for one in report.skipped[:SHOWN]]
    rows += [("taken", one.path, _how(one)) for one in report.taken[:SHOWN]]
    if rows:
        show_table(["what", "file", "how"], rows)
    say(f"{report}{f'; order {report.order}' if report.order else ''}.")


def _how(one: Any) -> str:
    return ". ".join([f"{one.format} into {one.groups[0]}, {one.how}: {one.why}", *one.notes])


def _short(file: str) -> str:
    return file.rstrip("/").rpartition("/")[2]


def _is_grib(file: str) -> bool:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(4) == b"GRIB"
    except OSError:
        return False


def _chunks(words: list[str] | None) -> dict[str, int] | None:
    if not words:
        return None
    pairs = [word.partition("=") for word in words]
    for name, equals, length in pairs:
        if not name or not equals or not length.isdigit() or int(length) < 1:
            raise typer.BadParameter(f"{name}{equals}{length} is no chunk length: write it as time=720")
    return {name: int(length) for name, _, length in pairs}
