"""The console in a real browser: what is on the screen, what keys and buttons do, and what goes over the network."""

import pytest

from amasia.database import machines as machine_rows
from amasia.models.budgets import NewBudget, NewScope
from amasia.models.clusters import ClusterRequest
from amasia.models.devices import DeviceRequest
from amasia.models.grants import AccountRequest, GroupRequest
from amasia.models.machines import Metrics
from amasia.models.repositories import Input
from amasia.models.users import TokenRequest
from amasia.models.views import ViewRequest
from amasia.services import budgets, clusters, devices, groups, service_accounts, views
from tests.browsers import picture, sideways

from .conftest import charge, commit, repository, sign_in, start


def test_a_running_cluster_is_seen_and_stopped(page, story):
    page.goto("/")
    picture(page, "sign-in")
    sign_in(page)
    row = page.locator(f"#row-{story.id}")
    assert "running" in row.inner_text()
    assert "4 of 4" in row.inner_text()
    assert sideways(page) == []
    picture(page, "home")
    row.get_by_role("button", name="Stop climatology").click()
    question = page.get_by_role("dialog")
    assert "Stop climatology?" in question.inner_text()
    assert "its 5 machines" in question.inner_text()
    picture(page, "question")
    question.get_by_role("button", name="Stop climatology").click()
    row.get_by_text("stopping", exact=True).wait_for()
    assert "ada stopped it" in row.inner_text()
    assert row.get_by_role("button").count() == 0


def test_every_page_fits_its_window(page, story):
    sign_in(page)
    page.get_by_role("link", name="climatology").click()
    page.get_by_role("heading", name="Start", exact=True).wait_for()
    assert page.locator("svg.timeline rect").count() == 5 * 4
    assert sideways(page) == []
    picture(page, "cluster")
    page.get_by_role("link", name="Repositories").click()
    page.get_by_role("heading", name="Repositories").wait_for()
    assert sideways(page) == []
    picture(page, "repositories")
    page.get_by_role("link", name="climatology").click()
    page.get_by_text("Monthly climatology and anomaly").wait_for()
    assert sideways(page) == []
    picture(page, "repository")
    page.get_by_role("link", name="Costs").click()
    page.get_by_role("heading", name="By user").wait_for()
    assert sideways(page) == []
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/-/sign-in")


def test_costs_over_time_what_is_to_come_and_what_is_wasted(page, world, story):
    for days_ago in range(1, 30):
        charge(world, story, 700_000 + 90_000 * (days_ago % 7), 9_000_000, days_ago=days_ago, project="era5")
    request = NewBudget(name="ada", scope=NewScope(kind="user", name="ada"), period="month", limit=25_000_000)
    budgets.create(world.db, world.ada, "lab", request)
    with world.db.write() as tx:
        for machine in story.machines:
            machine_rows.update(tx, machine.id, metrics=Metrics(idle_seconds=1500, watched_seconds=9000))
    sign_in(page)
    page.get_by_role("link", name="Costs").click()
    page.get_by_role("heading", name="Over time").wait_for()
    assert page.locator("svg.days .bar-spent").count() == 30
    assert page.locator("svg.days .bar-reserved").count() >= 1
    assert "amasia cluster stop climatology" in page.get_by_role("table", name="What is spent for nothing").inner_text()
    assert "project=era5" in page.get_by_role("table", name="Costs by tag").inner_text()
    assert sideways(page) == []
    picture(page, "costs")
    page.get_by_role("link", name="7 days").click()
    page.get_by_role("link", name="7 days").and_(page.locator("[aria-current]")).wait_for()
    assert page.locator("svg.days .bar-spent").count() == 7
    assert sideways(page) == []


def test_people_and_audit_fit_their_window(page, world, story):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    groups.add(world.db, world.ada, "lab", "ocean", "bo")
    service_accounts.create(world.db, world.ada, "lab", AccountRequest(name="nightly", role="member"))
    service_accounts.create_token(world.db, world.ada, "lab", "nightly", TokenRequest(label="cron"))
    sign_in(page)
    page.get_by_role("link", name="People").click()
    page.get_by_role("heading", name="What each role may").wait_for()
    assert "ocean" in page.get_by_role("table", name="Members").get_by_role("row", name="bo").inner_text()
    assert "never used" in page.get_by_role("table", name="Service accounts").inner_text()
    assert sideways(page) == []
    picture(page, "people")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("What").fill("group")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit?*")
    assert page.get_by_role("table", name="Events").locator("tbody").count() == 2
    assert sideways(page) == []
    picture(page, "audit")


LONG = "m" * 63
"""The longest name there may be, and nowhere to break it."""


