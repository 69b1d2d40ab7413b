"""Loops: at once when there is something to do, seldom when not, and never noisy."""

import threading
import time
from itertools import pairwise

import pytest

from amasia.database.engine import Changes
from amasia.reconcilers import loops
from amasia.reconcilers.loops import Loop


def test_a_round_comes_at_once_when_something_was_written() -> None:
    changes, rounds = Changes(), threading.Semaphore(0)
    loop = Loop("test", 3600, rounds.release, changes)
    loop.start()
    time.sleep(0.2)
    assert not rounds.acquire(blocking=False)
    changes.note()
    assert rounds.acquire(timeout=5)
    loop.stop()


def test_a_loop_that_waits_for_long_stops_at_once() -> None:
    loop = Loop("test", 3600, lambda: None)
    loop.start()
    begun = time.monotonic()
    loop.stop()
    assert time.monotonic() - begun < 5


def test_a_round_that_fails_is_told_once_tried_less_and_less_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(loops.log, "exception", lambda text, **_: told.append(text))
    times: list[float] = []
    well = threading.Event()

    def round_() -> None:
        times.append(time.monotonic())
        if len(times) <= 5:
            raise RuntimeError("broken")
        well.set()

    loop = Loop("test", 0.05, round_)
    loop.start()
    assert well.wait(20)
    loop.stop()
    assert told == ["reconciler failed"]
    pauses = [after - before for before, after in pairwise(times)]
    assert all(pause >= 0.05 * 2**number for number, pause in enumerate(pauses[:5], start=1)), pauses
