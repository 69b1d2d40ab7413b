"""Repositories with histories, and views on them, for the tests of both nouns."""

from datetime import timedelta
from itertools import count

from amasia.models.base import now
from amasia.models.repositories import RepositoryRequest
from amasia.models.views import ViewRequest
from amasia.services import repositories, views

_minutes = count()


class Lake:
    """ada's repositories in `lab`; commits are as the index finds them."""

    def __init__(self, world):
        self.world = world
        self.histories = {}

    def repository(self, name, workspace="lab", who=None):
        repositories.create(self.world.db, who or self.world.ada, workspace, RepositoryRequest(name=name))
        made = repositories.get(self.world.db, workspace, name)
        repositories.made(self.world.db, made)
        self.histories[name] = [_snapshot("S0", "")]
        self._index(name)
        return made

    def commit(self, name, *snapshots):
        for snapshot in snapshots:
            self.histories[name].insert(0, _snapshot(snapshot, self.histories[name][0]["snapshot"]))
        self._index(name)

    def view(self, name="monthly", source="lab/data", target="lab/means", who=None, **fields):
        return views.create(self.world.db, who or self.world.ada, "lab", self.request(name, source, target, **fields))

    def request(self, name="monthly", source="lab/data", target="lab/means", **fields):
        plain = {"along": "time", "kind": "resample", "plan": "each month from its steps", "function": "Zm9v",
                 "environment_hash": self.world.environment_hash}  # fmt: skip
        return ViewRequest.model_validate(plain | {"name": name, "source": source, "target": target} | fields)

    def get(self, name="monthly"):
        return views.get(self.world.db, self.world.ada, "lab", name)

    def _index(self, name):
        found = repositories.get(self.world.db, "lab", name)
        repositories.index(self.world.db, found, self.histories[name], now())


def _snapshot(name, parent):
    at = now() - timedelta(days=1) + timedelta(minutes=next(_minutes))
    return {"branch": "main", "snapshot": name, "parent": parent, "message": name, "at": at, "metadata": {}}
