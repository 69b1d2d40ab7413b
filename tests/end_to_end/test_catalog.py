"""The catalog over a real server: found in Python, through STAC, Intake and MCP, and seen in the console."""

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import intake
import numpy as np
import pystac_client
import pytest
import xarray as xr
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from pystac.validation.local_validator import LocalValidator

import amasia
from amasia import errors
from amasia.api.stac import Search
from amasia.client import datasets
from tests.catalogs import Catalog, filled


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Catalog]:
    with filled(tmp_path_factory.mktemp("catalog"), data) as made:
        yield made


@pytest.fixture(autouse=True)
def _signed_in(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMASIA_PROFILE", str(catalog.profile))


def names(found: list) -> list[str]:
    return [f"{one.repository} {one.group}" for one in found]


def test_what_was_committed_is_found_by_words_variable_place_and_time() -> None:
    assert set(names(amasia.search())) == {"demo/ocean nemo", "demo/ocean icon", "demo/air /"}
    assert names(amasia.search("air temp")) == ["demo/air /"]
    assert names(amasia.search(variable="TOS")) == ["demo/ocean nemo"]
    assert names(amasia.search(standard_name="sea_surface_temperature")) == ["demo/ocean nemo"]
    assert "demo/air /" in names(amasia.search(bbox=(-100, 55, -90, 60)))
    assert "demo/air /" not in names(amasia.search(bbox=(0, 55, 10, 60)))
    assert names(amasia.search(since="2014-10-15", until="2014")) == ["demo/air /"]
    assert amasia.search("air", variable="tos") == []


def test_a_search_that_cannot_be_meant_says_what_can() -> None:
    with pytest.raises(errors.InvalidRequest, match="no time"):
        amasia.search(since="yesterday")
    with pytest.raises(errors.InvalidRequest, match="south at 60"):
        amasia.search(bbox=(0, 60, 10, 50))


def test_who_may_not_read_finds_nothing_and_is_told_nothing(catalog: Catalog) -> None:
    link = catalog.link(catalog.stranger)
    assert json.loads(link.send("GET", "/v1/datasets").content)["items"] == []
    with pytest.raises(errors.NotFound, match="no repository demo/air that eve may see"):
        link.send("GET", "/v1/workspaces/demo/repositories/air/dataset")
    assert json.loads(link.send("GET", "/stac/collections").content)["collections"] == []
    assert json.loads(catalog.link("").send("GET", "/stac/search").content)["features"] == []
    with pytest.raises(errors.NotSignedIn):
        catalog.link("").send("GET", "/stac/collections/demo:air")


def test_a_dataset_has_its_variables_its_picture_and_a_way_to_open_it() -> None:
    found = datasets.get("demo/air")
    (air,) = [one for one in found.variables if one.name == "air"]
    assert (air.dims, air.units) == (("time", "lat", "lon"), "degK")
    assert found.previews == ("air",)
    assert datasets.preview("demo/air", variable="air").startswith("<svg")
    scope: dict[str, object] = {}
    exec(found.code, scope)
    assert scope["ds"]["air"].shape == air.shape
    assert "<svg" in amasia.search("ncep")._repr_html_()


def test_pystac_client_reads_collections_items_and_pages(catalog: Catalog) -> None:
    headers = {"Authorization": f"Bearer {catalog.secret}"}
    stac = pystac_client.Client.open(f"{catalog.url}/stac", headers=headers)
    assert {one.id for one in stac.get_collections()} == {"demo:ocean", "demo:air"}
    (air,) = stac.get_collection("demo:air").get_items()
    assert air.id == "_root"
    assert air.properties["cube:variables"]["air"]["dimensions"] == ["time", "lat", "lon"]
    assert air.assets["data"].media_type == "application/vnd.zarr+icechunk"
    kwargs = air.assets["xarray"].extra_fields["xarray:open_kwargs"]
    assert xr.open_dataset(air.assets["xarray"].href, **kwargs)["air"].sizes["time"] > 1
    found = stac.search(bbox=[-100, 55, -90, 60], datetime="2014-10/2014-11", collections=["demo:air", "demo:ocean"])
    assert [one.collection_id for one in found.items()] == ["demo:air"]
    for method in ("GET", "POST"):
        assert len(list(stac.search(limit=1, method=method).items())) == 3
    assert [one.id for one in stac.search(ids=["icon"]).items()] == ["icon"]
    picture = httpx2.get(air.assets["thumbnail"].href, headers=headers)
    assert picture.headers["content-type"] == "image/svg+xml"


def test_items_and_collections_are_valid_stac(catalog: Catalog) -> None:
    link, schemas = catalog.link(), LocalValidator()
    for feature in json.loads(link.send("POST", "/stac/search", Search()).content)["features"]:
        schemas.item_validator().validate(feature)
    for one in json.loads(link.send("GET", "/stac/collections").content)["collections"]:
        schemas.collection_validator().validate(one)
    schemas.catalog_validator().validate(json.loads(link.send("GET", "/stac").content))


def test_intake_opens_every_source(catalog: Catalog, tmp_path: Path) -> None:
    text = catalog.link().send("GET", "/v1/workspaces/demo/intake.yml").text
    (tmp_path / "intake.yml").write_text(text)
    found = intake.from_yaml_file(str(tmp_path / "intake.yml"))
    assert sorted(found.entries) == ["air", "ocean_icon", "ocean_nemo"]
    assert found["air"].read()["air"].ndim == 3


def test_a_language_model_searches_describes_reads_and_is_bounded(catalog: Catalog) -> None:
    async def talk() -> None:
        headers = {"Authorization": f"Bearer {catalog.secret}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=200) as http,
            Client(streamable_http_client(f"{catalog.url}/mcp", http_client=http)) as client,
        ):
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"search", "describe", "read_slice", "preview"}
            answer = await client.call_tool("search", {"text": "air"})
            assert answer.structured_content["result"][0]["repository"] == "demo/air"
            answer = await client.call_tool("describe", {"repository": "demo/air"})
            assert answer.structured_content["dims"]["lat"] == 11
            place = {"repository": "demo/air", "variable": "air"}
            answer = await client.call_tool("read_slice", place | {"index": {"time": 0, "lat": [0, 2], "lon": [0, 4]}})
            expected = datasets_values(slice(0, 2), slice(0, 4))
            np.testing.assert_allclose(answer.structured_content["values"], expected, rtol=1e-6)
            answer = await client.call_tool("read_slice", place)
            assert answer.is_error
            assert "at most 10000" in answer.content[0].text
            answer = await client.call_tool("preview", {"repository": "demo/nothing"})
            assert answer.is_error
            assert "no repository" in answer.content[0].text

    anyio.run(talk)


