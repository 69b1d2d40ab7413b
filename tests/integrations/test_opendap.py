"""DAP 2 without a server: descriptions, constraints and bytes. Real clients read it in test_publishing.py."""

import struct

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.integrations.publishing import opendap


@pytest.fixture
def ds() -> xr.Dataset:
    return xr.Dataset(
        {
            "t": ("x", np.arange(4, dtype="i2"), {"_FillValue": np.int16(-1), "valid_range": [0, 9]}),
            "t 2m": (("x", "y"), np.arange(8, dtype="f4").reshape(4, 2), {"note": 'a "b"\n\\c'}),
            "name": ("y", np.array(["ab", "c"])),
            "when": ("y", np.array([1, 2], dtype="M8[s]")),
        },
        {"x": np.arange(4.0)},
        {"title": "Öl"},
    )


def test_a_description_has_coordinates_first_and_names_what_it_leaves_out(ds: xr.Dataset) -> None:
    assert opendap.dds(opendap.projected(ds, "")) == (
        "Dataset {\n    Float64 x[x = 4];\n    Int16 t[x = 4];\n    Float32 t%202m[x = 4][y = 2];\n"
        "    String name[y = 2];\n} amasia;\n"
    )
    told = opendap.das(ds)
    assert 'String amasia_left_out "when";' in told
    assert "Int16 _FillValue -1;" in told
    assert "Int32 valid_range 0, 9;" in told
    assert 'String note "a \\"b\\" \\\\c";' in told


def test_numbers_have_their_length_twice_and_strings_once(ds: xr.Dataset) -> None:
    _, _, data = opendap.dods(opendap.projected(ds, "t[1:2:3]")).partition(b"Data:\n")
    assert data == struct.pack(">II2i", 2, 2, 1, 3)
    _, _, data = opendap.dods(opendap.projected(ds, "name")).partition(b"Data:\n")
    assert data == struct.pack(">I", 2) + struct.pack(">I4s", 2, b"ab") + struct.pack(">I4s", 1, b"c")


def test_several_come_in_the_order_of_the_description(ds: xr.Dataset) -> None:
    assert list(opendap.projected(ds, "name,t[0],x")) == ["x", "t", "name"]
    assert list(opendap.projected(ds, "t%25202m%5B0%5D%5B1%5D")) == ["t%202m"]


@pytest.mark.parametrize("text", ["z", "t[9]", "t[0][0]", "t[3:1]", "t[-1]", "t[", "t&t>1", "t[0],t[1]", ",", "t[0]x"])
def test_what_cannot_be_meant_is_refused(ds: xr.Dataset, text: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        opendap.projected(ds, text)
