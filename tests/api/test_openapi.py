from pathlib import Path

from tools import openapi

ROOT = Path(__file__).parents[2]


def test_the_committed_openapi_is_the_one_that_is_served():
    committed = (ROOT / "openapi.json").read_text()
    assert committed == openapi.text(), "the wire changed: look at the difference, then run `make openapi`"
