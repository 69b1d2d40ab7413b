import httpx2
import pytest

from amasia import errors
from amasia.client.transport import Connection
from amasia.models.base import Page
from amasia.models.clusters import Cluster
from amasia.models.health import Health


@pytest.mark.parametrize("body", ["", "<html>Sign in to this network</html>", "[]", '{"ok": "perhaps"}'])
def test_an_answer_that_is_none_of_a_control_plane_is_one_error_in_words(body: str) -> None:
    link = Connection("http://hotel.example", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, text=body)))
    for ask in (lambda: link.get("/v1/health", Health), lambda: link.post("/v1/health", None, Health)):
        with pytest.raises(errors.Unavailable, match=r"hotel\.example/v1/health answered 200 and no Health") as told:
            ask()
        assert "Is that the address of a control plane" in told.value.cure
        assert "pydantic" not in str(told.value)


def test_an_item_of_a_list_that_is_none_is_named_by_its_place() -> None:
    link = Connection(
        "http://plane.example", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, text='{"items": [{}]}'))
    )
    with pytest.raises(errors.Unavailable, match=r"items\.0\.id: Field required"):
        link.get("/v1/x", Page[Cluster])
