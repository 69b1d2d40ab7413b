"""The file that describes a location, whatever is in it."""

import pytest

from amasia.client.locations import read_config
from amasia.errors import InvalidRequest


@pytest.mark.parametrize(
    "text",
    [
        "a = ",
        "secrets = 3",
        "a = " + "[" * 3000 + "]" * 3000,
        '[secrets]\nkey = "@nowhere"',
        '[secrets]\nkey = "@~nobody-of-that-name/key"',
        '[secrets]\nkey = "@a\\u0000b"',
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path, text):
    file = tmp_path / "hosts.toml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=r"hosts\.toml"):
        read_config(file)
