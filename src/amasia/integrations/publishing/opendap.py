"""DAP 2: how a dataset as it is stored is described, and the part of it that a constraint asks for.

Every variable is a plain array whose dimensions have names; clients find coordinates by those names. The protocol is
small, and the libraries there are for it read strides wrongly and take one array for another (decision 0016).
"""

import re
import struct
from collections.abc import Hashable, Iterator
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import xarray as xr

from amasia import errors

LEFT_OUT = "amasia_left_out"
"""Global attribute: variables that DAP 2 has no type for."""
TITLE = "amasia"

_SLAB = re.compile(r"\[(\d+)(?::(\d+))?(?::(\d+))?\]")
_TYPES: dict[str, tuple[str, str]] = {
    "b1": ("Int16", ">i4"), "i1": ("Int16", ">i4"), "u1": ("Int16", ">i4"), "i2": ("Int16", ">i4"),
    "u2": ("UInt16", ">u4"), "i4": ("Int32", ">i4"), "u4": ("UInt32", ">u4"), "i8": ("Float64", ">f8"),
    "u8": ("Float64", ">f8"), "f2": ("Float32", ">f4"), "f4": ("Float32", ">f4"), "f8": ("Float64", ">f8"),
}  # fmt: skip
"""What a stored type is called and sent as. DAP 2 has no 64-bit integers and no signed bytes."""

type Slices = tuple[slice, ...]


def described(ds: xr.Dataset) -> dict[str, xr.Variable]:
    """Variables by the name that they are sent under, in the order that every answer keeps."""
    names = [*(dim for dim in ds.dims if dim in ds.variables), *(name for name in ds.variables if name not in ds.dims)]
    return {sent(name): ds.variables[name] for name in names if type_of(ds.variables[name])}


def dds(variables: dict[str, tuple[xr.Variable, Slices]]) -> str:
    """Names, types and shapes."""
    lines = [f"    {type_of(found)} {name}{_shape(found, slices)};\n" for name, (found, slices) in variables.items()]
    return f"Dataset {{\n{''.join(lines)}}} {TITLE};\n"


def das(ds: xr.Dataset) -> str:
    """Attributes, of each variable and of all."""
    whole = dict(ds.attrs)
    if left_out := sorted(str(name) for name, found in ds.variables.items() if not type_of(found)):
        whole[LEFT_OUT] = ", ".join(left_out)
    blocks = {name: _attributes(found.attrs, found) for name, found in described(ds).items()}
    blocks["NC_GLOBAL"] = _attributes(whole, None)
    text = "".join(f"    {name} {{\n{inner}    }}\n" for name, inner in blocks.items())
    return f"Attributes {{\n{text}}}\n"


def dods(variables: dict[str, tuple[xr.Variable, Slices]]) -> bytes:
    """Values, after what they are."""
    parts = [dds(variables).encode(), b"Data:\n"]
    for found, slices in variables.values():
        parts.append(_encoded(type_of(found), found[slices].values))
    return b"".join(parts)


def projected(ds: xr.Dataset, constraint: str) -> dict[str, tuple[xr.Variable, Slices]]:
    """What a constraint asks for: ``name``, ``name[0:9]`` or ``name[start:step:stop]``, several with commas.

    Raises
    ------
    InvalidRequest
        It cannot be meant, or this server does not understand it.
    """
    known = described(ds)
    if not constraint:
        return {name: (found, _whole(found)) for name, found in known.items()}
    if "&" in constraint:
        raise errors.InvalidRequest(
            "Selections (&…) are for sequences, and there are none here.", cure="Ask for arrays by name and index."
        )
    wanted: dict[str, Slices] = {}
    for projection in unquote(constraint).split(","):
        name, slices = _projection(known, projection)
        if wanted.setdefault(name, slices) != slices:
            raise errors.InvalidRequest(f"{name!r} is asked for in two different parts.", cure="Ask twice.")
    return {name: (found, wanted[name]) for name, found in known.items() if name in wanted}


