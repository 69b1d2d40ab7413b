from amasia.models.publications import Protocol, PublicationRequest
from amasia.services import publications

from .conftest import repository


def test_the_page_of_a_repository_says_where_others_read_it(world, as_):
    repository(world, "data")
    page = as_("bo").get("/lab/repositories/data").text
    assert "Published" not in page
    publications.put(world.db, world.ada, "lab", "data", PublicationRequest(protocols=(Protocol.edr,), public=True))
    page = as_("bo").get("/lab/repositories/data").text
    assert "For everybody" in page
    assert "http://127.0.0.1:8644/lab/data/edr" in page
    assert "opendap" not in page