@pytest.mark.parametrize("look", [("phone", "light"), ("desktop", "light")], ids="-".join)
def test_the_longest_names_and_texts_fit_their_window(open_window, served, world, look):
    cluster = start(world, world.ada, name=LONG, workers=1, log=f"{LONG * 6}\n")
    repository(world, LONG, LONG * 4)
    made = commit(
        world, world.ada, LONG, LONG * 4, cluster=cluster, inputs=(Input(repository=f"lab/{LONG}", snapshot="S"),)
    )
    view = ViewRequest(name=LONG, source=f"lab/{LONG}", target=f"lab/{LONG}", along="t", kind="resample", plan=LONG * 4,
                       function="Zm9v", environment_hash=world.environment_hash)  # fmt: skip
    repository(world, "means")
    views.create(world.db, world.ada, "lab", view.model_copy(update={"target": "lab/means"}))
    page = open_window(served, look=look)
    sign_in(page)
    paths = (f"clusters/{cluster.id}", "repositories", f"repositories/{LONG}",
             f"repositories/{LONG}/commits/{made.snapshot}", "views", f"views/{LONG}", "costs", "", LONG)  # fmt: skip
    found = {}
    for number, path in enumerate(paths):
        page.goto(f"/lab/{path}")
        picture(page, f"long-{number}")
        found[path] = sideways(page)
    assert {path: wide for path, wide in found.items() if wide} == {}


@pytest.mark.parametrize("look", [("phone", "dark"), ("desktop", "dark")], ids="-".join)
def test_where_there_is_nothing_yet_a_page_says_what_to_do(open_window, served, look):
    page = open_window(served, look=look)
    page.goto("/")
    sign_in(page, "eve", "other")
    for path in ("", "repositories", "views", "datasets", "costs"):
        page.goto(f"/other/{path}")
        picture(page, f"empty-{path or 'home'}")
        assert sideways(page) == [], path
        if path != "costs":
            assert page.locator(".empty").count() == 1, path
    page.goto("/other/nothing-here")
    picture(page, "error")
    assert sideways(page) == []


def focused(page) -> str:
    return page.evaluate("document.activeElement.id")


def test_a_page_follows_what_happens_and_keeps_the_focus_where_it_was(window, world, story):
    sign_in(window)
    window.locator(f"#ask-{story.id}").focus()
    mine = clusters.create(world.db, world.settings, world.bo, "lab",
                           ClusterRequest(name="new-one", environment_hash=world.environment_hash))  # fmt: skip
    window.get_by_role("link", name="new-one").wait_for()
    assert focused(window) == f"ask-{story.id}"
    clusters.stop(world.db, world.bo, "lab", mine.id)
    window.locator(f"#row-{mine.id}").get_by_text("stopping", exact=True).wait_for()
    assert focused(window) == f"ask-{story.id}"


def test_stopping_works_with_the_keyboard_alone(window, world, story):
    sign_in(window)
    window.locator(f"#ask-{story.id}").focus()
    window.keyboard.press("Enter")
    window.get_by_role("dialog").wait_for()
    window.keyboard.press("Escape")
    assert window.get_by_role("dialog").count() == 0
    assert focused(window) == f"ask-{story.id}"
    window.keyboard.press("Enter")
    window.keyboard.press("Tab")
    assert focused(window) == f"really-{story.id}"
    # Longer than a beat of the live part: the question stays.
    window.wait_for_timeout(2500)
    assert focused(window) == f"really-{story.id}"
    window.keyboard.press("Enter")
    window.locator(f"#row-{story.id}").get_by_text("stopping", exact=True).wait_for()


def test_a_page_that_cannot_reach_the_control_plane_says_so_and_recovers(window, story):
    sign_in(window)
    window.route("**/lab", lambda route: route.abort())
    window.get_by_text("The control plane does not answer.").wait_for()
    assert window.locator(f"#row-{story.id}").is_visible()
    window.unroute("**/lab")
    window.get_by_text("The control plane does not answer.").wait_for(state="hidden")


def test_a_session_that_ended_leads_to_the_sign_in_and_back(window, world, story):
    sign_in(window)
    window.context.clear_cookies()
    window.wait_for_url("**/-/sign-in?next=/lab")


def test_a_link_on_another_site_opens_the_page_for_whoever_is_signed_in(window, served, story):
    sign_in(window)
    window.goto("data:text/html,<a href='" + served + "/lab/costs'>the bill</a>")
    window.get_by_text("the bill").click()
    window.get_by_role("heading", name="By user").wait_for()


def test_everything_works_without_scripts(open_window, served, story):
    page = open_window(served, java_script_enabled=False)
    sign_in(page)
    page.locator(f"#ask-{story.id}").click()
    page.locator(f"#really-{story.id}").click()
    page.get_by_text("ada stopped it").wait_for()


def test_ones_account_and_a_device_that_asks_fit_their_window(page, world):
    codes = devices.begin(world.db, DeviceRequest(label="amasia login on laptop"), "192.0.2.7", "http://x")
    sign_in(page)
    page.get_by_role("link", name="ada", exact=True).click()
    page.get_by_role("heading", name="Sessions and tokens").wait_for()
    assert sideways(page) == []
    picture(page, "account")
    page.goto("/-/device")
    page.get_by_label("The code that it shows").fill(codes.user_code)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Let amasia login on laptop in as ada?").wait_for()
    assert sideways(page) == []
    picture(page, "device")
    page.get_by_role("button", name="Send it away").click()
    page.get_by_role("heading", name="was sent away").wait_for()
