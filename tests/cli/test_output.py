import json
from datetime import timedelta

import pytest

from amasia.cli import output
from amasia.models.base import now
from amasia.models.budgets import Budget
from amasia.models.costs import machine_time


def test_a_table_without_a_terminal_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(["name", ">rate"], [("a", 1), ("b [c]", 22)])
    assert capsys.readouterr().out == "name\trate\na\t1\nb [c]\t22\n"


def test_words_of_others_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_fields({"message": "a\x1b]0;title\x07\x9b2J ü🌧\r"})
    output.show_table(["name"], [("\x1b[2J",)])
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\r")
    assert output.printable("ü🌧\tb\n") == "ü🌧\tb\n"


def test_an_empty_table_says_so_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(["name"], [], empty="Nothing runs.")
    assert capsys.readouterr() == ("", "Nothing runs.\n")


def test_models_inside_lists_and_dicts_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    budget = Budget(workspace="demo", limit=1, spent=2, reserved=3)
    output.show_json({"budgets": [budget], "when": now()})
    assert json.loads(capsys.readouterr().out)["budgets"][0]["reserved"] == 3


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0.0 s"), (59_940, "59.9 s"), (245_000, "4 min 05 s"), (7_800_000, "2 h 10 min"), (3_599_900, "1 h 00 min")],
)
def test_machine_time_is_short_and_never_60_seconds(milliseconds: int, text: str) -> None:
    assert machine_time(milliseconds) == text


def test_a_bar_is_full_at_its_end_and_never_longer() -> None:
    assert output.bar(1, 2).endswith("50%")
    assert output.bar(0, 2).startswith("░" * output.BAR)
    assert output.bar(9, 2) == output.bar(0, 0) == f"{'█' * output.BAR} 100%"


def test_times_are_told_from_now() -> None:
    assert output.ago(None) == ""
    assert output.ago(now()) == "just now"
    assert output.ago(now() - timedelta(minutes=3, seconds=5)) == "3 min ago"
    assert output.ago(now() - timedelta(hours=50)) == "2 d ago"
