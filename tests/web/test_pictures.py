"""Pictures are text that can be read: well-formed, to scale, and said in words too."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from amasia.models.budgets import Budget
from amasia.models.machines import Machine, Stages
from amasia.web import pictures

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


def test_a_budget_is_drawn_to_scale():
    svg = pictures.budget(Budget(workspace="lab", limit=1_000_000, spent=250_000, reserved=50_000))
    assert widths(svg) == [100, 30, 25]
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "0.25 EUR spent and 0.0500 EUR reserved of 1.00 EUR"


@pytest.mark.parametrize(("spent", "limit", "drawn"), [(5, 0, 0), (10, 5, 100), (-5, 10, 0)])
def test_a_budget_that_is_passed_or_nothing_stays_in_its_frame(spent, limit, drawn):
    svg = pictures.budget(Budget(workspace="lab", limit=limit, spent=spent, reserved=0))
    assert widths(svg)[-1] == drawn


def test_the_slowest_machine_fills_the_width_and_the_others_are_to_scale():
    svg = pictures.timeline([machine(1, 1, 4, 2, role="scheduler"), machine(1, 1, 1, 1)], AT)
    assert widths(svg) == [12.5, 12.5, 50, 25, 12.5, 12.5, 12.5, 12.5]
    label = ElementTree.fromstring(svg).attrib["aria-label"]
    assert "scheduler: machine asked for 1.0 s, machine started 1.0 s, environment ready 4.0 s" in label


def test_a_machine_on_its_way_grows_until_now_and_one_that_ended_does_not():
    going = pictures.timeline([machine(1, 1)], AT + timedelta(seconds=10))
    assert "10 s so far" in going
    assert widths(going) == [10, 10, 80]
    over = pictures.timeline([machine(1, 1, stopped=AT + timedelta(seconds=4))], AT + timedelta(seconds=99))
    assert widths(over) == [25, 25, 50]


def test_no_machine_is_an_empty_picture():
    assert ElementTree.fromstring(pictures.timeline([], AT)).attrib["height"] == "0"
