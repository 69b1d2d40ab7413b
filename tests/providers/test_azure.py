"""The provider of Azure's machines keeps the contract: the real client against a stand-in of its resource manager."""

import pytest

from amasia import errors
from amasia.models import policies
from amasia.models.locations import Offer, Place
from amasia.providers.azure import AzureProvider
from amasia.providers.azure_offers import TYPES, offer_of, seed_price
from amasia.testing.arm import GROUP, REGION, SUBNET, SUBSCRIPTION, Arm
from tests.providers.clouds import CloudTests

TYPE, LARGER = "standard_d2s_v5", "standard_d4s_v5"
ZONES = ("1", "2", "3")


@pytest.fixture(scope="module")
def _arm():
    server = Arm()
    yield server
    server.close()


@pytest.fixture
def cloud(_arm, monkeypatch):
    _arm.reset()
    for key, value in _arm.variables().items():
        monkeypatch.setenv(key, value)
    return _arm


@pytest.fixture
def place(cloud, tmp_path):
    return Place(
        workspace="demo",
        name="azure",
        region=REGION,
        plane="0a1b2c3d4e5f",
        private_endpoints=True,
        options={
            "endpoint": cloud.url,
            "authority": cloud.url,
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "subnet": SUBNET,
            "zones": list(ZONES),
            "types": ["Standard_D*", "standard_nc4as_*"],
            "prices": {"Standard_D2s_v5": "0.5"},
        },
        secrets=cloud.secrets(),
        home=tmp_path / "azure",
    )


def with_options(place, **options):
    return place.model_copy(update={"options": place.options | options})


class TestAzureProvider(CloudTests):
    kind, larger, zones = TYPE, LARGER, ZONES
    right_to_end = "Microsoft.Compute/virtualMachines/delete"
    open = AzureProvider
    rights = policies.AZURE + policies.AZURE_READS
    quiet, taken = '{"Events": [{"EventType": "Reboot"}]}', '{"Events": [{"EventType":"Preempt"}]}'

    def name_of(self, kind):
        return {TYPE: "Standard_D2s_v5", LARGER: "Standard_D4s_v5"}[kind]

    def test_everything_is_said_in_the_one_request(self, provider, place):
        wish = self.machine(spot=True)
        self.begin(provider, wish)
        vm = self.cloud.running(wish.id)[0]
        said = vm.body["properties"]
        assert vm.body["tags"] == {"amasia-machine": wish.id, "amasia-place": place.tag}
        assert said["storageProfile"]["osDisk"]["deleteOption"] == "Delete"
        card = said["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
        assert card["deleteOption"] == "Delete"
        assert "publicIPAddressConfiguration" not in card["ipConfigurations"][0]["properties"]
        assert (said["priority"], said["evictionPolicy"]) == ("Spot", "Delete")
        assert said["billingProfile"]["maxPrice"] == 0.5
        assert said["securityProfile"]["securityType"] == "TrustedLaunch"
        assert said["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] is True
        assert "identity" not in vm.body
        assert vm.script.startswith("#!/bin/sh")
        assert "poweroff=yes" in vm.script

    def test_options_reach_the_request(self, place):
        asked = with_options(
            place, public_ip=True, security_group="/nsg", identity="/id", tags={"team": "sea"}, zones=[]
        )
        wish = self.machine(machine_type="standard_d2ps_v5")
        assert self.begin(AzureProvider(asked), wish)["zone"] == ""
        body = self.cloud.running(wish.id)[0].body
        assert "zones" not in body
        assert body["identity"]["userAssignedIdentities"] == {"/id": {}}
        card = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
        assert card["networkSecurityGroup"] == {"id": "/nsg"}
        assert card["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"]
        assert body["properties"]["storageProfile"]["imageReference"]["sku"] == "server-arm64"
        assert "securityProfile" not in body["properties"]

    def test_zones_without_a_type_are_not_asked(self, provider):
        self.cloud.faults.no_room |= {("*", zone, False) for zone in ("1", "2")}
        with pytest.raises(errors.NoCapacity):
            self.begin(provider, self.machine(machine_type="standard_d2ps_v5"))

    def test_a_vm_that_could_not_be_made_is_deleted_and_the_next_zone_is_tried(self, provider, monkeypatch):
        """Azure keeps what failed, by its name."""
        self.cloud.faults.no_room |= {("*", "1", False)}
        self.cloud.faults.late_room = 0.2
        monkeypatch.setattr(self.cloud, "closing", 1.0)
        wish = self.machine()
        made = self.begin(provider, wish)
        assert made["zone"] == "2"
        assert len(self._left()) == 2
        assert provider.find(None)[wish.id].alive
        assert [vm.name for vm in self.cloud.running(wish.id)] == [made["name"]]
        self.wait(lambda: len(self._left()) == 1)

    def test_a_group_that_is_not_there_is_a_finding(self, place):
        found = AzureProvider(with_options(place, resource_group="nowhere")).check()
        assert [one.ok for one in found] == [False]
        assert "nowhere" in found[0].what

    @pytest.mark.parametrize(
        ("options", "word"), [({"subnet": "machines"}, "subnet"), ({"images": {"gpu": "x"}}, "gpu")]
    )
    def test_what_is_no_id_is_refused(self, place, options, word):
        with pytest.raises(errors.InvalidRequest, match=word):
            self.begin(AzureProvider(with_options(place, **options)), self.machine(machine_type="standard_nc4as_t4_v3"))


def test_seed_prices_grow_with_their_size():
    def offer(kind, cpus):
        return Offer(type=kind, cpus=cpus, memory=1 << 30, price=None)

    assert seed_price("eastus", offer("standard_d8s_v5", 8)).price == 384_000
    assert seed_price("eastus", offer("standard_e4as_v5", 4)).price == 226_000
    assert seed_price("westeurope", offer("standard_d8s_v5", 8)) is None
    assert seed_price("eastus", offer("standard_x9", 8)) is None
    assert all(seed_price("eastus", offer(kind, 2)) for kind in TYPES)


def test_a_zone_that_a_subscription_may_not_use_is_not_offered():
    sku = {
        "name": "Standard_D2s_v5",
        "locationInfo": [{"zones": ["1", "2"]}],
        "capabilities": [{"name": "vCPUs", "value": "2"}, {"name": "MemoryGB", "value": "8"}],
        "restrictions": [{"type": "Zone", "restrictionInfo": {"zones": ["1"]}}],
    }
    assert offer_of(sku, ["1", "2"]).zones == ("2",)
    assert offer_of(sku, ["1"]) is None
    assert offer_of(sku, []).zones == ()
