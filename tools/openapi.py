"""Print the OpenAPI of this version: ``make openapi``."""

import json

from amasia.api import app
from amasia.database.engine import Database
from amasia.models.repositories import Lease
from amasia.settings import ServerSettings


def text() -> str:
    """The same text for the same routes and models, whatever the machine."""

    def lend(*_: object) -> Lease:
        raise NotImplementedError

    db = Database("sqlite:///never-opened.db", b"0" * 43 + b"=")
    api = app.create(db, ServerSettings(), lend=lend)
    return json.dumps(api.openapi(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(text(), end="")
