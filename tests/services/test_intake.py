import json

from amasia.models.base import now
from amasia.models.datasets import Dataset
from amasia.services import intake


def test_datasets_that_are_one_name_in_python_are_all_there():
    rest = {"title": "", "dims": {}, "names": (), "size": 0, "begin": "", "end": "", "box": None}
    found = [
        Dataset(repository="lab/a", group=group, snapshot="S", committed_at=now(), **rest) for group in ("b-c", "b_c")
    ]
    made = json.loads(intake.catalog(found))
    groups = {name: entry["kwargs"]["group"] for name, entry in made["entries"].items()}
    assert groups == {"a_b_c": "b-c", "a_b_c_2": "b_c"}
    assert set(made["data"]) == {"a_b_c_at", "a_b_c_2_at"}
