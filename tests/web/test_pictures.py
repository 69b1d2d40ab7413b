"""Pictures are text that can be read: well-formed, to scale, and said in words too."""

import re
from datetime import date
from xml.etree import ElementTree

import pytest

from amasia.models.budgets import Budget
from amasia.models.forecasts import Expected
from amasia.web import pictures


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


def test_days_are_drawn_to_scale_and_those_to_come_apart():
    first = date(2026, 11, 23)
    ahead = [Expected(day=date(2026, 11, 25), amount=50), Expected(day=date(2026, 11, 26), amount=200)]
    svg = pictures.days({first: 100, date(2026, 11, 25): 50}, first, ahead, "EUR")
    root = ElementTree.fromstring(svg)
    heights = [(one.attrib["class"], float(one.attrib["height"])) for one in root.iter("rect") if "class" in one.attrib]
    assert heights == [("bar-spent", 60), ("bar-reserved", 30), ("bar-spent", 30), ("bar-reserved", 120)]
    said = [title.text for title in root.iter("title")]
    assert said[1] == "2026-11-24: 0.00 EUR"
    assert said[3] == "2026-11-26: 0.0002 EUR expected"
    assert "0.0001 EUR from 2026-11-23 to 2026-11-25" in root.attrib["aria-label"]


def test_days_without_any_cost_are_an_empty_picture():
    root = ElementTree.fromstring(
        pictures.days({}, date(2026, 11, 25), [Expected(day=date(2026, 11, 25), amount=0)], "EUR")
    )
    assert [one for one in root.iter("rect") if "class" in one.attrib] == []
