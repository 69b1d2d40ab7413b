"""Published repositories, read by the tools of others from a real publishing process of a real control plane."""

import io
import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.client import accounts, arrays, publications, repositories, users, workspaces
from amasia.client.transport import Connection, connect
from amasia.models.repositories import Lease, LeaseRequest
from amasia.models.users import NewToken, SignIn
from tests.client.houses import House, house

pytest.importorskip("xpublish", reason="the publishing libraries are 700 MB: make test-publish")
requests = pytest.importorskip("requests", reason="make test-publish")

pytestmark = pytest.mark.timeout(240)

ALL = ("tiles", "edr", "opendap")
PNG = "width=256&height=256&f=image/png&style=raster/viridis"


class Site:
    """The publishing process of a house, as anybody's HTTP client sees it."""

    def __init__(self, made: House) -> None:
        self.base = f"http://127.0.0.1:{made.variables['AMASIA_PUBLISH_PORT']}"
        self.home = Path(made.variables["AMASIA_HOME"])
        self.token = json.loads((self.home / "first-user.json").read_text())["token"]

    def get(self, path: str, token: str | None = None, scheme: str = "Bearer", method: str = "GET") -> SimpleNamespace:
        token = self.token if token is None else token
        headers = {"Authorization": f"{scheme} {token}"} if token else {}
        asked = urllib.request.Request(f"{self.base}{path}", headers=headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=100) as answer:
                return SimpleNamespace(status=answer.status, body=answer.read(), headers=answer.headers)
        except urllib.error.HTTPError as error:
            return SimpleNamespace(status=error.code, body=error.read(), headers=error.headers)

    def refused(self, path: str, status: int, *words: str, token: str | None = None) -> None:
        """One error in our form that says these words."""
        answer = self.get(path, token)
        told = answer.body.decode()
        assert answer.status == status, told
        assert {"kind", "message", "cure"} <= set(json.loads(told)), told
        for word in words:
            assert word in told

    def until(self, path: str, status: int, seconds: float, token: str | None = None) -> None:
        end = time.monotonic() + seconds
        while (found := self._status(path, token)) != status:
            assert time.monotonic() < end, f"{path}: {found}"
            time.sleep(0.3)

    def _status(self, path: str, token: str | None) -> int:
        try:
            return int(self.get(path, token).status)
        except OSError:  # it starts
            return 0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMASIA_PUBLISH_BYTES", str(8 << 20))
        with house(tmp_path_factory.mktemp("house")) as made:
            for key, value in made.variables.items():
                patch.setenv(key, value)
            prepare(data)
            yield made


def prepare(data: Path) -> None:
    """demo/lake with what each protocol can and cannot serve; demo/open for everybody; demo/shut for nobody."""
    for name in ("lake", "open", "shut"):
        repositories.create(f"demo/{name}")
    lake = arrays.open_repo("demo/lake", mode="write")
    files = ["reanalysis/air.nc", "mesh/triangular_grid_ICON.nc", "climatology/etopo20.cdf",
             "mesh/tas_rotated_grid_EUR11.nc",
             "satellite/ascat_20150702_084200_metopa_45145_eps_o_250_2300_ovw.l2.nc"]  # fmt: skip
    lake.ingest([data / file for file in files])
    lake.write(odd(), "odd types", group="deep/odd")
    lake.write(big(), "more than a request may take", group="big")
    arrays.open_repo("demo/open", mode="write").ingest([data / "reanalysis/air.nc"], group="air")
    publications.put("demo/lake", ALL)
    publications.put("demo/open", ["edr"], public=True)


def odd() -> xr.Dataset:
    """What DAP 2 has other words for, and names that begin with one another."""
    return xr.Dataset(
        {
            "t": ("x", np.arange(5, dtype="i2")),
            "t2m": (("x", "y"), np.arange(15, dtype="i8").reshape(5, 3) * 10**10),
            "flag": ("x", np.array([True, False, True, True, False])),
            "byte": ("y", np.array([-1, 2, 3], dtype="i1")),
            "name": ("y", np.array(["a", "", "Zurich"], dtype=object)),
            "height": ((), 2.0, {"units": "m", "range": [0.5, 1.5], "note": 'say "hi"\n\\there'}),
        }
    )


