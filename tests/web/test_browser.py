"""The console in a real browser: what is on the screen, what keys and buttons do, and what goes over the network."""

from amasia.database import machines as machine_rows
from amasia.models.budgets import NewBudget, NewScope
from amasia.models.clusters import ClusterRequest
from amasia.models.devices import DeviceRequest
from amasia.models.grants import AccountRequest, GroupRequest
from amasia.models.locations import Finding, LocationRequest, Offer
from amasia.models.machines import Metrics
from amasia.models.permissions import Role
from amasia.models.repositories import Input
from amasia.models.secrets import SecretRequest
from amasia.models.users import TokenRequest
from amasia.models.views import ViewRequest
from amasia.services import budgets, clusters, devices, groups, locations, secrets, service_accounts, users, views
from tests.browsers import WIDTHS, picture, sideways

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


def test_costs_over_time_what_is_to_come_and_what_is_wasted(window, world, story):
    for days_ago in range(1, 30):
        charge(world, story, 700_000 + 90_000 * (days_ago % 7), 9_000_000, days_ago=days_ago, project="era5")
    request = NewBudget(name="ada", scope=NewScope(kind="user", name="ada"), period="month", limit=25_000_000)
    budgets.create(world.db, world.ada, "lab", request)
    with world.db.write() as tx:
        for machine in story.machines:
            machine_rows.update(tx, machine.id, metrics=Metrics(idle_seconds=1500, watched_seconds=9000))
    sign_in(window)
    window.get_by_role("link", name="Costs").click()
    window.get_by_role("heading", name="Over time").wait_for()
    assert window.locator("svg.days .bar-spent").count() == 30
    assert window.locator("svg.days .bar-reserved").count() >= 1
    assert (
        "amasia cluster stop climatology" in window.get_by_role("table", name="What is spent for nothing").inner_text()
    )
    assert "project=era5" in window.get_by_role("table", name="Costs by tag").inner_text()
    window.get_by_role("link", name="7 days").click()
    window.get_by_role("link", name="7 days").and_(window.locator("[aria-current]")).wait_for()
    assert window.locator("svg.days .bar-spent").count() == 7


def test_people_show_who_is_in_which_group_and_the_audit_page_finds(window, world, story):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    groups.add(world.db, world.ada, "lab", "ocean", "bo")
    service_accounts.create(world.db, world.ada, "lab", AccountRequest(name="nightly", role="member"))
    service_accounts.create_token(world.db, world.ada, "lab", "nightly", TokenRequest(label="cron"))
    sign_in(window)
    window.get_by_role("link", name="People").click()
    window.get_by_role("heading", name="What each role may").wait_for()
    assert "ocean" in window.get_by_role("table", name="Members").get_by_role("row", name="bo").inner_text()
    assert "never used" in window.get_by_role("table", name="Service accounts").inner_text()
    window.get_by_role("link", name="Audit").click()
    window.get_by_label("What").fill("group")
    window.keyboard.press("Enter")
    window.wait_for_url("**/audit?*")
    assert window.get_by_role("table", name="Events").locator("tbody").count() == 2


LONG = "m" * 63
"""The longest name there may be, and nowhere to break it."""


def test_the_longest_names_and_texts_fit_every_width(open_window, served, world):
    cluster = start(world, world.ada, name=LONG, workers=1, log=f"{LONG * 6}\n")
    repository(world, LONG, LONG * 4)
    made = commit(
        world, world.ada, LONG, LONG * 4, cluster=cluster, inputs=(Input(repository=f"lab/{LONG}", snapshot="S"),)
    )
    view = ViewRequest(name=LONG, source=f"lab/{LONG}", target=f"lab/{LONG}", along="t", kind="resample", plan=LONG * 4,
                       function="Zm9v", environment_hash=world.environment_hash)  # fmt: skip
    repository(world, "means")
    views.create(world.db, world.ada, "lab", view.model_copy(update={"target": "lab/means"}))
    place = locations.create(world.db, world.ada, "lab", LocationRequest(name=LONG, provider=LONG, region=LONG))
    found = Finding(subject=LONG, what=LONG * 4, ok=False, cure=LONG * 2)
    offer = Offer(type=LONG, cpus=4, memory=1 << 40, price=10**12, price_source=LONG * 2, gpus=8, gpu=LONG)
    locations.checked(world.db, place, [found], [offer])
    page = open_window(served, look=("phone", "light"))
    sign_in(page)
    paths = (f"clusters/{cluster.id}", "repositories", f"repositories/{LONG}",
             f"repositories/{LONG}/commits/{made.snapshot}", "views", f"views/{LONG}", "costs", "", LONG, "locations",
             f"locations/{LONG}")  # fmt: skip
    found = {}
    for number, path in enumerate(paths):
        page.goto(f"/lab/{path}")
        picture(page, f"long-{number}")
        for width, height in (*WIDTHS.values(), (800, 800)):
            page.set_viewport_size({"width": width, "height": height})
            found[path, width] = sideways(page)
    assert {path: wide for path, wide in found.items() if wide} == {}


