"""One that hangs or fails delays nobody else."""

import threading
import time

from amasia.reconcilers import lanes
from amasia.reconcilers.lanes import Lanes
from amasia.reconcilers.loops import Loop


def test_a_lane_that_hangs_delays_no_other(monkeypatch):
    monkeypatch.setattr(lanes, "_PATIENCE", 0.2)
    made, stuck, done = Lanes(), threading.Event(), []

    def do(item):
        if item == "dead/1":
            stuck.wait(20)
        done.append(item)
        return True

    for _ in range(3):
        begun = time.monotonic()
        made.run(["dead/1", "dead/2", "good/1"], lambda item: item[:4], do)
        assert time.monotonic() - begun < 5
    assert done == ["good/1"] * 3
    stuck.set()
    made.close()


def test_a_lane_that_fails_is_asked_more_and_more_seldom_and_the_rest_of_it_waits(monkeypatch):
    monkeypatch.setattr(lanes, "_FIRST", 0.2)
    made, asked = Lanes(), []
    begun = time.monotonic()
    while time.monotonic() - begun < 1.2:
        made.run(["a1", "a2"], lambda item: item[0], lambda item: bool(asked.append(item)))
        time.sleep(0.01)
    assert 2 <= len(asked) <= 4
    assert set(asked) == {"a1"}
    made.close()


def test_after_a_success_a_lane_is_asked_at_once_again():
    made, asked = Lanes(), []
    for _ in range(5):
        made.run(["a"], str, lambda item: not asked.append(item))
    assert len(asked) == 5
    made.close()


def test_a_loop_that_fails_comes_round_later_each_time_and_says_so_once(capsys):
    rounds = []

    def fail():
        rounds.append(time.monotonic())
        raise OSError("no")

    loop = Loop("failing", 0.02, fail)
    loop.start()
    time.sleep(1)
    assert len(rounds) <= 8
    end = time.monotonic() + 20
    while len(rounds) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    loop.stop()
    assert len(rounds) >= 3
    assert capsys.readouterr().out.count("reconciler failed") <= 1


def test_a_tenant_with_many_lanes_that_hang_delays_no_other_and_all_of_them_come_to_their_turn(monkeypatch):
    monkeypatch.setattr(lanes, "_PATIENCE", 0.2)
    made, stuck, done = Lanes(threads=3), threading.Event(), []

    def do(item):
        if item.startswith("big"):
            stuck.wait(20)
        done.append(item)
        return True

    flood = [f"big/{number}" for number in range(9)]
    made.run(flood, str, do)
    made.run([*flood, "small/a"], str, do)
    assert done == ["small/a"]
    stuck.set()
    deadline = time.monotonic() + 10
    while len(done) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(done) == [*flood, "small/a"]
    made.close()
