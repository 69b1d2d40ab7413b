"""Bars of stages can be read: to scale, in words too, and the same in a terminal, on a page and in a notebook."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from xml.etree import ElementTree

from rich.console import Console

from amasia.client import timelines
from amasia.models.machines import Machine, Stages

AT = datetime(2026, 1, 1, tzinfo=UTC)


def machine(*seconds, role="worker", stopped=None):
    names = ("accepted", "joined", "environment_ready", "process_up")
    times, at = {}, AT
    for name, step in zip(names, seconds, strict=False):
        at += timedelta(seconds=step)
        times[name] = at
    return Machine(id="ma-1", workspace="lab", location="local", cluster_id="cl-1", cluster="c", owner="ada", role=role,
                   index=0, status="running", target="running", machine_type="small", cpus=1, memory=1, price=1,
                   stages=Stages(requested=AT, **times), stopped_at=stopped)  # fmt: skip


def widths(svg):
    return [float(found) for found in re.findall(r'rect class="[^"]+"(?: x="[^"]+" y="[^"]+")? width="([\d.]+)%', svg)]


def test_the_slowest_machine_fills_the_width_and_the_others_are_to_scale():
    svg = timelines.svg([machine(1, 1, 4, 2, role="scheduler"), machine(1, 1, 1, 1)], AT)
    assert widths(svg) == [12.5, 12.5, 50, 25, 12.5, 12.5, 12.5, 12.5]
    label = ElementTree.fromstring(svg).attrib["aria-label"]
    assert "scheduler: machine asked for 1.0 s, machine started 1.0 s, environment ready 4.0 s" in label


def test_a_machine_on_its_way_grows_until_now_and_one_that_ended_does_not():
    going = timelines.svg([machine(1, 1)], AT + timedelta(seconds=10))
    assert "10 s so far" in going
    assert widths(going) == [10, 10, 80]
    over = timelines.svg([machine(1, 1, stopped=AT + timedelta(seconds=4))], AT + timedelta(seconds=99))
    assert widths(over) == [25, 25, 50]
    assert "ended after 4 s" in over


def test_no_machine_is_an_empty_picture():
    assert ElementTree.fromstring(timelines.svg([], AT)).attrib["height"] == "0"


def test_a_system_that_boots_is_a_stage_of_its_own_where_there_is_one():
    booted = machine(1, 9)
    stages = booted.stages.model_copy(update={"booted": AT + timedelta(seconds=8)})
    steps = booted.model_copy(update={"stages": stages}).steps(AT + timedelta(seconds=12))
    assert [(one.stage, one.seconds, one.over) for one in steps] == [
        ("accepted", 1, True), ("booted", 7, True), ("joined", 2, True), ("environment_ready", 2, False)
    ]  # fmt: skip
    assert [one.stage for one in machine(1, 9).steps(AT)] == ["accepted", "joined", "environment_ready"]


def test_a_terminal_gets_the_same_bars_in_letters():
    out = StringIO()
    Console(file=out, width=100).print(
        timelines.table([machine(1, 1, 4, 2, role="scheduler"), machine(1, 1, 1, 1)], AT)
    )
    first, second, legend = out.getvalue().splitlines()
    assert (first.count("█"), second.count("█")) == (timelines.BAR, timelines.BAR // 2)
    assert "8.0 s" in first
    assert "environment ready" in legend
    assert "system booted" not in legend


def test_a_notebook_gets_a_legend_and_no_more_than_it_can_show():
    html = timelines.html([machine(1, 1, 1, 1)] * 30, AT)
    assert html.count("t-total") == timelines.MOST
    assert "and 10 more" in html
    assert "environment ready</span>" in html
    assert timelines.html([], AT) == ""
