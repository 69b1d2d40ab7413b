"""An Intake catalog of a workspace: plain data that Intake's own reader takes."""

import json
import re
from collections.abc import Container, Iterable
from itertools import chain, count
from typing import Any

from amasia.models.datasets import Dataset


def catalog(found: Iterable[Dataset]) -> str:
    """YAML, which JSON is: an entry per dataset, opened by `xarray.open_dataset` with Amasia's engine."""
    data: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    for one in found:
        name = _free(_name(one), entries)
        data[f"{name}_at"] = {
            "datatype": "intake.readers.datatypes:Zarr",
            "kwargs": {"url": one.address, "root": "", "storage_options": None},
            "metadata": {}, "user_parameters": {},
        }  # fmt: skip
        entries[name] = {
            "reader": "intake.readers.readers:XArrayDatasetReader",
            "output_instance": "xarray:Dataset",
            "kwargs": {"args": [f"{{data({name}_at)}}"], "engine": "amasia", "group": one.group, "chunks": {}},
            "metadata": {"description": one.title or one.repository, "snapshot": one.snapshot, "begin": one.begin,
                         "end": one.end, "variables": list(one.names)},
            "user_parameters": {},
        }  # fmt: skip
    whole = {"version": 2, "metadata": {}, "user_parameters": {}, "aliases": {}, "data": data, "entries": entries}
    return json.dumps(whole, indent=1)


def _free(name: str, taken: Container[str]) -> str:
    """`a-b` and `a_b` are one name in Python; the second gets a number, so that none is lost."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _name(one: Dataset) -> str:
    """What is a Python name, because people write ``catalog.name``."""
    plain = re.sub(r"\W+", "_", f"{one.repository.partition('/')[2]}_{one.group}").strip("_")
    return f"_{plain}" if plain[:1].isdigit() else plain
