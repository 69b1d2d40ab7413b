"""``amasia cost``."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from amasia.cli.options import Json, Workspace, examples
from amasia.cli.output import ago, bar, say, show_json, show_table
from amasia.client import bills, costs, focus, reconciliations, tables
from amasia.errors import InvalidRequest
from amasia.models.costs import CostLine, Costs, Cut, Span, machine_time
from amasia.models.forecasts import Forecast
from amasia.models.money import parse, show
from amasia.models.sizes import volume

app = typer.Typer(help="What was spent, what is to come, and what is spent for nothing.", rich_markup_mode=None,
                  add_completion=False)  # fmt: skip


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"
    focus = "focus"


SHOWN = 20
"""Resources of a bill that are not ours; ``--json`` has all."""
PLAIN = (Cut.user, Cut.cluster, Cut.repository, Cut.storage, Cut.egress)
"""What is shown of the whole bill."""

Since = Annotated[datetime | None, typer.Option(help="First day.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]
Until = Annotated[datetime | None, typer.Option(help="Last day.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File for csv, parquet and focus; .parquet or .csv tells focus.")
]


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "amasia cost",
        "amasia cost --by tag --since 2026-11-01",
        "amasia cost --by day --format csv > days.csv",
        "amasia cost --format focus --since 2026-11-01 --until 2026-11-30 --output november.parquet",
        "amasia cost --forecast",
    ),
)
def cost(
    context: typer.Context,
    by: Annotated[Cut | None, typer.Option(help="One cut only, with every line.")] = None,
    since: Since = None,
    until: Until = None,
    forecast: Annotated[bool, typer.Option("--forecast", help="To the end of the month, and of each budget.")] = False,
    format: Annotated[
        Format, typer.Option(help="focus: each machine and day, in the open format of costs FOCUS 1.2.")
    ] = Format.table,
    output: Output = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """What was spent, by user, cluster, repository, storage and egress, and what is left of the budget."""
    if context.invoked_subcommand:
        return
    days = Span(since=since.date() if since else None, until=until.date() if until else None)
    form = Format.json if as_json else format
    if forecast:
        _show_forecast(costs.forecast(workspace), form)
    elif form is Format.focus:
        _export_focus(workspace, days, output)
    elif form in (Format.csv, Format.parquet):
        lines = costs.lines(by or Cut.day, workspace, since=days.since, until=days.until)
        _export(form, output, LINE, (_line(one) for one in lines), NUMBERS)
    elif by and by is not Cut.storage:
        lines = costs.lines(by, workspace, since=days.since, until=days.until)
        _show_lines(by, list(lines), costs.get(workspace, since=days.since, until=days.until), form)
    else:
        _show_bill(costs.get(workspace, since=days.since, until=days.until), by, form, whole=not (since or until))


@app.command(epilog=examples("amasia cost waste", "amasia cost waste --json"))
def waste(workspace: Workspace = None, as_json: Json = False) -> None:
    """What is spent for nothing, and the command that saves it."""
    found = costs.waste(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.kind, one.subject, one.text, f"{show(one.saving, found.currency)}/{one.per}", one.command)
            for one in found.items]  # fmt: skip
    show_table(["what", "of", "seen", ">saves", "by"], rows, empty="Nothing is spent for nothing, as far as was seen.")


@app.command(epilog=examples("amasia cost egress cur-1.csv.gz cur-2.csv.gz", "amasia cost egress cur.parquet --json"))
def egress(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="All parts of a cloud's bill: FOCUS or AWS CUR, CSV or Parquet."),
    ],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Take from a cloud's own bill what data cost that left our machines and buckets. Again replaces what was told."""
    bill = bills.read(*files)
    if not bill.egress:
        raise InvalidRequest(
            f"The bill ({bill.format}, {bill.first} to {bill.last}) has no egress of any resource.",
            cure="Have the cloud write resource ids and types of use into it; see docs/how-to/know-what-it-costs.md.",
        )
    found = costs.take_egress(bill, workspace)
    if as_json:
        show_json(found)
        return
    others = Counter({name: sum(bill.egress[name].values()) for name in found.unknown})
    rows = [(name, show(amount, found.currency)) for name, amount in others.most_common(SHOWN)]
    show_table(["egress of others, not taken", ">amount"], rows)
    say(
        f"{bill.format}, {bill.first} to {bill.last}: {show(found.amount, found.currency)} of {found.resources} "
        f"machines and buckets taken, {show(found.change, found.currency)} more than was known. Not taken: "
        f"{show(others.total(), found.currency)} of {len(others)} resources that are not of this workspace, and "
        f"{show(bill.nameless, found.currency)} of none that the bill names."
    )
    for name in found.passed:
        say(
            f"It takes the budget {name} past its limit: nothing starts on it, and what runs on it ends. Raise it: "
            f"amasia budget set AMOUNT --name {name}"
        )


