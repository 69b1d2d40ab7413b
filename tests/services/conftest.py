"""What the tests of the services share."""

import pytest

from tests.services.lakes import Lake


@pytest.fixture
def lake(world):
    """`lab/data` with one commit, and `lab/means` with none."""
    made = Lake(world)
    made.repository("data")
    made.repository("means")
    made.commit("data", "S1")
    return made
