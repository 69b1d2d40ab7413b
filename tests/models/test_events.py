"""A chain of events shows what was changed in it."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amasia.models.events import Event, Head, chained, check

AT = datetime(2026, 11, 26, 3, 4, 5, 67, tzinfo=UTC)
DETAIL = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=9), max_size=3
)


def made(count, **fields):
    fresh = [
        Event(id=0, at=AT, workspace="lab", actor="ada", verb="cluster.create", target=f"c{number}", outcome="done")
        for number in range(count)
    ]
    return list(chained(Head(workspace="lab", seq=0, hash=""), (one.model_copy(update=fields) for one in fresh)))


def end(events):
    return Head(workspace="lab", seq=events[-1].seq, hash=events[-1].hash)


def test_the_hash_is_what_the_docs_say_so_that_anybody_can_work_it_out():
    (event,) = made(1)
    text = (
        '{"actor":"ada","at":"2026-11-26T03:04:05.000067Z","detail":{},"outcome":"done","seq":1,"source":"",'
        '"target":"c0","verb":"cluster.create","workspace":"lab"}'
    )
    assert event.hash == hashlib.sha256(f"\n{text}".encode()).hexdigest()


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 6),
    st.data(),
    st.sampled_from(["actor", "verb", "target", "outcome", "source", "detail", "at", "workspace"]),
)
def test_whatever_is_changed_in_any_event_it_is_named(count, data, field):
    events = made(count)
    place = data.draw(st.integers(0, count - 1))
    other = {
        "outcome": "denied",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "detail": {"a": data.draw(DETAIL)},
        "workspace": "lib",
    }.get(field, "another")
    head = end(events)
    events[place] = Event.model_validate(events[place].model_dump() | {field: other})
    verdict = check(head, events)
    assert f"event {place + 1} (" in verdict.problem
    assert verdict.checked == place


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 6), st.data())
def test_whatever_is_taken_out_it_is_named(count, data):
    events = made(count)
    head, place = end(events), data.draw(st.integers(0, count - 1))
    verdict = check(head, events[:place] + events[place + 1 :])
    assert f"event {place + 1} is missing" in verdict.problem


@given(DETAIL)
def test_an_event_that_went_over_the_wire_has_the_same_hash(detail):
    events = made(2, detail=detail)
    again = [Event.model_validate_json(one.model_dump_json()) for one in events]
    again = [Event.model_validate(json.loads(json.dumps(one.model_dump(mode="json")))) for one in again]
    assert check(end(events), again).problem == ""


def test_a_chain_that_was_written_anew_is_right_in_itself_and_contradicts_a_head_that_was_kept():
    kept = end(made(3))
    anew = made(5, actor="eve")
    assert check(end(anew), anew).problem == ""
    assert "event 3, or one before it, was written anew" in check(end(anew), anew, [kept]).problem


def test_a_chain_that_was_cut_with_its_head_is_shorter_than_a_head_that_was_kept():
    events = made(5)
    assert "event 4 is missing" in check(end(events[:3]), events[:3], [end(events)]).problem


@pytest.mark.parametrize(("said", "problem"), [(True, ""), (False, "events up to 2 are missing")])
def test_dropped_events_are_right_only_where_an_event_says_so(said, problem):
    events = made(3)
    if said:
        detail = {"seq": 2, "hash": events[1].hash}
        fresh = events[0].model_copy(update={"verb": "audit.drop", "detail": detail})
        events += chained(end(events), [fresh])
    head = end(events).model_copy(update={"dropped_seq": 2, "dropped_hash": events[1].hash})
    assert check(head, events[2:]).problem.startswith(problem)
    assert bool(check(head, events[2:]).problem) != said
