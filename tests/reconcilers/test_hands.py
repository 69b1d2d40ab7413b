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


def test_a_tenant_with_many_places_leaves_hands_to_others(monkeypatch):
    monkeypatch.setattr(hands, "PATIENCE", 0.05)
    few, over, done = hands.Hands(threads=4, each=8), Event(), []

    def do(item):
        if item[1].startswith("big"):
            over.wait(10)
        done.append(item[0])

    flood = [(f"m{number}", f"big/{number}") for number in range(6)]
    assert few.run(flood, lambda item: item, do) == flood[3:]
    assert few.run([("n", "small/a")], lambda item: item, do) == []
    assert done == ["n"]
    over.set()
    few.close()