def big() -> xr.Dataset:
    grid = {"time": np.arange(40), "lat": np.linspace(-80, 80, 161), "lon": np.arange(360.0)}
    values = np.ones((40, 161, 360), "f4")
    ds = xr.Dataset({"v": (("time", "lat", "lon"), values)}, grid)
    ds.lat.attrs, ds.lon.attrs = {"units": "degrees_north", "axis": "Y"}, {"units": "degrees_east", "axis": "X"}
    return ds


@pytest.fixture(scope="module")
def site(up: House) -> Site:
    made = Site(up)
    made.until("/", 200, 60)
    return made


@pytest.fixture(autouse=True)
def _profile(up: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in up.variables.items():
        monkeypatch.setenv(key, value)


@pytest.fixture
def air(data: Path) -> xr.Dataset:
    return xr.open_dataset(data / "reanalysis/air.nc", engine="h5netcdf")


def dap(site: Site, group: str) -> xr.Dataset:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {site.token}"
        url = site.base.replace("http", "dap2")
        store = xr.backends.PydapDataStore.open(f"{url}/demo/lake/{group}/opendap", session=session)
        return xr.open_dataset(store)


# Who may


def test_what_is_not_published_is_not_there(site: Site) -> None:
    for name in ("shut", "nowhere"):
        site.refused(f"/demo/{name}/opendap.dds", 404, f"No repository demo/{name} is published")
        site.refused(f"/demo/{name}/opendap.dds", 404, token="")


def test_a_protocol_that_is_not_on_is_not_there(site: Site) -> None:
    site.refused("/demo/open/air/opendap.dds", 404, "not published by opendap", "It is by: edr")
    site.refused("/demo/open/air/tiles/", 404, "not published by tiles")


def test_without_a_token_only_what_is_public_is_read(site: Site) -> None:
    answer = site.get("/demo/lake/air/opendap.dds", token="")
    assert answer.status == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    site.refused("/demo/lake/air/opendap.dds", 401, token="ama_wrong")
    assert site.get("/demo/open/air/edr/position?coords=POINT(260%2060)", token="").status == 200


def test_a_member_reads_and_a_stranger_learns_nothing(site: Site) -> None:
    for name in ("mia", "sam"):
        users.create(name, "long enough")
    workspaces.set_member("mia", "viewer", "demo")
    mia, sam = (sign_in(name) for name in ("mia", "sam"))
    assert site.get("/demo/lake/air/opendap.dds", mia).status == 200
    site.refused("/demo/lake/air/opendap.dds", 404, token=sam)


def test_tools_that_know_only_passwords_send_the_token_as_one(site: Site) -> None:
    sent = b64encode(f"any:{site.token}".encode()).decode()
    assert site.get("/demo/lake/air/opendap.dds", sent, "Basic").status == 200
    assert site.get("/demo/lake/air/opendap.dds", "%%%", "Basic").status == 401


def test_the_publishers_own_token_reads_what_is_published_and_does_nothing_else(site: Site) -> None:
    link = Connection(connect().url, accounts.create_token("mine", scope="publish").secret)
    assert link.post("/v1/publications/demo/lake/credentials", None, Lease).mode == "read"
    for ask in (
        lambda: link.post("/v1/publications/demo/shut/credentials", None, Lease),
        lambda: link.post("/v1/workspaces/demo/repositories/lake/credentials", LeaseRequest(), Lease),
        lambda: link.get("/v1/workspaces/demo/publications", Lease),
        lambda: link.get("/v1/me", Lease),
    ):
        with pytest.raises(errors.AmasiaError, match=r"published|A token of scope 'publish'"):
            ask()


def test_off_is_off_within_seconds_and_on_again(site: Site) -> None:
    publications.delete("demo/open")
    site.until("/demo/open", 404, 8, token="")
    publications.put("demo/open", ["edr"], public=True)
    site.until("/demo/open", 200, 8, token="")


# What it says


def test_the_address_of_a_repository_says_what_is_there(site: Site) -> None:
    told = json.loads(site.get("/demo/lake").body)
    assert told["groups"]["deep/odd"]["opendap"] == f"{site.base}/demo/lake/deep/odd/opendap"
    assert {"air", "big", "deep/odd", "etopo20"} < set(told["groups"])
    assert publications.get("demo/lake").addresses["edr"] == f"{site.base}/demo/lake/edr"


def test_a_new_commit_is_served_within_seconds(site: Site) -> None:
    before = json.loads(site.get("/demo/lake").body)["snapshot"]
    arrays.open_repo("demo/lake", mode="write").write(odd() * 2, "another", group="fresh")
    site.until("/demo/lake/fresh/opendap.dds", 200, 8)
    assert json.loads(site.get("/demo/lake").body)["snapshot"] != before


def test_nobody_sends_bodies(site: Site) -> None:
    assert site.get("/demo/lake/air/edr/position?coords=POINT(260%2060)", method="POST").status == 405


# OPeNDAP


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("air", "reanalysis/air.nc"),
        ("triangular_grid_ICON", "mesh/triangular_grid_ICON.nc"),
        ("tas_rotated_grid_EUR11", "mesh/tas_rotated_grid_EUR11.nc"),
        (
            "ascat_20150702_084200_metopa_45145_eps_o_250_2300_ovw",
            "satellite/ascat_20150702_084200_metopa_45145_eps_o_250_2300_ovw.l2.nc",
        ),
    ],
)
def test_a_file_read_by_opendap_equals_the_file(site: Site, data: Path, group: str, file: str) -> None:
    ds, own = dap(site, group), arrays.open_repo("demo/lake").to_xarray(group)
    assert set(own.variables) == set(ds.variables)
    for name in set(own.variables) - {"rotated_pole"}:  # a character without a value
        np.testing.assert_array_equal(ds[name].values, own[name].values, err_msg=name)
        assert ds[name].dims == own[name].dims
        assert ds[name].attrs.get("units") == own[name].attrs.get("units")


