"""The pages of locations: what is missing, what runs there, and what machines cost."""

import re

import pytest

from amasia.models.locations import Finding, LocationRequest, Offer
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.models.workspaces import PolicyRequest
from amasia.services import locations, workspaces

from .conftest import start

OFFERS = (
    Offer(type="c4", cpus=4, memory=8 << 30, price=200_000, spot_price=70_000, price_source="a list of 2025-01"),
    Offer(type="c8", cpus=8, memory=16 << 30, price=400_000, spot_price=60_000),
    Offer(type="arm4", cpus=4, memory=16 << 30, price=160_000, arch="aarch64"),
    Offer(type="g1", cpus=4, memory=16 << 30, price=1_006_000, gpus=1, gpu="a10g"),
    Offer(type="odd", cpus=2, memory=4 << 30, price=None),
)


@pytest.fixture
def europe(world):
    request = LocationRequest(name="europe", provider="aws", region="eu-central-1", secrets={"key": "k"})
    made = locations.create(world.db, world.ada, "lab", request)
    findings = [
        Finding(subject="europe", what="the key may start machines", ok=True),
        Finding(subject="subnet-1", what="it has no way out", ok=False, cure="Give it a NAT gateway"),
    ]
    locations.checked(world.db, made, findings, OFFERS)
    return made


def types(text):
    table = text.partition('aria-label="Machine types and their prices"')[2]
    return re.findall(r'<th scope="row">([^<]+)<small>', table)


def test_a_location_says_what_is_missing_and_how_to_mend_it(world, as_, europe):
    for path in ("/lab/locations", "/lab/locations/europe"):
        text = as_("bo").get(path).text
        for told in ("it has no way out", "Give it a NAT gateway", "eu-central-1", "aws"):
            assert told in text, (path, told)
    assert "the key may start machines" in as_("bo").get("/lab/locations/europe").text


def test_what_runs_there_is_said_with_whose_it_is_and_what_it_costs(world, as_):
    made = start(world, world.bo, name="of-bo", workers=2)
    text = " ".join(as_("ada").get("/lab/locations").text.split())
    assert 'data-label="Machines now">3 of 64</td>' in text
    assert 'data-label="Per hour now">0.14 EUR</td>' in text
    text = " ".join(as_("ada").get("/lab/locations/local").text.split())
    assert text.count(f'<a href="/lab/clusters/{made.id}">of-bo</a>') == 3
    assert 'data-label="Whose">bo</td>' in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["arm4", "c4", "c8", "g1", "odd"]),
        ("cpus=4", ["arm4", "c4", "c8", "g1"]),
        ("cpus=4&memory=16", ["arm4", "c8", "g1"]),
        ("kind=gpu", ["g1"]),
        ("kind=aarch64", ["arm4"]),
        ("kind=spot&sort=spot", ["c8", "c4"]),
        ("sort=cpus", ["c8", "arm4", "c4", "g1", "odd"]),
        ("sort=memory", ["arm4", "c8", "g1", "c4", "odd"]),
        ("sort=type", ["arm4", "c4", "c8", "g1", "odd"]),
        ("cpus=99", []),
    ],
)
def test_machines_are_found_by_size_and_kind_and_the_best_is_first(as_, europe, query, found):
    assert types(as_("bo").get(f"/lab/locations/europe?{query}").text) == found


def test_prices_of_all_locations_stand_together_and_those_of_one_alone(as_, europe):
    text = as_("bo").get("/lab/locations?cpus=1&sort=price").text
    assert types(text) == ["small", "arm4", "c4", "large", "c8", "g1", "odd"]
    assert "7 of 7 machine types" in text
    assert types(as_("bo").get("/lab/locations?at=local").text) == ["small", "large"]
    assert "price from a list of 2025-01" in text
    assert ">unknown</td>" in text


@pytest.mark.parametrize("query", ["cpus=many", "memory=-1", "cpus=nan", "kind=x", "sort=x"])
def test_nonsense_is_told_beside_the_form(as_, europe, query):
    answer = as_("bo").get(f"/lab/locations?{query}")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'id="row-europe"' in answer.text


def test_a_long_list_is_read_page_by_page(world, as_, europe):
    many = [Offer(type=f"t{number:03}", cpus=1, memory=1 << 30, price=number) for number in range(90)]
    locations.checked(world.db, europe, [], many)
    path, seen = "/lab/locations/europe?cpus=1", []
    while path:
        text = as_("bo").get(path).text
        seen += types(text)
        more = re.search(r'<a href="(\?[^"]+)#prices">More', text)
        path = "/lab/locations/europe" + more[1].replace("&amp;", "&") if more else ""
    assert seen == [one.type for one in many]


def test_only_who_manages_the_workspace_has_it_checked_again(world, as_, europe):
    bo = as_("bo")
    assert "/check" not in bo.get("/lab/locations/europe").text
    assert bo.post("/lab/locations/europe/check").status_code == 403
    assert locations.get(world.db, "lab", "europe").status.value == "ready"
    ada = as_("ada")
    assert 'action="/lab/locations/europe/check"' in ada.get("/lab/locations/europe").text
    assert ada.post("/lab/locations/europe/check").headers["location"] == "/lab/locations/europe"
    assert "being checked" in ada.get("/lab/locations/europe").text
    assert ada.post("/lab/locations/none/check").status_code == 404


def test_a_region_that_the_workspace_does_not_allow_itself_is_said_to_be_none(world, as_, europe):
    policy = PolicyRequest(regions=("here",), confirm_above=5_000_000)
    workspaces.set_policy(world.db, world.ada, "lab", policy)
    text = " ".join(as_("bo").get("/lab/locations").text.split())
    row = text.partition('id="row-europe"')[2].partition("</tbody>")[0]
    assert "not allowed" in row
    assert "no other region" in text
    assert "may cost more than 5.00 EUR per hour is to be confirmed" in text


def test_who_runs_nothing_and_who_pays_only_see_no_locations(world, as_, europe):
    for role, status in ((Role.viewer, 200), (Role.billing, 403), (Role.auditor, 403), (Role.guest, 403)):
        workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=role))
        assert as_("bo").get("/lab/locations").status_code == status, role
        assert as_("bo").get("/lab/locations/europe").status_code == status, role
