"""A page asks the database as often for a hundred things as for one."""

import pytest
from sqlalchemy import event

from amasia.models.grants import AccountRequest, GroupRequest
from amasia.models.locations import LocationRequest
from amasia.models.standbys import StandbyRequest
from amasia.models.users import TokenRequest
from amasia.models.views import ClaimRequest, RefreshDone, ViewRequest
from amasia.services import groups, locations, refreshes, service_accounts, standbys, views

from .conftest import charge, commit, repository, start

PAGES = ("", "?whose=mine", "repositories", "repositories/of-0", "views", "views/view-0", "datasets", "locations",
         "locations/local", "costs", "people", "audit")  # fmt: skip


@pytest.fixture
def grow(world):
    """Adds one more of everything to the workspace."""

    def grow(number):
        cluster = start(world, world.ada, name=f"cluster-{number}", workers=0)
        charge(world, cluster, 1000, 1000)
        for name in (f"of-{number}", f"to-{number}"):
            repository(world, name)
            commit(world, world.ada, name, "Ingest", cluster=cluster)
        request = ViewRequest(name=f"view-{number}", source="lab/of-0", target=f"lab/to-{number}", along="time",
                              kind="resample", function="Zm9v", environment_hash=world.environment_hash)  # fmt: skip
        views.create(world.db, world.ada, "lab", request)
        for name in {"view-0", f"view-{number}"}:
            claim = refreshes.claim(world.db, world.ada, "lab", name, ClaimRequest())
            done = RefreshDone(secret=claim.secret, reason="KeyError")
            refreshes.finish(world.db, world.ada, "lab", name, claim.refresh.id, done)
        service_accounts.create(world.db, world.ada, "lab", AccountRequest(name=f"robot-{number}", role="viewer"))
        service_accounts.create_token(world.db, world.ada, "lab", f"robot-{number}", TokenRequest(label="cron"))
        groups.create(world.db, world.ada, "lab", GroupRequest(name=f"group-{number}"))
        groups.add(world.db, world.ada, "lab", f"group-{number}", "bo")
        locations.create(world.db, world.ada, "lab", LocationRequest(name=f"hall-{number}", provider="ssh"))

    return grow


def asked(db, browser):
    """How many statements each page takes; the first look warms what is kept for the next ones."""
    said = []
    listener = lambda *told: said.append(told[2])  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listener)
    found = {}
    for page in PAGES:
        assert browser.get(f"/lab/{page}".rstrip("/").replace("/?", "?")).status_code == 200, page
        said.clear()
        browser.get(f"/lab/{page}".rstrip("/").replace("/?", "?"))
        found[page] = len(said)
    event.remove(db.engine, "before_cursor_execute", listener)
    return found


def test_no_page_asks_more_often_where_there_is_more(world, as_, grow):
    standbys.put(world.db, world.ada, "lab", "local", "small", StandbyRequest(machines=1))
    ada = as_("ada")
    grow(0)
    few = asked(world.db, ada)
    for number in range(1, 4):
        grow(number)
    assert asked(world.db, ada) == few
    assert max(few.values()) < 60, few
