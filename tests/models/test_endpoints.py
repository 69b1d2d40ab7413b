"""Where the control plane may be sent to."""

from ipaddress import ip_address

import pytest

from amasia import errors
from amasia.models.endpoints import check_address, check_literal, host_of


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1",
     "64:ff9b::a00:1", "2002:0a00:0001::"],
)  # fmt: skip
def test_private_addresses_are_for_operators(address):
    with pytest.raises(errors.InvalidRequest, match="not public"):
        check_address("https://x", ip_address(address), private=False)
    check_address("https://x", ip_address(address), private=True)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "100.100.100.200", "fd00:ec2::254",
     "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
def test_where_clouds_tell_their_secrets_nobody_is_sent(address):
    with pytest.raises(errors.InvalidRequest, match="never allowed"):
        check_address("https://x", ip_address(address), private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_world_is_open(address):
    check_address("https://x", ip_address(address), private=False)


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://x", "x", "https://", "http://user:key@s3.example.org", "https://s3.example.org?x=1", "http://[::1",
     "http://x:99999"],
)  # fmt: skip
def test_an_endpoint_is_a_plain_address(endpoint):
    with pytest.raises(errors.InvalidRequest):
        host_of(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:9000", "http://127.0.0.1", "http://[::1]:80", "http://10.1.2.3"]
)
def test_what_is_plainly_private_is_refused_at_once(endpoint):
    with pytest.raises(errors.InvalidRequest):
        check_literal(endpoint, private=False)
    check_literal(endpoint, private=True)