def test_parts_and_strides_are_those_that_were_asked_for(site: Site, air: xr.Dataset) -> None:
    for part in ({"time": slice(3, 90, 7), "lat": 4}, {"lon": slice(20, 21)}, {"time": -1, "lat": slice(0, 9, 4)}):
        np.testing.assert_array_equal(dap(site, "air").air.isel(part).values, air.air.isel(part).values)


def test_types_that_dap_does_not_know_come_as_the_next_wider(site: Site) -> None:
    ds = dap(site, "deep/odd").load()
    for name in ("t", "t2m", "flag", "byte", "height"):
        np.testing.assert_array_equal(ds[name].values, odd()[name].values.astype("f8"), err_msg=name)
    assert [each.decode() if isinstance(each, bytes) else each for each in ds.name.values] == ["a", "", "Zurich"]
    assert ds.height.attrs["range"] == [0.5, 1.5]
    np.testing.assert_array_equal(ds.t.values, odd().t.values)  # and not t2m's, whose name begins so


@pytest.mark.parametrize("query", ["nope", "air[0]", "air[0][0][99]", "air[a]", "air[5:2][0][0]", "air&air>3", "air["])
def test_a_constraint_that_cannot_be_meant_is_refused(site: Site, query: str) -> None:
    site.refused(f"/demo/lake/air/opendap.dods?{query}", 422)


# EDR


def test_a_position_equals_xarrays_selection(site: Site, air: xr.Dataset) -> None:
    path = "/demo/lake/air/edr/position?coords=POINT(262.2%2061)&parameter-name=air&f=netcdf"
    found = xr.open_dataset(io.BytesIO(site.get(path).body))
    wanted = air.air.sel(lon=262.2, lat=61, method="nearest")
    np.testing.assert_array_equal(found.air.values.squeeze(), wanted.values)


def test_an_area_equals_xarrays_selection(site: Site, air: xr.Dataset) -> None:
    corners = "POLYGON((259%2059,266%2059,266%2066,259%2066,259%2059))"
    path = f"/demo/lake/air/edr/area?coords={corners}&datetime=2014-10-02T06:00:00&parameter-name=air"
    told = json.loads(site.get(path).body)
    wanted = air.air.sel(time="2014-10-02T06:00:00", lat=slice(66, 59), lon=slice(259, 266))
    assert wanted.size == 9
    assert sorted(told["ranges"]["air"]["values"]) == pytest.approx(sorted(wanted.values.ravel()))


def test_a_cube_equals_xarrays_selection(site: Site, air: xr.Dataset) -> None:
    path = "/demo/lake/air/edr/cube?bbox=259,59,266,66&datetime=2014-10-02T06:00:00&f=netcdf"
    found = xr.open_dataset(io.BytesIO(site.get(path).body))
    wanted = air.air.sel(time="2014-10-02T06:00:00", lat=slice(66, 59), lon=slice(259, 266))
    np.testing.assert_array_equal(found.air.squeeze().sortby("lat").values, wanted.sortby("lat").values)


def test_the_collections_links_lead_to_it(site: Site) -> None:
    told = json.loads(site.get("/demo/lake/air/edr/").body)
    href = told["data_queries"]["position"]["link"]["href"]
    assert href.startswith(f"{site.base}/demo/lake/air/edr/position")


