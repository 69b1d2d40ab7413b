"""What a control plane may listen on."""

import pytest

from amasia.errors import InvalidRequest
from amasia.settings import ServerSettings, check_listening
from amasia.testing import authorities


@pytest.fixture
def tls(tmp_path):
    files = authorities.write(tmp_path / "tls", "amasia.example")
    return {"tls_certificate": files.certificate, "tls_key": files.key}


@pytest.mark.parametrize("chosen", [{"host": "10.0.0.1"}, {"store_host": "10.0.0.1"}, {"host": "amasia.example"}])
def test_beyond_this_computer_only_with_tls_or_a_word_that_it_is_not_needed(chosen, tls):
    with pytest.raises(InvalidRequest, match="without TLS") as refused:
        check_listening(ServerSettings(**chosen))
    assert "AMASIA_PLAIN_HTTP=1" in refused.value.cure
    check_listening(ServerSettings(**chosen, plain_http=True))
    check_listening(ServerSettings(**chosen, **tls))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_this_computer_needs_nothing(host):
    check_listening(ServerSettings(host=host))


def test_every_address_needs_one_to_dial(tls):
    with pytest.raises(InvalidRequest) as refused:
        check_listening(ServerSettings(host="0.0.0.0", **tls))
    assert "AMASIA_PUBLIC_URL" in refused.value.cure
    check_listening(ServerSettings(host="0.0.0.0", public_url="https://amasia.example", **tls))
    with pytest.raises(InvalidRequest) as refused:
        check_listening(ServerSettings(store_host="0.0.0.0", **tls))
    assert "AMASIA_STORE_PUBLIC_URL" in refused.value.cure


def test_a_certificate_without_its_key_or_with_anothers_is_refused(tmp_path, tls):
    with pytest.raises(InvalidRequest, match="go together"):
        check_listening(ServerSettings(tls_certificate=tls["tls_certificate"]))
    other = authorities.write(tmp_path / "other", "amasia.example")
    with pytest.raises(InvalidRequest, match="cannot be used"):
        check_listening(ServerSettings(tls_certificate=tls["tls_certificate"], tls_key=other.key))
    with pytest.raises(InvalidRequest, match="cannot be used"):
        check_listening(ServerSettings(tls_certificate=tls["tls_certificate"], tls_key=tmp_path / "none"))