@app.command(
    epilog=examples("amasia cost reconcile november.csv", "amasia cost reconcile cur.parquet --tolerance 0.05 --json")
)
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A cloud's bill: FOCUS or AWS CUR, CSV or Parquet.")],
    tolerance: Annotated[str, typer.Option(help="Differences of a machine up to this are none.")] = "0.01",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Compare a cloud's own bill with ours, machine for machine, over the file's days. Status 1 if they differ."""
    bill = bills.read(file)
    ours = costs.usage(workspace, since=bill.first, until=bill.last)
    found = reconciliations.compare(bill, ours, _money(tolerance))
    if as_json:
        show_json(asdict(found) | {"differences": [asdict(one) | {"by": one.by} for one in found.differences]})
    else:
        rows = [(one.kind, f"egress of {one.resource}" if one.egress else one.resource, one.machine, one.cluster,
                 show(one.ours, found.currency), show(one.theirs, found.currency), show(one.by, found.currency))
                for one in found.differences]  # fmt: skip
        columns = ["difference", "resource", "machine", "cluster", ">ours", ">theirs", ">theirs is more by"]
        show_table(columns, rows, empty="No difference.")
        say(
            f"{bill.format}, {bill.first} to {bill.last}: {found.matched} agree, {len(found.differences)} "
            f"differ. Ours {show(found.ours, found.currency)}, theirs {show(found.theirs, found.currency)}; besides "
            f"{show(found.unnamed, found.currency)} of ours that is in no cloud's bill, and "
            f"{show(found.others, found.currency)} of theirs that is no machine."
        )
    if found.differences:
        raise typer.Exit(1)


def budget_line(found: Costs) -> str:
    """``██░░ 20% of 10.00 EUR: 1.50 EUR spent, 0.50 EUR reserved, 8.00 EUR left``."""
    spent, money = found.amount + found.storage_amount + found.egress_amount, found.currency
    used = spent + found.reserved
    return (
        f"{bar(used, found.limit)} of {show(found.limit, money)}: {show(spent, money)} spent, "
        f"{show(found.reserved, money)} reserved, {show(found.limit - used, money)} left"
    )


def _show_bill(found: Costs, by: Cut | None, form: Format, *, whole: bool) -> None:
    if form is Format.json:
        show_json(found)
        return
    for cut in [by] if by else PLAIN:
        if cut is Cut.storage:
            _show_storage(found)
        elif cut is Cut.egress:
            _show_egress(list(found.egress), found)
        else:
            _show_cut(cut, list(getattr(found, f"by_{cut}")), found)
    if whole and not found.user:
        print(budget_line(found))


def _show_lines(by: Cut, lines: list[CostLine], found: Costs, form: Format) -> None:
    if form is Format.json:
        show_json(lines)
    elif by is Cut.egress:
        _show_egress(lines, found)
    else:
        _show_cut(by, lines, found)


def _show_cut(by: Cut, lines: list[CostLine], found: Costs) -> None:
    total = CostLine(key="total", milliseconds=found.milliseconds, amount=found.amount, reserved=found.reserved)
    rows = [(one.key, machine_time(one.milliseconds), show(one.amount, found.currency)) for one in (*lines, total)]
    if by in (Cut.repository, Cut.view, Cut.day):  # what is reserved will be known as one's of these when it is spent
        show_table([by, ">machine time", ">spent"], rows)
        return
    promised = [show(one.reserved, found.currency) for one in (*lines, total)]
    columns = [by, ">machine time", ">spent", ">reserved"]
    show_table(columns, [(*row, last) for row, last in zip(rows, promised, strict=True)])


def _show_storage(found: Costs) -> None:
    """Nothing, where nothing was measured yet."""
    if not found.storage:
        return
    rows = [
        (one.key, volume(one.nbytes), ago(one.measured_at) if one.measured_at else "", show(one.amount, found.currency))
        for one in found.storage
    ]
    total = ("total", volume(sum(one.nbytes for one in found.storage)), "", show(found.storage_amount, found.currency))
    show_table(["storage of", ">size", "measured", ">spent"], [*rows, total])


def _show_egress(lines: list[CostLine], found: Costs) -> None:
    """Nothing, where no bill told of any."""
    if lines:
        rows = [(one.key, show(one.amount, found.currency)) for one in lines]
        show_table(["egress of", ">spent"], [*rows, ("total", show(found.egress_amount, found.currency))])


def _show_forecast(found: Forecast, form: Format) -> None:
    if form is Format.json:
        show_json(found)
        return
    money = found.currency
    between = ""
    if found.low is not None and found.high is not None:
        between = f", four times in five between {show(found.low, money)} and {show(found.high, money)}"
    print(f"{show(found.expected, money)} by the end of {found.until}{between}.")
    print(
        f"So far {show(found.spent, money)} spent and {show(found.reserved, money)} reserved; "
        f"{show(found.rate, money)}/h runs now. Method: {found.method}."
    )
    rows = [
        (one.name, show(one.used, money), show(one.limit, money), str(one.ends or "never"),
         show(one.expected, money) if one.expected is not None else "", str(one.runs_out or "not in sight"))
        for one in found.budgets
    ]  # fmt: skip
    show_table(["budget", ">used", ">limit", "ends", ">expected then", "used up on"], rows)


LINE = ("key", "milliseconds", "amount", "reserved")
NUMBERS = ("milliseconds", "amount", "reserved")

type Row = dict[str, str | Decimal | None]


def _line(one: CostLine) -> Row:
    """Amounts in the currency, not in micro-units."""
    return {"key": one.key, "milliseconds": Decimal(one.milliseconds), "amount": Decimal(one.amount).scaleb(-6),
            "reserved": Decimal(one.reserved).scaleb(-6)}  # fmt: skip


def _export_focus(workspace: str | None, days: Span, output: Path | None) -> None:
    form = Format.parquet if output and output.suffix == ".parquet" else Format.csv
    rows = (focus.row(one) for one in costs.usage(workspace, since=days.since, until=days.until))
    _export(form, output, tuple(focus.COLUMNS), rows, focus.NUMBERS)


def _export(
    form: Format, output: Path | None, columns: tuple[str, ...], rows: Iterable[Row], numbers: Iterable[str]
) -> None:
    if form is Format.parquet:
        if output is None:
            raise InvalidRequest("Parquet is no text for a terminal.", cure="Say where to: `--output FILE.parquet`.")
        tables.write_parquet(output, columns, numbers, rows)
    elif output is None:
        tables.write_csv(sys.stdout, columns, rows)
    else:
        with output.open("w", newline="", encoding="utf-8") as file:
            tables.write_csv(file, columns, rows)
    if output:
        say(f"Written: {output}")


def _money(text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequest(f"{error}.", cure="Write it as 0.01.") from None
