"""What the providers' tests share: clouds that run on this computer."""

import logging
from collections.abc import Iterator

import pytest

from amasia.testing.ec2 import Ec2


@pytest.fixture(scope="session")
def _ec2() -> Iterator[Ec2]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = Ec2()
    yield server
    server.close()


@pytest.fixture
def ec2(_ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """An EC2 with nothing in it, which boto3 finds by its own variable."""
    _ec2.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", _ec2.url)
    return _ec2