@pytest.mark.parametrize("group", ["triangular_grid_ICON", "deep/odd", "tas_rotated_grid_EUR11"])
def test_grids_without_axes_of_longitude_and_latitude_are_refused_in_words(site: Site, group: str) -> None:
    answer = site.get(f"/demo/lake/{group}/edr/position?coords=POINT(10%2050)")
    if group == "tas_rotated_grid_EUR11":
        assert answer.status == 200, answer.body  # its axes are a rotated pole's, which the library projects
    else:
        assert answer.status == 422
        assert "cannot serve this grid" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("query", ["position?coords=POINT(", "position", "position?coords=POINT(1%201)&f=doc",
                                   "position?coords=POINT(260%2060)&datetime=never",
                                   "position?coords=POINT(260%2060)&crs=nope", "cube?bbox=1,2",
                                   "position?coords=POINT(260%2060)&nope=1"])  # fmt: skip
def test_a_question_that_cannot_be_meant_is_refused(site: Site, query: str) -> None:
    assert 400 <= site.get(f"/demo/lake/air/edr/{query}").status < 500


# Tiles


def test_a_tile_shows_the_data(site: Site, data: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = f"/demo/lake/etopo20/tiles/WebMercatorQuad/0/0/0?variables=ROSE&colorscalerange=-1,1&{PNG}"
    answer = site.get(path)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "image/png"
    pixels = np.asarray(image.open(io.BytesIO(answer.body)).convert("RGB")).astype(int)
    assert pixels.shape == (256, 256, 3)
    yellow, violet = pixels[:, :, 0] > 200, pixels[:, :, 0] < 100  # viridis: high land, low sea
    row, columns = pixel(47, [10, 90, -150, -40])
    assert [bool(yellow[row, column]) for column in columns] == [True, True, False, False]
    assert [bool(violet[row, column]) for column in columns] == [False, False, True, True]


def pixel(lat: float, lons: list[float]) -> tuple[int, list[int]]:
    """(row, columns) of places on the one tile of the world."""
    north = np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)) / np.pi
    return int(128 * (1 - north)), [int(128 * (1 + lon / 180)) for lon in lons]


def test_a_web_map_is_told_where_the_tiles_are(site: Site) -> None:
    told = json.loads(site.get(f"/demo/lake/etopo20/tiles/WebMercatorQuad/tilejson.json?variables=ROSE&{PNG}").body)
    assert told["tiles"][0].startswith(f"{site.base}/demo/lake/etopo20/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}")
    assert site.get("/demo/open", token="").headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("group", ["tas_rotated_grid_EUR11", "deep/odd"])
def test_a_grid_that_no_tile_can_show_is_refused_in_words(site: Site, group: str) -> None:
    name = {"tas_rotated_grid_EUR11": "tas", "deep/odd": "t2m"}[group]
    path = f"/demo/lake/{group}/tiles/WebMercatorQuad/0/0/0?variables={name}&colorscalerange=0,1&{PNG}"
    site.refused(path, 422, "cannot serve this grid")


@pytest.mark.parametrize(
    ("old", "new"), [("=air", "=nope"), ("width=256", "width=25600"), ("f=", "time=never&f="), ("/png", "/bmp")]
)
def test_a_tile_that_cannot_be_meant_is_refused(site: Site, old: str, new: str) -> None:
    query = f"variables=air&colorscalerange=0,1&{PNG}".replace(old, new)
    site.refused(f"/demo/lake/air/tiles/WebMercatorQuad/0/0/0?{query}", 422)


# Bounds


@pytest.mark.parametrize("path", ["opendap.dods?v", "edr/cube?bbox=0,-90,360,90"], ids=["opendap", "cube"])
def test_a_request_that_asks_for_too_much_is_refused(site: Site, path: str) -> None:
    site.refused(f"/demo/lake/big/{path}", 422, "too-large", "Ask for less")
    assert site.get("/demo/lake/big/opendap.dods?v[0][0][0]").status == 200


def test_nothing_of_all_this_was_a_bug(site: Site) -> None:
    log = (site.home / "logs" / "publishing.log").read_text()
    assert '"event": "bug"' not in log
    assert site.token not in log


def sign_in(name: str) -> str:
    made = connect().post("/v1/sign-in", SignIn(name=name, password="long enough"), NewToken)
    return made.secret