def _projection(known: dict[str, xr.Variable], text: str) -> tuple[str, Slices]:
    bare, bracket, rest = text.partition("[")
    name, indexes = sent(unquote(bare)), bracket + rest
    if name not in known:
        raise errors.InvalidRequest(f"There is no variable {bare!r}.", cure=f"There are: {', '.join(known)}.")
    if _SLAB.sub("", indexes):
        raise errors.InvalidRequest(f"{text!r} has an index that cannot be read.", cure="Write name[start:step:stop].")
    found = known[name]
    slabs = [_slice(*each) for each in _SLAB.findall(indexes)]
    if slabs and len(slabs) != found.ndim:
        raise errors.InvalidRequest(f"{text!r} has {len(slabs)} indexes, and {name!r} has {found.ndim} dimensions.")
    for slab, (dim, length) in zip(slabs, found.sizes.items(), strict=False):
        if not slab.start < slab.stop <= length:
            raise errors.InvalidRequest(f"{text!r} is not within {dim!r}, which has {length}.")
    return name, tuple(slabs) or _whole(found)


def _slice(start: str, second: str, third: str) -> slice:
    """The last index is meant, too; a single one is a length of one."""
    if third:
        return slice(int(start), int(third) + 1, max(int(second), 1))
    return slice(int(start), int(second or start) + 1, 1)


def _whole(found: xr.Variable) -> Slices:
    return tuple(slice(0, length, 1) for length in found.shape)


def sent(name: Hashable) -> str:
    """A name as DAP 2 allows it."""
    return quote(str(name), safe="_-+!~*'")


def type_of(found: xr.Variable) -> str:
    """Its DAP 2 type; empty where there is none."""
    if found.dtype.kind in "SUTO":
        return "String"
    return _TYPES.get(found.dtype.str[1:], ("", ""))[0]


def _shape(found: xr.Variable, slices: Slices) -> str:
    sizes = (len(range(*each.indices(length))) for each, length in zip(slices, found.shape, strict=True))
    return "".join(f"[{sent(dim)} = {size}]" for dim, size in zip(found.dims, sizes, strict=True))


def _encoded(kind: str, values: np.ndarray) -> bytes:
    """XDR: arrays have their length before them, twice where they are numbers."""
    length = struct.pack(">I", values.size) if values.ndim else b""
    if kind == "String":
        return length + b"".join(_text(each) for each in values.ravel())
    return length * 2 + np.ascontiguousarray(values).astype(_TYPES[values.dtype.str[1:]][1]).tobytes()


def _text(value: object) -> bytes:
    plain = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack(">I", len(plain)) + plain + b"\0" * (-len(plain) % 4)


def _attributes(attrs: dict[Hashable, object], of: xr.Variable | None) -> str:
    return "".join(f"        {line};\n" for key, value in attrs.items() for line in _attribute(str(key), value, of))


def _attribute(key: str, value: object, of: xr.Variable | None) -> Iterator[str]:
    if key.startswith("_xpublish"):
        return
    numbers = np.atleast_1d(np.asarray(None if isinstance(value, dict) else value))
    if of is not None and key in ("_FillValue", "missing_value") and type_of(of) not in ("", "String"):
        numbers = numbers.astype(of.dtype) if numbers.dtype.kind in "biuf" else numbers
    kind = _TYPES.get(numbers.dtype.str[1:], ("", ""))[0] if numbers.size else ""
    if not kind:
        yield f'String {sent(key)} "{_quoted(value)}"'
        return
    if kind == "Float64" and numbers.dtype.kind in "iu" and np.abs(numbers.astype(float)).max() < 2**31:
        kind = "Int32"
    yield f"{kind} {sent(key)} {', '.join(_number(each) for each in numbers.ravel())}"


def _number(value: Any) -> str:
    if isinstance(value, np.floating):
        return "NaN" if np.isnan(value) else np.format_float_scientific(value) if np.isfinite(value) else str(value)
    return str(int(value))


def _quoted(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
