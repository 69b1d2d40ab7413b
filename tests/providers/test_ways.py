"""Who may send the control plane to addresses of its own network."""

import socket

import pytest

from amasia.errors import InvalidRequest, Unavailable
from amasia.models.locations import Place
from amasia.providers.ssh import SshProvider
from amasia.providers.ways import check_endpoint


@pytest.fixture
def listener():
    """A service that only this computer is to reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def lab(tmp_path, address, port=22, *, private=False):
    host = {"name": "a", "address": address, "port": port, "cpus": 1, "memory": "1 GiB", "price": "1"}
    return Place(workspace="demo", name="lab", region="here", plane="p1", home=tmp_path, options={"hosts": [host]},
                 private_endpoints=private)  # fmt: skip


def was_reached(listener):
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.1"])
def test_a_host_at_a_private_address_is_not_even_dialled(tmp_path, listener, address):
    finding = SshProvider(lab(tmp_path, address, listener.getsockname()[1])).check()[0]
    assert (finding.subject, finding.ok) == ("a", False)
    assert "which is not public" in finding.what
    assert "AMASIA_PRIVATE_ENDPOINTS" in finding.cure
    assert not was_reached(listener)


def test_it_is_dialled_where_an_operator_said_so(tmp_path, listener):
    provider = SshProvider(lab(tmp_path, "127.0.0.1", listener.getsockname()[1], private=True))
    listener.settimeout(4)
    asked = provider._shells.run_all({"a": ""}, "find", patience=0.1)
    assert was_reached(listener)
    assert "not public" not in str(asked["a"])


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
def test_where_clouds_tell_secrets_nobody_is_sent(tmp_path, address):
    finding = SshProvider(lab(tmp_path, address, private=True)).check()[0]
    assert "never allowed" in finding.what


def test_an_endpoint_is_held_to_the_same_rule(tmp_path):
    place = lab(tmp_path, "192.0.2.1")
    for url in ("https://10.1.2.3", "https://localhost:9", "https://[::1]"):
        with pytest.raises(InvalidRequest, match="not public"):
            check_endpoint(place, url)
        check_endpoint(place.model_copy(update={"private_endpoints": True}), url)
    check_endpoint(place, "")
    with pytest.raises(Unavailable, match="has no address"):
        check_endpoint(place, "https://nowhere.invalid")
