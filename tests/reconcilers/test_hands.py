"""Hands: each item once, few of one place, and a busy place delays no other."""

from threading import Event

from amasia.reconcilers import hands


def test_a_place_has_its_share_and_what_is_in_hand_is_left_to_it(monkeypatch):
    monkeypatch.setattr(hands, "PATIENCE", 0.05)
    both, over, done = hands.Hands(each=2), Event(), []

    def do(item):
        if item[1] == "slow":
            over.wait(10)
        done.append(item[0])

    items = [("a", "slow"), ("b", "slow"), ("c", "slow"), ("d", "quick")]
    assert both.run(items, lambda item: item, do) == [("c", "slow")]
    assert done == ["d"]
    assert both.run(items[:3], lambda item: item, do) == [("c", "slow")]
    over.set()
    both.close()
    assert sorted(done) == ["a", "b", "d"]
