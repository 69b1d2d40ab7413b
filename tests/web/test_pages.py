"""What the pages say, and that nothing in them is ever run."""

from datetime import timedelta
from html import escape

from structlog.testing import capture_logs

from amasia.database import clusters as cluster_rows
from amasia.models.base import now
from amasia.models.budgets import NewBudget, NewScope
from amasia.models.clusters import ClusterRequest, ClusterSpec
from amasia.models.diffs import ArrayChange, Diff, Grid
from amasia.models.egress import EgressRequest
from amasia.models.repositories import BucketRequest, Input
from amasia.services import budgets, clusters, diffs, egress, machines, repositories, storage
from amasia.web import answers, pages

from .conftest import charge, commit, end, repository, start

HOSTILE = """<script>alert("1")</script>"><img src=x onerror='alert(2)'>{{ 7777 * 7777 }}"""


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(world, as_, anybody):
    start(world, world.ada)
    ada = as_("ada")
    for answer in (
        ada.get("/lab"),
        ada.get("/nowhere"),
        anybody.get("/lab"),
        anybody.get("/-/sign-in"),
        anybody.get("/-/static/console.css"),
        anybody.post("/-/sign-in", headers={"Sec-Fetch-Site": "cross-site"}),
    ):
        for name, value in answers.HEADERS.items():
            assert answer.headers[name] == value
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert ada.get("/lab").headers["cache-control"] == "no-store"
    assert "immutable" in anybody.get("/-/static/console.css").headers["cache-control"]


def test_pages_hold_no_inline_script_style_or_foreign_address(world, as_, story):
    ada = as_("ada")
    for path in ("/lab", f"/lab/clusters/{story.id}", "/lab/repositories/climatology", "/lab/costs", "/-/sign-in",
                 "/lab/locations", "/lab/locations/local", "/-/account"):  # fmt: skip
        text = ada.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert " on" + "click" not in text
        assert text.count("<script") == text.count('<script src="/-/static/')
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text


def test_hostile_messages_notices_reasons_and_log_lines_are_shown_as_text(world, as_):
    repository(world, "data", HOSTILE)
    made = start(world, world.ada, log=HOSTILE + "\n")
    commit(world, world.ada, "data", HOSTILE, cluster=made, inputs=(Input(repository=HOSTILE, snapshot=HOSTILE),))
    with world.db.write() as tx:
        cluster_rows.add_notice(tx, made.id, HOSTILE)
        cluster_rows.wish_stop(tx, made.id, HOSTILE)
    ada = as_("ada")
    for path in (
        "/lab",
        f"/lab/clusters/{made.id}",
        "/lab/repositories",
        "/lab/repositories/data",
        "/<script>alert(3)",
    ):
        text = ada.get(path).text
        assert "alert" in text, path
        assert "<script>" not in text
        assert "<img src=x" not in text
        assert "60481729" not in text
    assert escape(HOSTILE).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in ada.get("/lab").text


def test_an_input_that_names_no_repository_leads_nowhere():
    assert pages.address(Input(repository="lab/data", snapshot="AB/C")) == "/lab/repositories/data#AB%2FC"
    for name in ("/evil.example", "//evil.example/x", "javascript:alert(1)", "lab", "lab/../x", "a/b/c", ""):
        assert pages.address(Input(repository=name, snapshot="S")) == ""


def test_home_tells_whose_it_is_how_large_it_is_and_what_it_costs(world, as_):
    made = start(world, world.bo, name="of-bo", workers=2)
    charge(world, made, 123_456, 60_000)
    text = " ".join(as_("ada").get("/lab").text.split())
    assert "of-bo</a><small>bo</small>" in text
    assert ">2 of 2 workers</span><small>small, local</small>" in text
    assert ">has work<" in text
    # three machines at 0.045 an hour
    assert ">0.14 EUR<" in text
    assert ">0.12 EUR<" in text
    assert "0.12 EUR spent and" in text
    assert "of 1.00 EUR" in text


def test_what_ended_is_shown_with_its_reason_and_no_button(world, as_):
    made = start(world, world.ada)
    end(world, made, world.ada)
    text = as_("ada").get("/lab").text
    assert "Nothing runs" in text
    assert "ada stopped it" in text
    assert "popover" not in text
    assert "hx-trigger" not in as_("ada").get(f"/lab/clusters/{made.id}").text


