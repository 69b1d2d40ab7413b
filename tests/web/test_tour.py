"""Every page of the console at two widths, light and dark: it fits, everybody can use it, and it asks nobody else."""

import re
import shutil
import sqlite3
from datetime import timedelta
from types import SimpleNamespace

import pytest
import xarray as xr

from amasia.database import machines as machine_rows
from amasia.database.engine import Database
from amasia.database.tables import metadata
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, NewBudget, NewScope
from amasia.models.datasets import Contents
from amasia.models.devices import DeviceRequest
from amasia.models.diffs import ArrayChange, Diff, Grid
from amasia.models.diffs import Span as Stretch
from amasia.models.egress import EgressRequest
from amasia.models.grants import AccountRequest, GroupRequest, Level
from amasia.models.health import Round
from amasia.models.locations import Finding, LocationRequest, Offer
from amasia.models.machines import Metrics
from amasia.models.permissions import Role
from amasia.models.publications import Protocol, PublicationRequest
from amasia.models.repositories import BucketRequest
from amasia.models.secrets import SecretRequest
from amasia.models.standbys import StandbyRequest
from amasia.models.users import TokenRequest
from amasia.models.views import Applied, ClaimRequest, RefreshDone, ViewRequest
from amasia.providers.aws_offers import SEED, SEED_DATE, SEED_PER_CPU
from amasia.services import (
    budgets,
    clusters,
    datasets,
    devices,
    diffs,
    egress,
    grants,
    groups,
    locations,
    publications,
    refreshes,
    repositories,
    secrets,
    service_accounts,
    standbys,
    storage,
    users,
    views,
)
from amasia.settings import ServerSettings
from amasia.stores.describing import datasets as describing
from tests.browsers import IMAGES, WIDTHS, barriers, document, new_window, picture, sideways
from tests.conftest import KEY, world_of

from .conftest import charge, repository, serving, sign_in, site_of, tell

PAGES = {
    "sign-in": "/-/sign-in",
    "invitation": "/-/invitation",
    "home": "/{workspace}",
    "cluster": "/{workspace}/clusters/{name}",
    "repositories": "/{workspace}/repositories",
    "repository": "/{workspace}/repositories/{name}",
    "commit": "/{workspace}/repositories/{name}/commits/{snapshot}",
    "views": "/{workspace}/views",
    "view": "/{workspace}/views/{name}",
    "datasets": "/{workspace}/datasets",
    "dataset": "/{workspace}/datasets/{name}",
    "locations": "/{workspace}/locations",
    "location": "/{workspace}/locations/{name}",
    "costs": "/{workspace}/costs",
    "budgets": "/{workspace}/budgets",
    "people": "/{workspace}/people",
    "secrets": "/{workspace}/secrets",
    "audit": "/{workspace}/audit",
    "account": "/-/account",
    "device": "/-/device",
    "health": "/-/health",
}
"""The route of each, which is in the documentation under this name."""
LEAD_ON = {
    "/",
    "/-/sign-in/{name}",
    "/-/sign-in/{name}/callback",
    "/-/account/linked",
    "/-/xarray.css",
    "/{workspace}/clusters/{name}/dashboard",
}
"""Routes without a page of their own."""
NAMES = {"cluster": "climatology", "view": "normals", "location": "europe", "dataset": "air"}


WORDS = re.compile(
    r"(?<![\w.-])(lab|ada|bo|climatology|bo-hindcast|bo-3f9a1c|reanalysis|radar|air|normals|wet-days|hall|europe|local|"
    r"ocean|nightly|cron|laptop|store|era5|large|node03|COPERNICUS_KEY|EARTHDATA_TOKEN)(?![\w-])"
)
"""All that somebody named there."""
OURS = {"provider", "kind", "cut", "wrapped"}
"""Columns of words that are nobody's names."""
STILL = {"sign-in", "invitation", "device", "commit"}
"""Pages on which nothing changes: a commit is the same for ever, once it was compared."""