def test_where_there_is_nothing_yet_a_page_says_what_to_do(open_window, served):
    page = open_window(served, look=("phone", "dark"))
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


def test_people_secrets_and_the_account_follow_what_happens_and_leave_what_is_typed(window, world, story):
    sign_in(window)
    looked_back = "document.dispatchEvent(new Event('visibilitychange'))"  # which does not wait for the next beat
    window.goto("/lab/people")
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    window.evaluate(looked_back)
    window.get_by_role("rowheader", name="ocean").wait_for()
    window.goto("/lab/secrets")
    window.get_by_label("Name").fill("HALF_TYPED")
    secrets.put(world.db, world.ada, Role.owner, "lab", "KEY_1", SecretRequest(value="a secret"))
    window.evaluate(looked_back)
    window.get_by_role("rowheader", name="KEY_1").wait_for()
    assert window.get_by_label("Name").input_value() == "HALF_TYPED"
    window.goto("/-/account")
    window.get_by_label("What it is for").fill("laptop")
    window.get_by_role("button", name="Make a token").click()
    window.locator("#secret").wait_for()
    users.create_token(world.db, world.ada, TokenRequest(label="from elsewhere"))
    window.evaluate(looked_back)
    window.get_by_role("rowheader", name="from elsewhere").wait_for()
    assert window.locator("#secret").inner_text().startswith("ama_"), "it is shown once, and stays on this page"


def test_what_comes_into_the_catalog_is_seen_by_whoever_searches_and_the_words_stay(window, world, story):
    sign_in(window)
    window.goto("/lab/datasets?q=tos")
    window.get_by_text("Nothing fits").wait_for()
    window.get_by_label("Words").fill("half typed")
    live = window.locator("[data-live]")
    assert live.get_attribute("hx-get") == "/lab/datasets?q=tos"
    with window.expect_response("**/lab/datasets?q=tos"):
        window.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert window.get_by_label("Words").input_value() == "half typed"


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


def test_a_device_that_asks_is_sent_away(window, world):
    codes = devices.begin(world.db, DeviceRequest(label="amasia login on laptop"), "192.0.2.7", "http://x")
    sign_in(window)
    window.goto("/-/device")
    window.get_by_label("The code that it shows").fill(codes.user_code)
    window.keyboard.press("Enter")
    window.get_by_role("heading", name="Let amasia login on laptop in as ada?").wait_for()
    window.get_by_role("button", name="Send it away").click()
    window.get_by_role("heading", name="was sent away").wait_for()


FOCUS = """() => {
  const one = document.activeElement;
  const name = one.labels?.[0]?.querySelector("span") ?? one.labels?.[0] ?? one;
  const {outlineStyle} = getComputedStyle(one);
  const {top, bottom} = one.getBoundingClientRect();
  const seen = outlineStyle !== "none" && bottom > 0 && top < innerHeight;
  return {name: (one.ariaLabel ?? name.textContent).replace(/\\s+/g, " ").trim(), seen};
}"""


def tab_to(page, name):
    """By the tabulator alone; what has the focus on the way is seen to have it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        assert found["seen"], found
        if found["name"] == name:
            return
    raise AssertionError(f"no {name!r} within sixty steps")


def test_sign_in_stop_a_cluster_make_a_token_and_sign_out_without_a_mouse(window, story):
    keys = window.keyboard
    window.goto("/")
    keys.type("ada")
    tab_to(window, "Password")
    keys.type("ada's password")
    keys.press("Enter")
    window.wait_for_url("**/lab")
    tab_to(window, "Skip to content")
    tab_to(window, "Stop climatology")
    keys.press("Enter")
    tab_to(window, "Stop climatology")
    assert focused(window) == f"really-{story.id}"
    keys.press("Enter")
    window.locator(f"#row-{story.id}").get_by_text("stopping", exact=True).wait_for()
    tab_to(window, "ada")
    keys.press("Enter")
    window.get_by_role("heading", name="A new token").wait_for()
    tab_to(window, "What it is for")
    keys.type("laptop")
    tab_to(window, "It may")
    keys.type("look")
    tab_to(window, "Make a token")
    keys.press("Enter")
    window.get_by_text("it is shown this once").wait_for()
    assert window.locator("#secret").inner_text().startswith("ama_")
    tab_to(window, "To the first page")
    keys.press("Enter")
    window.wait_for_url("**/lab")
    tab_to(window, "Sign out")
    keys.press("Enter")
    window.wait_for_url("**/-/sign-in")