def test_a_cluster_page_tells_machines_stages_and_the_end_of_the_log(world, as_):
    made = start(world, world.ada, workers=1, log="".join(f"line {n}\n" for n in range(300)))
    text = as_("ada").get(f"/lab/clusters/{made.id}").text
    assert "worker 0: machine asked for" in text
    assert "process up 0.0 s" in text
    assert "<code>line 299</code>" in text
    assert "<code>line 50</code>" not in text
    assert text.count("<code>line ") == 200


def test_a_machine_that_ended_says_why(world, as_):
    made = start(world, world.ada, workers=1)
    machines.gone(world.db, made.machines[1], None)
    text = as_("ada").get(f"/lab/clusters/{made.id}").text
    assert "it is gone, and its provider knows no reason" in text
    assert "worker 0 ended" in text


def test_history_tells_where_each_commit_comes_from(world, as_):
    repository(world, "source")
    repository(world, "result")
    made = start(world, world.ada)
    charge(world, made, 450_000, 1000)
    source = commit(world, world.bo, "source", "Ingest")
    inputs = (Input(repository="lab/source", snapshot=source.snapshot),)
    landed = commit(world, world.ada, "result", "Climatology", cluster=made, inputs=inputs)
    text = as_("bo").get("/lab/repositories/result").text
    for told in (
        landed.snapshot[:8],
        "Climatology",
        "<b>ada</b>",
        f'href="/lab/repositories/source#{source.snapshot}"',
        world.environment_hash[:12],
        "git 4f31962",
        'href="/lab/clusters/running-one"',
        "0.45 EUR",
        "amasia://lab/result",
    ):
        assert told in text, told


def test_what_snapshots_added_is_in_the_history_and_what_storage_costs_on_the_bill(world, as_):
    data = repository(world, "data")
    landed = commit(world, world.ada, "data", "Ingest")
    assert 'class="added"' not in as_("bo").get("/lab/repositories/data").text
    storage.sized(world.db, data.id, landed.snapshot, 3 << 30, 2 << 30)
    at = now()
    for after in (timedelta(), timedelta(days=365)):
        storage.measured(world.db, data, 20_000, 4 << 30, 9, 2 << 30, at + after)
    text = " ".join(as_("bo").get("/lab/repositories/data").text.split())
    assert '<span class="added" title="What it added to the bucket">3 GiB</span>' in text
    assert "4 GiB, 0.96 EUR so far. 3 GiB is what the snapshots below added" in text
    text = " ".join(as_("bo").get("/lab/costs").text.split())
    assert '<a href="/lab/repositories/data">data</a>' in text
    assert '<td class="n">4 GiB</td> <td class="n">0.96 EUR</td>' in text


def test_egress_that_was_taken_is_on_the_bill_with_its_sum(world, as_):
    assert "<h2>Egress</h2>" not in as_("ada").get("/lab/costs").text
    request = BucketRequest(name="store", kind="s3", uri="s3://lab-store", access_key="a", secret_key="s")
    repositories.create_bucket(world.db, world.ada, "lab", request)
    told = EgressRequest(currency="EUR", amounts={"lab-store": {now().date(): 120_000}})
    egress.take(world.db, world.ada, "lab", told)
    text = " ".join(as_("ada").get("/lab/costs").text.split())
    row = text[text.index('<th scope="row">bucket lab-store</th>') :]
    assert row[: row.index("</tr>")].endswith('<td class="n">0.12 EUR</td> ')
    assert 'aria-label="Costs of egress"' in text
    assert "<dt>Spent</dt><dd>0.12 EUR</dd>" in text
    assert "<div>machines 0.00 EUR</div><div>storage 0.00 EUR</div><div>egress 0.12 EUR</div>" in text
    assert "<h2>Egress</h2>" not in as_("bo").get("/lab/costs").text


def test_costs_are_cut_by_user_cluster_and_repository(world, as_):
    repository(world, "result")
    made = start(world, world.ada, name="big")
    charge(world, made, 450_000, 90_000)
    commit(world, world.ada, "result", "Climatology", cluster=made)
    charge(world, made, 50_000, 10_000)
    text = " ".join(as_("ada").get("/lab/costs").text.split())
    for key, amount in (
        ("ada", "0.50 EUR"),
        ("big", "0.50 EUR"),
        ("result", "0.45 EUR"),
        ("(no commit)", "0.0500 EUR"),
    ):
        row = text[text.index(f'<th scope="row">{key}</th>') :]
        assert row[: row.index("</tr>")].endswith(f'<td class="n">{amount}</td> ')