class Lab:
    """A workspace with something on every page, where its console is, and what its pages are called."""

    def __init__(self, world, url, routes, snapshot, code, called=str):
        self.world, self.url, self.routes = world, url, routes
        self._snapshot, self._code, self._called = snapshot, code, called

    def path(self, page):
        name = self._called(NAMES.get(page, "climatology"))
        path = PAGES[page].format(workspace=self._called("lab"), name=name, snapshot=self._snapshot)
        return f"{path}?code={self._code}" if page == "device" else path

    def at(self, url, called):
        """The same elsewhere, where its things are called otherwise."""
        return Lab(self.world, url, self.routes, self._snapshot, self._code, called)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, _sqlite_template, data):
    home = tmp_path_factory.mktemp("lab")
    shutil.copy(_sqlite_template, home / "amasia.db")
    db = Database(f"sqlite:///{home / 'amasia.db'}", KEY)
    world = world_of(db, ServerSettings(home=home, lease_seconds=60))
    with xr.open_dataset(data / "reanalysis" / "air.nc") as air:
        code, snapshot = furnish(world, air)
    site = site_of(world)
    loops = (("machines", 0.5), ("clusters", 0.5), ("locations", 30), ("repositories", 2), ("storage", 600))
    rounds = [Round(name=name, seconds=seconds, age=seconds / 3) for name, seconds in loops]
    console = site.router.routes[-1].app.app
    console.state.health, console.state.rounds = lambda: ("http://127.0.0.1:8333", {}), lambda: rounds
    included = [getattr(one, "original_router", None) for one in console.router.routes]
    routes = {route.path for router in included if router for route in router.routes if "GET" in route.methods}
    with serving(site) as url:
        yield Lab(world, url, routes, snapshot, code)
    db.close()


def furnish(world, air):
    """All that pages show, by the services alone; a device's code and a snapshot."""
    main = tell(world)
    locate(world)
    describe(world, air)
    snapshot = change(world)
    keep_current(world, main)
    spend(world, main)
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    groups.add(world.db, world.ada, "lab", "ocean", "bo")
    service_accounts.create(world.db, world.ada, "lab", AccountRequest(name="nightly", role="member"))
    service_accounts.create_token(world.db, world.ada, "lab", "nightly", TokenRequest(label="cron"))
    users.create_token(world.db, world.ada, TokenRequest(label="laptop"))
    for name, grantee in (("COPERNICUS_KEY", "everyone"), ("EARTHDATA_TOKEN", "user:ada")):
        secrets.put(world.db, world.ada, Role.owner, "lab", name, SecretRequest(value="a secret", grantee=grantee))
    asked = devices.begin(world.db, DeviceRequest(label="amasia login on laptop"), "192.0.2.7", "http://x")
    return asked.user_code, snapshot


def locate(world):
    """A hall of the institute's own hosts, one of them lost, and a region of AWS at the prices of our own list."""
    hall = LocationRequest(name="hall", provider="ssh", region="basement", secrets={"key": "k"}, max_machines=24)
    europe = LocationRequest(name="europe", provider="aws", region="eu-central-1", secrets={"key": "k"})
    made = [locations.create(world.db, world.ada, "lab", one) for one in (hall, europe)]
    found = [
        Finding(subject="hall", what="2 of 3 hosts answer", ok=True),
        Finding(subject="node03", what="no route to host", ok=False, cure="Is it on? Try: ssh root@node03"),
    ]
    slots = [Offer(type="slot", cpus=4, memory=16 << 30, price=60_000, price_source="the location's options")]
    locations.checked(world.db, made[0], found, slots)
    well = (
        "the key may start, tag and end machines",
        "the subnets have 8,142 free addresses",
        "the quota is 256 vCPUs",
    )
    locations.checked(world.db, made[1], [Finding(subject="europe", what=one, ok=True) for one in well], instances())
    local = locations.get(world.db, "lab", "local")
    ours = [one.model_copy(update={"price_source": "the location's options"}) for one in local.offers]
    locations.offered(world.db, local, ours)
    standbys.put(world.db, world.ada, "lab", "local", "large", StandbyRequest(machines=2, hours=8))
    standbys.follow(world.db, world.settings)


