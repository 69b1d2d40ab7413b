"""Waiting for what comes by itself."""

import time

import pytest

from amasia.testing.waiting import wait


def test_what_comes_is_given_as_soon_as_it_is_there():
    answers = iter(["", [], "here", "later"])
    assert wait(lambda: next(answers), pause=0.001) == "here"


def test_what_never_comes_is_given_up_in_time_with_what_is_known_of_it():
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^not within 0.05 s its log$"):
        wait(lambda: False, 0.05, pause=0.01, why=lambda: "its log")
    assert time.monotonic() - begun < 5
