"""An authority of one's own is trusted beside the system's."""

import os
import ssl
from pathlib import Path

import pytest

from amasia.client import trust
from amasia.errors import InvalidRequest
from amasia.settings import ClientSettings
from amasia.testing import authorities


@pytest.fixture(autouse=True)
def _system(tmp_path, monkeypatch):
    """What is set here is set back."""
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path):
    return ClientSettings(ca=authorities.write(tmp_path / "tls", "a.example").ca, cache=tmp_path / "cache")


def test_libraries_that_read_the_environment_trust_it_and_the_others_still(settings, tmp_path, monkeypatch):
    others = authorities.write(tmp_path / "others", "b.example").ca
    monkeypatch.setenv("SSL_CERT_FILE", str(others))
    trust.extend(settings)
    bundle = Path(os.environ["SSL_CERT_FILE"])
    assert os.environ["AWS_CA_BUNDLE"] == str(bundle)
    assert others.read_text().strip() in bundle.read_text()
    assert settings.ca.read_text().strip() in bundle.read_text()
    assert len(ssl.create_default_context(cafile=bundle).get_ca_certs()) == 2
    trust.extend(settings)
    assert os.environ["SSL_CERT_FILE"] == str(bundle)


def test_without_one_nothing_is_changed(tmp_path):
    trust.extend(ClientSettings(cache=tmp_path))
    assert "SSL_CERT_FILE" not in os.environ
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_none_is_named_with_the_cure(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(InvalidRequest, match=r"ca\.pem") as refused:
        trust.context(path)
    assert "AMASIA_CA" in refused.value.cure
