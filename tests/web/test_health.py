"""The operators' page: how the control plane is, and the door to what tenants keep stays shut."""

import pytest

from amasia.models.repositories import RepositoryRequest
from amasia.models.users import UserRequest
from amasia.services import repositories, users


@pytest.fixture
def operator(world, as_):
    users.create(world.db, None, UserRequest(name="oz", password="oz's password", operator=True))
    return as_("oz")


def test_an_operator_sees_counts_and_no_data(world, operator):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="secret-data"))
    page = operator.get("/-/health")
    assert page.status_code == 200
    assert "lab" in page.text
    assert "secret-data" not in page.text
    assert "Health of the control plane" in operator.get("/-/account").text


@pytest.mark.parametrize("page", ["", "/costs", "/people", "/audit", "/repositories", "/datasets", "/views"])
def test_an_operator_who_is_no_member_finds_no_workspace(operator, page):
    assert operator.get(f"/lab{page}").status_code == 404


def test_the_page_is_for_operators(as_):
    assert as_("bo").get("/-/health").status_code == 403
    assert "/-/health" not in as_("bo").get("/-/account").text
