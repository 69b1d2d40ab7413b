"""The boot script, whatever is put into it."""

import shlex
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from amasia.models.base import now
from amasia.models.machines import Boot
from amasia.providers import boots
from amasia.providers.options import Variables


def boot():
    return Boot(machine_id="ma-1", control_plane="http://plane", join_token="token",
                lease_until=now() + timedelta(minutes=5), cpus=1, memory=1 << 30)  # fmt: skip


def test_what_is_put_in_is_never_taken_for_a_place_to_put_something():
    script = boots.script(boot(), "/srv", variables={"NOTE": "@JSON@ and @ID@"})
    assert f"export NOTE={shlex.quote('@JSON@ and @ID@')}" in script


@pytest.mark.parametrize("name", ["A B", "A;reboot", "1A", "", "A\nB", "A=B"])
def test_a_variable_that_is_none_is_refused(name):
    with pytest.raises(ValidationError):
        TypeAdapter(Variables).validate_python({name: "x"})
