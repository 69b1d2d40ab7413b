"""The provider of Google's machines keeps the contract: the real client against a stand-in of Compute Engine."""

import json

import pytest

from amasia import errors
from amasia.models import policies
from amasia.models.locations import Offer, Place
from amasia.providers.gcp import GcpProvider
from amasia.providers.gcp_offers import TYPES, seed_price
from amasia.providers.markets import SYSTEM
from amasia.testing.gce import PROJECT, REGION, ZONES, Gce
from tests.providers.clouds import CloudTests

TYPE, LARGER = "e2-standard-2", "e2-standard-4"


@pytest.fixture(scope="module")
def _gce():
    server = Gce()
    yield server, server.key()
    server.close()


@pytest.fixture
def cloud(_gce, monkeypatch):
    server, _ = _gce
    server.reset()
    for key, value in server.variables().items():
        monkeypatch.setenv(key, value)
    return server


@pytest.fixture
def place(_gce, cloud, tmp_path):
    return Place(
        workspace="demo",
        name="google",
        region=REGION,
        plane="0a1b2c3d4e5f",
        private_endpoints=True,
        options={
            "endpoint": cloud.url,
            "types": ["e2-*", "n2-standard-2", "c4a-*", "g2-*"],
            "prices": {TYPE: "0.5"},
        },
        secrets={"key": _gce[1]},
        home=tmp_path / "google",
    )


def with_options(place, **options):
    return place.model_copy(update={"options": place.options | options})


class TestGcpProvider(CloudTests):
    kind, larger, zones = TYPE, LARGER, ZONES
    right_to_end = "compute.instances.delete"
    open = GcpProvider
    rights = policies.GCP
    quiet, taken = "FALSE", "TRUE"

    def test_everything_is_said_in_the_one_request(self, provider, place):
        wish = self.machine()
        self.begin(provider, wish)
        body = self.cloud.running(wish.id)[0].body
        assert body["labels"]["amasia-machine"] == wish.id
        assert body["description"] == place.tag
        assert body["scheduling"]["maxRunDuration"] == {"seconds": str(168 * 3600)}
        assert body["scheduling"]["instanceTerminationAction"] == "DELETE"
        assert "accessConfigs" not in body["networkInterfaces"][0]
        assert body["disks"][0]["autoDelete"] is True
        assert body["disks"][0]["initializeParams"]["labels"] == body["labels"]
        assert body.get("serviceAccounts", []) == []
        assert body["shieldedInstanceConfig"]["enableVtpm"] is True
        script = next(one["value"] for one in body["metadata"]["items"] if one["key"] == "startup-script")
        assert script.startswith("#!/bin/sh")
        assert "poweroff=yes" in script

    def test_options_reach_the_request(self, place):
        asked = with_options(
            place, subnetwork="projects/p/regions/r/subnetworks/s", public_ip=True, service_account="w@p",
            network_tags=["t"], kms_key="projects/p/k", labels={"team": "sea"}, longest_hours=24, zones=[ZONES[2]],
        )  # fmt: skip
        wish = self.machine(spot=True)
        assert self.begin(GcpProvider(asked), wish)["zone"] == ZONES[2]
        body = self.cloud.running(wish.id)[0].body
        assert body["networkInterfaces"][0]["subnetwork"].endswith("/s")
        assert body["networkInterfaces"][0]["accessConfigs"]
        assert body["serviceAccounts"][0]["email"] == "w@p"
        assert body["disks"][0]["diskEncryptionKey"] == {"kmsKeyName": "projects/p/k"}
        assert body["labels"]["team"] == "sea"
        assert body["scheduling"]["provisioningModel"] == "SPOT"
        assert body["scheduling"]["onHostMaintenance"] == "TERMINATE"

    def test_arm_boots_an_arm_image_and_zones_without_a_type_are_not_asked(self, provider):
        wish = self.machine(machine_type="c4a-standard-2")
        self.begin(provider, wish)
        disk = self.cloud.running(wish.id)[0].body["disks"][0]["initializeParams"]
        assert disk["sourceImage"].endswith("arm64")
        assert disk["diskType"].endswith("hyperdisk-balanced")
        assert self.begin(provider, self.machine(machine_type="n2-standard-2"))["zone"] == ZONES[1]

    def test_a_name_that_is_taken_is_the_earlier_try(self, provider, tmp_path):
        """Notes and lists may both fail; the name holds."""
        wish = self.machine()
        self.cloud.faults.hidden = 60.0
        made = self.begin(provider, wish)
        elsewhere = GcpProvider(provider.place.model_copy(update={"home": tmp_path / "elsewhere"}))
        assert self.begin(elsewhere, wish) == made
        assert self.cloud.launched[wish.id] == 1

    def test_a_region_that_is_not_there_is_a_finding(self, place):
        found = GcpProvider(place.model_copy(update={"region": "europe-west99"})).check()
        assert [one.ok for one in found] == [True, False]
        assert "europe-west99" in found[1].what

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"type": "authorized_user"}, "authorized_user"),
            ({"token_uri": "https://elsewhere.example/token"}, "elsewhere"),
            ({"private_key": "none"}, "not complete"),
        ],
    )
    def test_a_key_that_is_none_or_leads_elsewhere_is_refused(self, place, changes, word):
        key = json.dumps(json.loads(place.secrets["key"]) | changes)
        with pytest.raises(errors.InvalidRequest, match=word):
            GcpProvider(place.model_copy(update={"secrets": {"key": key}}))

    def test_the_project_may_be_another_than_the_keys(self, place):
        assert GcpProvider(place).calls.project == PROJECT
        assert GcpProvider(with_options(place, project="other")).calls.project == "other"


def offer(kind, cpus, gib):
    return Offer(type=kind, cpus=cpus, memory=(gib << 30) - SYSTEM, price=None)


def test_seed_prices_follow_vcpus_and_memory_and_spot_is_at_most_so_much():
    seed = seed_price("us-central1", offer("e2-standard-4", 4, 16))
    assert seed.price == 134_023  # 0.134012 in Google's list, which rounds each part
    assert seed.spot == 53_610
    assert seed_price("us-central1", offer("n2-highmem-8", 8, 64)).price == 524_056
    assert seed_price("europe-west4", offer("e2-standard-4", 4, 16)) is None
    assert seed_price("us-central1", offer("e2-medium", 2, 4)) is None
    assert seed_price("us-central1", offer("c3-standard-4", 4, 16)) is None
    assert all(seed_price("us-central1", offer(kind, 2, 8)) for kind in TYPES)
