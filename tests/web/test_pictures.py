"""Pictures are text that can be read: well-formed, to scale, and said in words too."""

import re
from xml.etree import ElementTree

import pytest

from amasia.models.budgets import Budget
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