def instances():
    """As AWS sold them when our own list was written; a spot machine is about a third of it."""
    source, offers = f"our list of {SEED_DATE}", []
    for family, price in SEED_PER_CPU.items():
        for size, cpus in (("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32)):
            memory = {"c": 2, "m": 4, "r": 8}[family[0]] * cpus
            offers.append(Offer(type=f"{family}.{size}", cpus=cpus, memory=memory << 30, price=price * cpus,
                                arch="aarch64" if family.endswith("g") else "x86_64", price_source=source,
                                spot_price=price * cpus * 36 // 100))  # fmt: skip
    for name, price in SEED.items():
        cpus = 8 if "2xl" in name else 4
        offers.append(Offer(type=name, cpus=cpus, memory=cpus * 4 << 30, price=price, price_source=source, gpus=1,
                            gpu="a10g" if name.startswith("g5") else "l4"))  # fmt: skip
    return offers


def describe(world, air):
    """Real data in the catalog, as its process describes them."""
    repository(world, "air", "Four times a day, 2013 and 2014")
    attributes = {"title": "NCEP air temperature", "creator": "Kalnay, E.; Kanamitsu, M.", "license": "CC-BY-4.0",
                  "doi": "10.5065/D6TH8JZ2", "institution": "NOAA"}  # fmt: skip
    means = air.groupby("time.month").mean().assign_attrs(title="Monthly means of air temperature")
    for name, ds in (("air", air.assign_attrs(attributes)), ("climatology", means)):
        found = repositories.get(world.db, "lab", name)
        content = describing.of_dataset(ds)
        datasets.described(world.db, found, "S1", now(), Contents(snapshot="S1", groups=(content,)))
    record = repositories.get(world.db, "lab", "air")
    grants.put(world.db, world.ada, record, "user:bo", Level.write)
    wanted = PublicationRequest(protocols=(Protocol.edr, Protocol.opendap), public=True)
    publications.put(world.db, world.ada, "lab", "climatology", wanted)


def change(world):
    """What the newest commit of the climatology changed, and what its snapshots take up."""
    record = repositories.get(world.db, "lab", "climatology")
    newest, first = repositories.commits(world.db, "lab", "climatology")
    changed = (("t2m", 24, ("999000000000",) * 8), ("tp", 76, ("999864210000",) * 8))
    arrays = tuple(
        ArrayChange(path=f"/{name}", kind="changed", dims=("month", "lat", "lon"), shape=(12, 721, 1440),
                    shape_before=(12, 721, 1440), chunks=(1, 91, 1440), dtype="float32", dtype_before="float32",
                    chunks_changed=chunks, chunks_total=96,
                    spans=(Stretch(dim="month", size=12, stretches=((0, chunks // 8),)),),
                    grid=Grid(across="month", down="lat", rows=rows))
        for name, chunks, rows in changed
    )  # fmt: skip
    diffs.put(world.db, record.id, newest.snapshot, Diff(before=first.snapshot, after=newest.snapshot, arrays=arrays))
    for snapshot in (newest.snapshot, first.snapshot):
        storage.sized(world.db, record.id, snapshot, 190 << 20, 188 << 20)
    for days in (30, 0):
        storage.measured(world.db, record, 20_000, 412 << 20, 96, 376 << 20, now() - timedelta(days=days))
    return newest.snapshot


def keep_current(world, cluster):
    """A view that was refreshed once, and one whose function fails."""
    for name, target, plan in (
        ("normals", "climatology", "mean over month: sums and counts are kept, so each new month of t2m is added to 12 "
                                   "rows of the target, and nothing else is read."),
        ("wet-days", "radar", ""),
    ):  # fmt: skip
        request = ViewRequest(name=name, source="lab/reanalysis", target=f"lab/{target}", along="time", kind="resample",
                              plan=plan, function="Zm9v", environment_hash=world.environment_hash)  # fmt: skip
        views.create(world.db, world.ada, "lab", request)
    source = repositories.commits(world.db, "lab", "reanalysis")[-1].snapshot
    computed = ("t2m month[0:12]", "tp month[0:12]")
    applied = Applied(source_snapshot=source, target_snapshot="T1", whole=True, computed=computed,
                      skipped="everything was computed: it is new")  # fmt: skip
    for name, done in (
        ("normals", {"snapshot": source, "applied": (applied,)}),
        ("wet-days", {"reason": "KeyError: 'rain_rate' (line 4 of views.py, in wet_days)"}),
    ):
        claim = refreshes.claim(world.db, world.ada, "lab", name, ClaimRequest())
        refreshes.finish(world.db, world.ada, "lab", name, claim.refresh.id, RefreshDone(secret=claim.secret, **done))


def spend(world, cluster):
    """A month of charges, a budget of somebody's own, and a cluster that does nothing."""
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=60_000_000))
    for days_ago in range(1, 30):
        amount = 300_000 + 180_000 * (days_ago * 5 % 7)
        charge(world, cluster, amount, 9_000_000, days_ago=days_ago, project="era5" if days_ago % 3 else "radar")
    for name, scope, period, limit, hard in (
        ("bo", NewScope(kind="user", name="bo"), "month", 20_000_000, True),
        ("era5", NewScope(kind="tag", name="project=era5"), "total", 40_000_000, False),
    ):
        wanted = NewBudget(name=name, scope=scope, period=period, limit=limit, hard=hard)
        budgets.create(world.db, world.ada, "lab", wanted)
    request = BucketRequest(name="store", kind="s3", uri="s3://lab-store", access_key="a", secret_key="s")
    repositories.create_bucket(world.db, world.ada, "lab", request)
    (first, *_) = cluster.machines
    with world.db.write() as tx:
        machine_rows.update(tx, first.id, handle={**first.handle, "instance": "i-0abc"})
    amounts = {"i-0abc": {now().date(): 410_000}, "lab-store": {now().date(): 1_280_000}}
    egress.take(world.db, world.ada, "lab", EgressRequest(currency="EUR", amounts=amounts))
    (idle,) = [one for one in clusters.find(world.db, "lab", live=True) if one.name == "climatology"]
    with world.db.write() as tx:
        for machine in idle.machines:
            machine_rows.update(tx, machine.id, metrics=Metrics(memory=700 << 20, memory_limit=1 << 30, cpu=0.82,
                                idle_seconds=780, watched_seconds=9000))  # fmt: skip


@pytest.fixture(params=WIDTHS)
def visitor(request, chromium, lab):
    """A window at one of the widths, before anybody signed in."""
    window = new_window(chromium, lab.url, (request.param, "light"))
    yield window
    window.context.close()


def test_every_page_is_readable_by_everybody_at_each_width_in_light_and_dark(visitor, lab):
    said, asked, found = [], [], {}
    visitor.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    visitor.on("pageerror", lambda error: said.append(f"error: {error}"))
    visitor.on("request", lambda sent: asked.append(sent.url))
    for page in PAGES:
        if page == "home":
            sign_in(visitor)
        visitor.goto(lab.path(page))
        document(visitor, page)
        found[page] = [*sideways(visitor), *barriers(visitor)]
        visitor.emulate_media(color_scheme="dark")
        if page in ("home", "costs"):
            document(visitor, f"{page}-dark")
        found[page] += [f"dark: {one}" for one in barriers(visitor, "color-contrast")]
        visitor.emulate_media(color_scheme="light")
        assert visitor.locator("h1").count() == 1, page
    assert ({page: troubles for page, troubles in found.items() if troubles}, said) == ({}, [])
    assert {url for url in asked if not url.startswith(lab.url + "/")} == set()
    assert len(asked) > len(PAGES)


def test_every_page_of_what_changes_asks_again_by_itself(lab, open_window):
    window = open_window(lab.url)
    sign_in(window)
    found = {}
    for page in PAGES:
        window.goto(lab.path(page))
        found[page] = window.locator("#now[data-live]").count()
    assert {page for page, count in found.items() if not count} == STILL


def test_what_somebody_opened_on_the_page_of_a_dataset_stays_open_when_it_asks_again(lab, open_window):
    window = open_window(lab.url)
    sign_in(window)
    window.goto(lab.path("dataset"))
    window.get_by_text("BibTeX").click()
    (attributes,) = window.locator(".xr-section-item", has_text="Attributes").all()
    attributes.locator("label").first.click()
    assert window.get_by_text("@misc").is_visible()
    grants.put(lab.world.db, lab.world.ada, repositories.get(lab.world.db, "lab", "air"), "user:bo", Level.read)
    window.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    window.get_by_text("user:bo read").wait_for()
    assert window.get_by_text("@misc").is_visible()
    assert attributes.locator("input").first.is_checked()


@pytest.fixture(scope="module")
def long_lab(lab, tmp_path_factory):
    """The same, where everything that people name has the longest name that there may be, and nowhere to break it."""
    home = tmp_path_factory.mktemp("long")
    with sqlite3.connect(home / "amasia.db") as copy:
        with sqlite3.connect(lab.world.settings.home / "amasia.db") as original:
            original.backup(copy)
        copy.create_function("lengthen", 1, lambda text: WORDS.sub(lambda word: longest(word[0]), text))
        for (name,) in copy.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            copy.execute(f"drop trigger {name}")  # of what only grows
        for column in (one for table in metadata.sorted_tables for one in table.columns if one.name not in OURS):
            copy.execute(f'update "{column.table}" set "{column.name}" = lengthen("{column.name}") '
                         f'where typeof("{column.name}") = \'text\'')  # fmt: skip
    db = Database(f"sqlite:///{home / 'amasia.db'}", KEY)
    site = site_of(SimpleNamespace(db=db, settings=lab.world.settings))
    with serving(site) as url:
        yield lab.at(url, longest)
    db.close()


def longest(name):
    return name.ljust(63, "w")


@pytest.mark.parametrize("width", [360, 1000, 1280])
def test_the_longest_names_of_everything_fit_every_page(chromium, long_lab, width):
    window = new_window(chromium, long_lab.url, viewport={"width": width, "height": 800})
    found = {}
    for page in PAGES:
        if page == "home":
            window.goto("/")
            window.get_by_label("Name").fill(longest("ada"))
            window.get_by_label("Password").fill("ada's password")
            window.keyboard.press("Enter")
            window.wait_for_url(f"**/{longest('lab')}")
        answer = window.goto(long_lab.path(page))
        window.look = (page, str(width))
        picture(window, "long")
        found[page] = [*sideways(window)] + [answer.status] * (answer.status != 200)
    assert {page: troubles for page, troubles in found.items() if troubles} == {}


def test_every_page_that_there_is_is_on_the_tour_and_in_the_documentation(lab):
    assert lab.routes - LEAD_ON == set(PAGES.values())
    names = [*PAGES, "home-dark", "costs-dark"]
    wanted = {f"console-{name}-{width}.png" for name in names for width in WIDTHS}
    there = {path.name for path in IMAGES.glob("console-*.png")}
    assert there == wanted, "AMASIA_SCREENSHOTS=1 makes them anew"
    pages = "".join(path.read_text() for path in (IMAGES.parent).rglob("*.md"))
    assert {name for name in there if f"images/{name}" not in pages} == set()