def test_a_member_sees_their_own_costs_and_an_admin_all(world, as_):
    made = start(world, world.ada, name="big")
    charge(world, made, 450_000, 90_000)
    assert "0.45 EUR" in as_("ada").get("/lab/costs").text
    text = as_("bo").get("/lab/costs").text
    assert "<h1>Your costs</h1>" in text
    assert ">big<" not in text
    assert "<dd>0.00 EUR</dd>" in text


def test_other_days_of_the_bill_are_a_click_away_and_nonsense_is_told(world, as_):
    charge(world, start(world, world.ada, name="big"), 450_000, 90_000, days_ago=40, project="x")
    assert "project=x" not in as_("ada").get("/lab/costs?days=30").text
    for days in ("90", "365", "all"):
        assert "project=x" in as_("ada").get(f"/lab/costs?days={days}").text
    answer = as_("ada").get("/lab/costs?days=x")
    assert answer.status_code == 422
    assert "Choose one of" in answer.text


def test_unknown_things_are_pages_with_a_cure(world, as_):
    ada = as_("ada")
    for path, told in (
        ("/lab/clusters/none", "has no cluster"),
        ("/lab/repositories/none", "There is no repository"),
        ("/lab/none", "There is no such page"),
    ):
        answer = ada.get(path)
        assert answer.status_code == 404
        assert told in answer.text
        assert "<!doctype html>" in answer.text


def test_the_api_keeps_its_own_errors(as_):
    ada = as_("ada")
    for method, path, status in (("GET", "/v1/none", 404), ("POST", "/v1/health", 405), ("GET", "/v1/me", 401)):
        answer = ada.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"kind", "message", "cure", "detail"}


def test_a_bug_is_a_page_with_an_id_and_no_traceback(as_, site):
    ada = as_("ada")
    site.router.routes[-1].app.app.state.db = None
    with capture_logs() as logged:
        answer = ada.get("/lab")
    assert answer.status_code == 500
    assert f"This is a bug in Amasia (id {logged[0]['id']})." in answer.text
    assert "NoneType" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_stop_may_be_repeated(world, as_):
    made = start(world, world.ada)
    ada = as_("ada")
    for _ in range(2):
        assert ada.post(f"/lab/clusters/{made.id}/stop").headers["location"] == "/lab"
    assert clusters.get(world.db, "lab", made.id).reason == "ada stopped it"


def test_a_commit_asks_again_until_it_is_compared_with_the_one_before(world, as_):
    repository(world, "data")
    record = repositories.get(world.db, "lab", "data")
    seen = {"branch": "main", "snapshot": "S2", "parent": "S1", "message": "more", "at": now(), "metadata": {}}
    repositories.index(world.db, record, [seen], now())
    page = "/lab/repositories/data/commits/S2"
    assert "data-live" in as_("ada").get(page).text
    diffs.put(world.db, record.id, "S2", Diff(before="S1", after="S2", arrays=()))
    text = as_("ada").get(page).text
    assert "Nothing in any array" in text
    assert "data-live" not in text


def test_a_commit_tells_what_it_changed_with_a_picture_and_everything_escaped(world, as_):
    repository(world, "data")
    made = commit(world, world.ada, "data", HOSTILE)
    page = f"/lab/repositories/data/commits/{made.snapshot}"
    assert "the first" in as_("ada").get(page).text
    record = repositories.get(world.db, "lab", "data")
    grid = Grid(across="time", rows=("0090",))
    array = ArrayChange(path=f"/{HOSTILE}", kind="changed", chunks_changed=1, chunks_total=4, shape=(4,), grid=grid)
    diffs.put(world.db, record.id, made.snapshot, Diff(before="S0", after=made.snapshot, arrays=(array,)))
    text = as_("ada").get(page).text
    assert "1 of 4 chunks" in text
    assert "<svg" in text[text.index("What it changed") :]
    assert HOSTILE not in text
    assert as_("ada").get("/lab/repositories/data/commits/none").status_code == 404


def test_budgets_and_what_one_was_told_of_them_are_on_the_page_of_costs(world, as_):
    scope = NewScope(kind="user", name="bo")
    budgets.create(world.db, world.ada, "lab", NewBudget(name="bo-alone", scope=scope, limit=1000))
    request = ClusterRequest(environment_hash=world.environment_hash, spec=ClusterSpec(n_workers=0))
    clusters.create(world.db, world.settings, world.bo, "lab", request)
    for page in ("/lab", "/lab/costs"):
        text = " ".join(as_("bo").get(page).text.split())
        assert "50 % of the budget &#39;bo-alone&#39; (user bo, 0.0010 EUR in all)" in text
    assert "bo-alone<small>user bo</small>" in text
    assert "50 %" not in as_("eve").get("/other/costs").text
