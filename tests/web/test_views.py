"""What the pages of views say, and to whom."""

from datetime import timedelta

import pytest

from amasia.models.base import now
from amasia.models.views import Applied, ClaimRequest, RefreshDone, ViewRequest
from amasia.services import refreshes, repositories, views

from .conftest import repository

HOSTILE = """<script>alert("1")</script>"""


@pytest.fixture
def lake(world):
    """A view that is current but for two commits, and one whose function failed."""
    for name in ("reanalysis", "means", "broken"):
        repository(world, name)
    commit(world, "S1CECHNKREP0F1RSTCMT")
    make(world, "monthly", "lab/means", plan="resample: each bin of MS depends on the input rows in it.")
    make(world, "celsius", "lab/broken")
    finish(world, "monthly", snapshot="S1CECHNKREP0F1RSTCMT", applied=(
        Applied(source_snapshot="S1CECHNKREP0F1RSTCMT", target_snapshot="T1", whole=True,
                computed=("t2m time[0:12]", "tp time[0:12]"), skipped="everything was computed: it is new"),
    ))  # fmt: skip
    finish(world, "celsius", reason=f"KeyError: {HOSTILE} (line 4 of views.py, in celsius)")
    commit(world, "S2", "S1CECHNKREP0F1RSTCMT", minutes=2)
    commit(world, "S3", "S2", minutes=1)
    return world


def make(world, name, target, plan=""):
    request = ViewRequest(name=name, source="lab/reanalysis", target=target, along="time", kind="resample", plan=plan,
                          function="Zm9v", environment_hash=world.environment_hash)  # fmt: skip
    views.create(world.db, world.ada, "lab", request)


def finish(world, name, **done):
    claim = refreshes.claim(world.db, world.ada, "lab", name, ClaimRequest())
    refreshes.finish(world.db, world.ada, "lab", name, claim.refresh.id, RefreshDone(secret=claim.secret, **done))


def commit(world, snapshot, parent="S0", minutes=3):
    item = {"branch": "main", "snapshot": snapshot, "parent": parent, "message": f"Append {snapshot}",
            "at": now() - timedelta(minutes=minutes), "metadata": {}}  # fmt: skip
    repositories.index(world.db, repositories.get(world.db, "lab", "reanalysis"), [item], now())


def test_the_list_tells_what_is_behind_and_what_failed(lake, as_):
    text = " ".join(as_("bo").get("/lab/views").text.split())
    for told in ('href="/lab/views/monthly"', ">behind</span>", ">2 commits</td>", ">failed</span>", "KeyError"):
        assert told in text, told
    assert "<script>alert" not in text


def test_a_view_tells_its_plan_its_refreshes_and_what_each_computed(lake, as_):
    text = as_("bo").get("/lab/views/monthly").text
    for told in ("each bin of MS depends", "1 commit applied", "t2m time[0:12]; tp time[0:12]",
                 "everything was computed: it is new", "at each commit of its source",
                 'href="/lab/repositories/reanalysis"'):  # fmt: skip
        assert told in text, told
    failed = as_("bo").get("/lab/views/celsius").text
    assert "line 4 of views.py" in failed
    assert "<script>alert" not in failed


def test_a_repository_leads_to_its_views(lake, as_):
    source = as_("bo").get("/lab/repositories/reanalysis").text
    assert 'read by <a href="/lab/views/monthly">' in source
    assert 'made by <a href="/lab/views/monthly">' in as_("bo").get("/lab/repositories/means").text


def test_who_is_no_member_sees_no_view_and_an_unknown_one_is_a_page(lake, as_):
    for path in ("/lab/views", "/lab/views/monthly"):
        assert as_("eve").get(path).status_code == 404
    assert "has no view" in as_("ada").get("/lab/views/none").text
    assert "No view yet" in as_("eve").get("/other/views").text