def datasets_values(lat: slice, lon: slice) -> np.ndarray:
    return amasia.open_repo("demo/air").to_xarray()["air"].isel(time=0, lat=lat, lon=lon).values


@pytest.mark.parametrize("token", ["", "wrong"])
def test_mcp_asks_for_a_token(catalog: Catalog, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx2.post(f"{catalog.url}/mcp", headers=headers, json={})
    assert (answer.status_code, answer.json()["kind"]) == (401, "not-signed-in")


def test_pages_of_the_console_show_them(catalog: Catalog) -> None:
    with httpx2.Client(
        base_url=catalog.url, headers={"Cookie": f"amasia-{catalog.settings.port}={catalog.secret}"}
    ) as http:
        cards = http.get("/demo/datasets", params={"q": "air"})
        assert cards.status_code == 200
        assert "NCEP air temperature" in cards.text
        assert "nemo" not in cards.text
        page = http.get("/demo/datasets/air").text
        for part in (
            "Kalnay",
            "10.5065/D6TH8JZ2",
            "xr.open_dataset",
            "@misc{demo_air",
            "cff-version",
            "xr-wrap",
            "<svg",
        ):
            assert part in page
        assert "<style" not in page  # the page's policy would refuse it
        assert " style=" not in page
        assert http.get("/demo/datasets", params={"bbox": "1,2"}).status_code == 422
        assert ".xr-wrap" in http.get("/-/xarray.css").text


def test_a_removed_repository_leaves_the_catalog(catalog: Catalog) -> None:
    catalog.repository("brief")
    ds = xr.Dataset({"humidity": ("x", [1.0, 2.0, 3.0])})
    amasia.open_repo("demo/brief", mode="write").write(ds, "three numbers")
    catalog.describe()
    (found,) = amasia.search(variable="humidity")
    assert "no coordinates" in found.notes[0]
    amasia.repositories.delete("demo/brief")
    assert amasia.search(variable="humidity") == []
